// `arkor login --anonymous`, `logout` and `whoami` off a terminal.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Backend, json } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { OAUTH } from "../support/identity.ts";
import { Project } from "../support/project.ts";

async function issuing() {
  const backend = await Backend.start();
  const personalOrg = { id: "o", slug: "org-1", name: "Org" };
  backend.on("POST /v1/auth/anonymous", (_, response) =>
    json(response, 200, { token: "a-token", anonymousId: "id-1", kind: "cli", personalOrg }),
  );
  const user = { id: "u", name: "Ada" };
  const orgs = [
    { id: "1", slug: "a", name: "A" },
    { id: "2", slug: "b", name: "B" },
  ];
  backend.on("GET /v1/me", (_, response) => json(response, 200, { user, orgs }));
  return { backend, project: new Project() };
}

const stored = (project: Project) => JSON.parse(readFileSync(project.credentials, "utf8"));

describe("arkor login", () => {
  it.each([[[]], [["--anonymous"]]])("with %j takes the anonymous identity", async (flags) => {
    const { backend, project } = await issuing();
    const { code, stdout } = await arkor(["login", ...flags], project.at(backend)).exit;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Signed in anonymously, as org-1. The credentials are in ${project.credentials}\n`,
    });
    expect(stored(project)).toMatchObject({ mode: "anon", token: "a-token", orgSlug: "org-1" });
  });

  it.each([[[]], [["--anonymous"]]])(
    "with %j keeps an anonymous identity that is there",
    async (flags) => {
      const { backend, project } = await issuing();
      project.signIn(backend, { orgSlug: "org-of-old" });
      const { code, stdout } = await arkor(["login", ...flags], project.at(backend)).exit;
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: "Already signed in anonymously, as org-of-old.\n",
      });
      expect(backend.requests).toEqual([]);
    },
  );

  it("doesn't pass another deployment's anonymous identity off as one of this deployment", async () => {
    const { backend, project } = await issuing();
    const arkorCloudApiUrl = "https://other.example";
    project.signIn(backend, { orgSlug: "org-of-old", arkorCloudApiUrl });
    const before = stored(project);
    const { code, stdout, stderr } = await arkor(["login", "--anonymous"], project.at(backend))
      .exit;
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `error: ARKOR_CLOUD_API_URL is ${backend.url}, but the anonymous identity of org-of-old belongs ` +
        "to https://other.example. To get one there: arkor logout, then arkor login --anonymous\n",
    });
    expect(stored(project)).toEqual(before);
    expect(backend.requests).toEqual([]);
  });

  it("keeps an account unless the flag says otherwise", async () => {
    const { backend, project } = await issuing();
    project.signIn(backend, OAUTH);
    const kept = await arkor(["login"], project.at(backend)).exit;
    expect(kept.stdout).toBe("Already signed in with an account. To change that: arkor logout\n");
    expect(stored(project)).toMatchObject(OAUTH);
    expect((await arkor(["login", "--anonymous"], project.at(backend)).exit).code).toBe(0);
    expect(stored(project)).toMatchObject({ mode: "anon", token: "a-token" });
  });
});

describe("arkor logout", () => {
  it("without anybody to ask deletes nothing", async () => {
    const { backend, project } = await issuing();
    project.signIn(backend);
    const { code, stderr } = await arkor(["logout"], project.at(backend)).exit;
    expect(code).toBe(1);
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^warning: An anonymous identity can't be restored/),
      "error: Can't ask for confirmation: not a terminal. Add -f to delete without asking.",
    ]);
    expect(existsSync(project.credentials)).toBe(true);
  });

  it("-f deletes the credentials, whatever they are", async () => {
    const { backend, project } = await issuing();
    project.signIn(backend, OAUTH);
    const { code, stdout, stderr } = await arkor(["logout", "-f"], project.at(backend)).exit;
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "Signed out.\n", stderr: "" });
    expect(existsSync(project.credentials)).toBe(false);
    writeFileSync(project.credentials, "{ not json");
    expect((await arkor(["logout", "-f"], project.at(backend)).exit).code).toBe(0);
    expect(existsSync(project.credentials)).toBe(false);
  });

  it("has nothing to do for who is not signed in", async () => {
    const { backend, project } = await issuing();
    const { code, stdout } = await arkor(["logout"], project.at(backend)).exit;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Not signed in.\n" });
  });
});

describe("arkor whoami", () => {
  it("prints the user as JSON, then the organisations", async () => {
    const { backend, project } = await issuing();
    project.signIn(backend);
    const { code, stdout } = await arkor(["whoami"], project.at(backend)).exit;
    expect(code).toBe(0);
    expect(stdout).toBe('{\n  "id": "u",\n  "name": "Ada"\n}\nOrgs: a, b\n');
    expect(backend.requests[0]?.headers.authorization).toBe("Bearer the-token");
  });

  it("--json prints one object, also for nobody", async () => {
    const { backend, project } = await issuing();
    const nobody = await arkor(["whoami", "--json"], project.at(backend)).exit;
    expect(JSON.parse(nobody.stdout)).toEqual({ user: null, orgs: [] });
    project.signIn(backend);
    const { stdout } = await arkor(["whoami", "--json"], project.at(backend)).exit;
    expect(JSON.parse(stdout)).toMatchObject({ user: { name: "Ada" }, orgs: [{ slug: "a" }, {}] });
  });

  it("says that nobody is signed in, which is no error", async () => {
    const { backend, project } = await issuing();
    const { code, stdout } = await arkor(["whoami"], project.at(backend)).exit;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "Not signed in. Sign in with: arkor login\n",
    });
    expect(existsSync(path.dirname(project.credentials))).toBe(false);
  });

  it("tells once, at its end, that the backend calls this version deprecated", async () => {
    const { backend, project } = await issuing();
    project.signIn(backend);
    backend.on("GET /v1/me", (_, response) => {
      response.setHeader("Deprecation", "true");
      response.setHeader("Warning", '299 - "use 2.x"');
      json(response, 200, { user: {}, orgs: [] });
    });
    const { code, stdout, stderr } = await arkor(["whoami"], project.at(backend)).exit;
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: "{}\nOrgs: \n",
      stderr: "warning: use 2.x\n",
    });
  });

  it("names what an answer lacks", async () => {
    const { backend, project } = await issuing();
    project.signIn(backend);
    backend.on("GET /v1/me", (_, response) => json(response, 200, { user: {} }));
    const { code, stderr } = await arkor(["whoami"], project.at(backend)).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error: The backend's answer to GET \/v1\/me is not usable: missing field `orgs`/,
    );
  });

  it("is the local identity where ARKOR_LOCAL_TOKEN is set, and reads no credentials", async () => {
    const { backend, project } = await issuing();
    mkdirSync(project.credentials, { recursive: true });
    const local = { ARKOR_LOCAL_TOKEN: "local-token" };
    expect((await arkor(["whoami"], project.at(backend, local)).exit).code).toBe(0);
    expect(backend.requests[0]?.headers.authorization).toBe("Bearer local-token");
  });
});
