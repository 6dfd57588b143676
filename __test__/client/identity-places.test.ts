// Where the identity's files are, and where its tokens may go.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import {
  CloudApiClient,
  credentialsPath,
  ensureCredentials,
  readCredentials,
  readState,
  statePath,
  writeCredentials,
  writeState,
} from "../../index.js";
import {
  Backend,
  CREDENTIALS,
  JOB,
  json,
  rejection,
  temporaryDirectory,
} from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { OAUTH, useTemporaryHome } from "../support/identity.ts";
import { runScript } from "../support/process.ts";
import { Project } from "../support/project.ts";

useTemporaryHome();

describe("a link", () => {
  it("in the place of the credentials is written through, not replaced by a file", async () => {
    const target = path.join(temporaryDirectory(), "login.json");
    mkdirSync(path.dirname(credentialsPath()));
    symlinkSync(target, credentialsPath());
    for (const credentials of [CREDENTIALS, OAUTH]) {
      await writeCredentials(credentials);
      expect(lstatSync(credentialsPath()).isSymbolicLink()).toBe(true);
      expect(JSON.parse(readFileSync(target, "utf8"))).toEqual(credentials);
      expect(lstatSync(target).mode & 0o777).toBe(0o600);
      expect(await readCredentials()).toEqual(credentials);
    }
    expect(readdirSync(path.dirname(target))).toEqual(["login.json"]);
  });

  it("in the place of the project's state is written through", async () => {
    const cwd = temporaryDirectory();
    const state = { orgSlug: "o", projectSlug: "p", projectId: "i" };
    mkdirSync(path.join(cwd, ".arkor"));
    symlinkSync("../state-of-the-team.json", statePath(cwd));
    await writeState(state, cwd);
    expect(lstatSync(statePath(cwd)).isSymbolicLink()).toBe(true);
    expect(JSON.parse(readFileSync(path.join(cwd, "state-of-the-team.json"), "utf8"))).toEqual(
      state,
    );
    expect(await readState(cwd)).toEqual(state);
  });

  it("is followed by arkor logout: the login itself is deleted", async () => {
    const project = new Project();
    const target = path.join(temporaryDirectory(), "login.json");
    writeFileSync(target, JSON.stringify(OAUTH));
    mkdirSync(path.dirname(project.credentials));
    symlinkSync(target, project.credentials);
    expect((await arkor(["logout", "-f"], project.at(undefined)).exit).code).toBe(0);
    expect(existsSync(target)).toBe(false);
  });
});

describe("a home directory that can't be one", () => {
  it.each([
    ["", /^(HOME|USERPROFILE) is empty/],
    ["relative/home", /^(HOME|USERPROFILE) is not an absolute path/],
    [".", /^(HOME|USERPROFILE) is not an absolute path/],
  ])(
    "%j is refused by name, and nothing is written into the working directory",
    async (home, words) => {
      const backend = await Backend.start();
      const directory = temporaryDirectory();
      const before = process.cwd();
      process.chdir(directory);
      try {
        vi.stubEnv("HOME", home);
        vi.stubEnv("USERPROFILE", home);
        const trainer = backend.trainer({}, { credentials: undefined, cwd: directory });
        for (const call of [
          async () => credentialsPath(),
          readCredentials,
          ensureCredentials,
          () => writeCredentials(OAUTH),
          () => trainer.start(),
        ]) {
          expect(((await rejection(call())) as Error).message).toMatch(words);
        }
        expect(readdirSync(directory)).toEqual([]);
        expect(backend.requests).toEqual([]);
        await backend.trainer({}, { cwd: backend.directory }).start();
      } finally {
        process.chdir(before);
      }
      expect(backend.to("POST /v1/jobs")).toHaveLength(1);
    },
  );

  it("is told in one line by the command", async () => {
    const project = new Project();
    for (const command of [["whoami"], ["login"], ["logout"], ["jobs"]]) {
      const env = { HOME: "", USERPROFILE: "" };
      const { code, stderr } = await arkor(command, project.at(undefined, env)).exit;
      expect({ command, code, stderr }).toEqual({
        command,
        code: 1,
        stderr: expect.stringMatching(
          /^(Using the cloud at .*\n)?error: (HOME|USERPROFILE) is empty.*\n$/,
        ),
      });
    }
  });
});

it("a lock that can't be had, as in a read-only ~/.arkor, does not make an expired login useless", async () => {
  const server = await Backend.start();
  server.on("POST /oauth/token", (_, response) =>
    json(response, 200, { access_token: "access-2", refresh_token: "refresh-2" }),
  );
  const expired = { ...OAUTH, auth0Domain: server.url.replace("http://", ""), expiresAt: 1 };
  await writeCredentials(expired);
  const backend = await Backend.start();
  // Not even root can open a directory for writing, so the test needs no special user.
  mkdirSync(`${credentialsPath().replace(/\.json$/, ".lock")}`);
  const { stdout, stderr } = await runScript(
    `const client = new arkor.CloudApiClient(
      { baseUrl: ${JSON.stringify(backend.url)}, credentials: await arkor.readCredentials() });
    console.log((await client.getJob("${JOB.id}", { orgSlug: "o", projectSlug: "p" })).job.id);`,
  );
  expect({ stdout, stderr }).toEqual({ stdout: `${JOB.id}\n`, stderr: "" });
  expect(backend.requests[0].headers.authorization).toBe("Bearer access-2");
});

it("an anonymous identity that could not be stored is not asked for", async () => {
  const backend = await Backend.start();
  vi.stubEnv("ARKOR_CLOUD_API_URL", backend.url);
  // A file where the directory should be.
  writeFileSync(path.dirname(credentialsPath()), "");
  const error = await rejection(ensureCredentials());
  expect((error as Error).message).toMatch(/^Can't (read|write) the credentials/);
  expect(backend.requests).toEqual([]);
});

describe("with only one of ARKOR_CLOUD_API_URL and ARKOR_LOCAL_TOKEN", () => {
  /** Calls that send a token. */
  function calls(backend: Backend, project: Project) {
    const at = project.at(undefined, {
      ARKOR_CLOUD_API_URL: process.env.ARKOR_CLOUD_API_URL,
      ARKOR_LOCAL_TOKEN: process.env.ARKOR_LOCAL_TOKEN,
    });
    const command = async (...args: string[]) => {
      const { code, stderr } = await arkor(args, at).exit;
      if (code !== 0) throw new Error(stderr);
    };
    const context = { baseUrl: undefined, credentials: undefined, cwd: project.cwd };
    return [
      () => ensureCredentials(),
      () => backend.trainer({}, context).start(),
      () => command("whoami"),
      () => command("jobs"),
      () => command("cancel", "job-1"),
    ];
  }

  function signedInElsewhere() {
    const project = new Project({
      ".arkor/state.json": JSON.stringify({ orgSlug: "o", projectSlug: "p", projectId: "i" }),
    });
    vi.stubEnv("HOME", project.home);
    vi.stubEnv("USERPROFILE", project.home);
    project.signIn({ url: "https://cloud.made-up.test" }, { token: "of-the-cloud", orgSlug: "o" });
    return project;
  }

  it("the stored login of the cloud is not sent to a process of this machine", async () => {
    const backend = await Backend.start();
    const project = signedInElsewhere();
    vi.stubEnv("ARKOR_CLOUD_API_URL", backend.url);
    for (const call of calls(backend, project)) {
      const { message } = (await rejection(call())) as Error;
      expect(message).toMatch(/ARKOR_CLOUD_API_URL is set .* but ARKOR_LOCAL_TOKEN is not set/);
      expect(message).not.toContain("of-the-cloud");
    }
    expect(backend.requests).toEqual([]);
  });

  it("a login without a deployment is the default one's", async () => {
    const backend = await Backend.start();
    await writeCredentials(OAUTH);
    vi.stubEnv("ARKOR_CLOUD_API_URL", ` HTTP${backend.url.slice(4)}/`);
    const error = await rejection(
      backend.trainer({}, { credentials: undefined, baseUrl: undefined }).start(),
    );
    expect((error as Error).message).toMatch(/ARKOR_LOCAL_TOKEN is not set/);
    expect(backend.requests).toEqual([]);
  });

  it("a local backend's token is not sent to the cloud", async () => {
    const backend = await Backend.start();
    const project = signedInElsewhere();
    vi.stubEnv("ARKOR_LOCAL_TOKEN", "of-the-local-backend");
    for (const call of [...calls(backend, project), () => readCredentials()]) {
      const { message } = (await rejection(call())) as Error;
      expect(message).toMatch(/ARKOR_LOCAL_TOKEN is set but ARKOR_CLOUD_API_URL is not/);
      expect(message).not.toContain("of-the-local-backend");
    }
  });

  it.each([
    ["the deployment that issued it", (backend: Backend) => `${backend.url}/`],
    ["another one where both have no TLS", () => "http://127.0.0.1:1"],
  ])("a login without TLS goes to %s", async (_, issuedAt) => {
    const backend = await Backend.start();
    await writeCredentials({ ...CREDENTIALS, arkorCloudApiUrl: issuedAt(backend) });
    vi.stubEnv("ARKOR_CLOUD_API_URL", backend.url);
    await backend.trainer({}, { credentials: undefined, baseUrl: undefined }).start();
    expect(backend.to("POST /v1/jobs")[0].headers.authorization).toBe("Bearer the-token");
  });

  it("a login goes to another cloud over https, which is what the variable is for", async () => {
    await writeCredentials({ ...CREDENTIALS, arkorCloudApiUrl: "https://one.made-up.test" });
    vi.stubEnv("ARKOR_CLOUD_API_URL", "https://another.made-up.test");
    expect(await ensureCredentials()).toMatchObject({ token: CREDENTIALS.token });
  });

  it("what a program gives itself goes where it says", async () => {
    const backend = await Backend.start();
    vi.stubEnv("ARKOR_CLOUD_API_URL", backend.url);
    await backend.trainer({}, { baseUrl: undefined }).start();
    vi.stubEnv("ARKOR_CLOUD_API_URL", undefined);
    vi.stubEnv("ARKOR_LOCAL_TOKEN", "of-the-local-backend");
    await backend.trainer().start();
    await new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS }).getJob(JOB.id, {
      orgSlug: "o",
      projectSlug: "p",
    });
    const tokens = new Set(backend.requests.map(({ headers }) => headers.authorization));
    expect([...tokens]).toEqual(["Bearer the-token"]);
  });
});

it.each(["login.example/path", "https://login.example", "user@login.example"])(
  "a stored auth0Domain that is more than host and port is not asked for tokens: %s",
  async (auth0Domain) => {
    const backend = await Backend.start();
    await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, backend.directory);
    const credentials = { ...OAUTH, auth0Domain, expiresAt: 1 };
    const error = await rejection(backend.trainer({}, { credentials }).start());
    expect(error).toMatchObject({
      name: "CloudApiError",
      status: 401,
      message:
        "The login can't be renewed: its auth0Domain is no host, or host:port. Log in again.",
    });
    expect(backend.requests).toEqual([]);
  },
);
