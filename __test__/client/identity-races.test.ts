// Two writers of one credentials file. The server holds its answer until the other one has finished.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import {
  CloudApiClient,
  credentialsPath,
  ensureCredentials,
  readCredentials,
  writeCredentials,
} from "../../index.js";
// What `arkor logout -f` does, without the time that a process takes to start.
import { signOut } from "../../lib/account.js";
import { Backend, gate, JOB, json, rejection } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { OAUTH, useTemporaryHome } from "../support/identity.ts";
import { freePort, IdentityServer } from "../support/identity-server.ts";
import { Project } from "../support/project.ts";

useTemporaryHome();

/** A backend that doesn't issue its anonymous identity before the test opens a gate. */
async function holding() {
  const backend = await Backend.start();
  const answer = gate();
  backend.on("POST /v1/auth/anonymous", async (_, response) => {
    await answer.promise;
    const personalOrg = { id: "o", slug: "org-1", name: "Org" };
    json(response, 200, { token: "token-1", anonymousId: "id-1", kind: "cli", personalOrg });
  });
  vi.stubEnv("ARKOR_CLOUD_API_URL", backend.url);
  const isAsked = () => backend.until(() => backend.to("POST /v1/auth/anonymous").length === 1);
  return { backend, answer, isAsked };
}

it("a login that is finished while ensureCredentials asks the network is not written over", async () => {
  const { backend, answer, isAsked } = await holding();
  const login = { ...OAUTH, arkorCloudApiUrl: backend.url };
  const ensured = ensureCredentials();
  await isAsked();
  await writeCredentials(login);
  answer.open();
  expect(await ensured).toEqual(login);
  expect(await readCredentials()).toEqual(login);
});

it("a login in the browser that is finished meanwhile is what a trainer submits with", async () => {
  const { backend, answer, isAsked } = await holding();
  const project = new Project();
  vi.stubEnv("HOME", project.home);
  vi.stubEnv("USERPROFILE", project.home);
  const ensured = ensureCredentials();
  await isAsked();
  const { code } = await loginByBrowser(project, backend);
  expect(code).toBe(0);
  answer.open();
  expect(await ensured).toMatchObject({ mode: "oauth", accessToken: "access-2" });
  expect(await readCredentials()).toMatchObject({ mode: "oauth", refreshToken: "refresh-2" });
});

it("a login does not write over an anonymous identity that was made while the browser was open", async () => {
  const { backend, answer } = await holding();
  answer.open();
  const project = new Project();
  vi.stubEnv("HOME", project.home);
  vi.stubEnv("USERPROFILE", project.home);
  const { code, stderr } = await loginByBrowser(project, backend, () => ensureCredentials());
  expect(code).toBe(1);
  expect(stderr).toMatch(/\nerror: Another arkor has signed in anonymously meanwhile/);
  expect(await readCredentials()).toMatchObject({ mode: "anon", token: "token-1" });
});

async function loginByBrowser(
  project: Project,
  backend: Backend,
  meanwhile: () => Promise<unknown> = async () => {},
) {
  const identity = await IdentityServer.start();
  const callbackPorts = [await freePort()];
  backend.on("GET /v1/auth/cli/config", (_, response) =>
    json(response, 200, {
      auth0Domain: identity.domain,
      clientId: "client-1",
      audience: "",
      callbackPorts,
    }),
  );
  const running = arkor(["login", "--oauth", "--no-browser"], project.at(backend));
  const [, page = ""] = await running.until("stderr", / {2}(http\S+)\n/);
  await meanwhile();
  await fetch(page);
  return running.exit;
}

it("arkor login --anonymous does not write over what another process stored while it asked", async () => {
  const { backend, answer, isAsked } = await holding();
  const project = new Project();
  project.signIn(backend, OAUTH);
  const running = arkor(["login", "--anonymous"], project.at(backend));
  await isAsked();
  project.signIn(backend, { orgSlug: "org-of-another" });
  answer.open();
  const { code, stderr } = await running.exit;
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^error: Another arkor has signed in anonymously meanwhile/),
  });
  expect(JSON.parse(readFileSync(project.credentials, "utf8")).orgSlug).toBe("org-of-another");
});

it.each([
  ["arkor logout", async (project: Project) => arkor(["logout", "-f"], project.at(undefined)).exit],
  ["an rm", async (project: Project) => rmSync(project.credentials)],
])("%s while a login is renewed is not undone by the answer", async (_, logOut) => {
  const project = new Project();
  vi.stubEnv("HOME", project.home);
  vi.stubEnv("USERPROFILE", project.home);
  const server = await Backend.start();
  const answer = gate();
  server.on("POST /oauth/token", async (_, response) => {
    await answer.promise;
    json(response, 200, { access_token: "access-2", refresh_token: "refresh-2" });
  });
  const expired = { ...OAUTH, auth0Domain: server.url.replace("http://", ""), expiresAt: 1 };
  await writeCredentials(expired);
  const backend = await Backend.start();
  const client = new CloudApiClient({ baseUrl: backend.url, credentials: expired });
  const asked = client.getJob(JOB.id, { orgSlug: "o", projectSlug: "p" });
  await server.until(() => server.requests.length === 1);
  await logOut(project);
  expect(existsSync(project.credentials)).toBe(false);
  answer.open();
  await asked;
  expect(backend.requests[0].headers.authorization).toBe("Bearer access-2");
  expect(existsSync(project.credentials)).toBe(false);
});

it("no logout within 1.5 ms of a renewal's answer is undone, in 200 tries", async () => {
  const server = await Backend.start();
  const backend = await Backend.start();
  let loggedOut: Promise<void> | undefined;
  server.on("POST /oauth/token", (_, response) => {
    response.once("finish", () => {
      const delay = Math.random() * 1.5;
      const from = performance.now();
      while (performance.now() - from < delay);
      loggedOut = signOut();
    });
    json(response, 200, { access_token: "access-2", refresh_token: "refresh-2" });
  });
  let undone = 0;
  for (let round = 0; round < 200; round++) {
    const auth0Domain = server.url.replace("http://", "");
    const expired = { ...OAUTH, auth0Domain, refreshToken: `of-${round}`, expiresAt: 1 };
    await writeCredentials(expired);
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: expired });
    await client.getJob(JOB.id, { orgSlug: "o", projectSlug: "p" });
    await loggedOut;
    if (existsSync(credentialsPath())) undone += 1;
  }
  expect(undone).toBe(0);
});

it.each([
  [
    "of a mode that is not known",
    { mode: "device", token: "a-secret", refresh: "another" },
    /holds a login of mode "device", which this version of arkor does not know/,
  ],
  [
    "without a field",
    { mode: "oauth", accessToken: "a-secret", refreshToken: "another" },
    /holds a login of mode "oauth", which lacks a field, or has one of a wrong type/,
  ],
])(
  "a login %s is kept, and what would replace it is refused by name",
  async (_, login, refused) => {
    const { backend } = await holding();
    const project = new Project();
    vi.stubEnv("HOME", project.home);
    vi.stubEnv("USERPROFILE", project.home);
    project.signIn(backend);
    const content = JSON.stringify(login);
    writeFileSync(credentialsPath(), content);
    expect(await readCredentials()).toBeNull();
    for (const call of [
      () => ensureCredentials(),
      () => writeCredentials(OAUTH),
      () => backend.trainer({}, { baseUrl: undefined, credentials: undefined }).start(),
    ]) {
      const error = (await rejection(call())) as Error;
      expect(error.message).toMatch(refused);
      expect(error.message).not.toContain("a-secret");
    }
    for (const command of [
      ["login"],
      ["login", "--anonymous"],
      ["login", "--oauth"],
      ["whoami"],
      ["jobs"],
    ]) {
      const { code, stderr } = await arkor(command, project.at(backend)).exit;
      expect({ command, code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(refused),
      });
    }
    expect(readFileSync(credentialsPath(), "utf8")).toBe(content);
    expect(backend.requests).toEqual([]);
    expect((await arkor(["logout", "-f"], project.at(backend)).exit).code).toBe(0);
    expect(existsSync(credentialsPath())).toBe(false);
  },
);
