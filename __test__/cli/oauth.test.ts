// `arkor login --oauth` end to end: a deployment that describes its login, an identity server that
// checks PKCE, and a browser that is a `fetch` of the test's.
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { Backend, json } from "../support/backend.ts";
import { arkor, type Running } from "../support/command.ts";
import { IdentityServer } from "../support/identity-server.ts";
import { Project } from "../support/project.ts";

/** A port that was free a moment ago, and somebody who listens on it if it is to be in use. */
async function port({ inUse }: { inUse: boolean }): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  if (inUse) onTestFinished(() => void server.close());
  else await new Promise((resolve) => server.close(resolve));
  return address.port;
}

async function deployment(ports: number[]) {
  const identity = await IdentityServer.start();
  const backend = await Backend.start();
  backend.on("GET /v1/auth/cli/config", (_, response) =>
    json(response, 200, {
      auth0Domain: identity.domain,
      clientId: "client-1",
      audience: "https://api.example",
      callbackPorts: ports,
    }),
  );
  return { identity, backend, project: new Project() };
}

const login = (project: Project, backend: Backend, env: Record<string, string> = {}) =>
  arkor(["login", "--oauth", "--no-browser"], project.at(backend, env));

/** The address that the command asks the person to open. */
async function pageOf(running: Running): Promise<URL> {
  const [, address = ""] = await running.until("stderr", / {2}(http\S+)\n/);
  return new URL(address);
}

describe("a login in the browser", () => {
  it("ends with stored credentials that nobody else can read, and a page that says so", async () => {
    const { identity, backend, project } = await deployment([await port({ inUse: false })]);
    const running = login(project, backend);
    const page = await pageOf(running);
    expect(page.host).toBe(identity.domain);
    expect(page.searchParams.get("audience")).toBe("https://api.example");
    expect(page.searchParams.get("scope")).toContain("offline_access");
    const shown = await fetch(page);
    expect(shown.status).toBe(200);
    expect(await shown.text()).toContain("Signed in.");
    const { code, stdout, stderr } = await running.exit;
    expect(code).toBe(0);
    expect(stdout).toBe(
      `Signed in at ${backend.url}. The credentials are in ${project.credentials}\n`,
    );
    const stored = JSON.parse(readFileSync(project.credentials, "utf8"));
    expect(stored).toEqual({
      mode: "oauth",
      accessToken: "access-2",
      refreshToken: "refresh-2",
      expiresAt: expect.any(Number),
      auth0Domain: identity.domain,
      audience: "https://api.example",
      clientId: "client-1",
      arkorCloudApiUrl: backend.url,
      loginId: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(stored.expiresAt).toBeGreaterThan(Date.now() / 1000 + 3500);
    expect(statSync(project.credentials).mode & 0o777).toBe(0o600);
    expect(stdout + stderr).not.toMatch(/access-2|refresh-2|code-1/);
  });

  it("takes the first port that is free", async () => {
    const [used, free] = [await port({ inUse: true }), await port({ inUse: false })];
    const { backend, project } = await deployment([used, free]);
    const running = login(project, backend);
    const page = await pageOf(running);
    expect(page.searchParams.get("redirect_uri")).toBe(`http://127.0.0.1:${free}/callback`);
    await fetch(page);
    expect((await running.exit).code).toBe(0);
  });

  it("names the ports when none is free", async () => {
    const used = await port({ inUse: true });
    const { identity, backend, project } = await deployment([used]);
    const { code, stderr } = await login(project, backend).exit;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: No port is free that ${identity.domain} may come back to (${used}). Close what uses one of them.\n`,
    });
  });

  it.each([
    ["another state", "code=code-of-somebody-else&state=another"],
    ["no state", "code=code-of-somebody-else"],
    ["nothing", ""],
    ["a refusal without the state", "error=access_denied"],
  ])("is not ended by a stray answer with %s", async (_, query) => {
    const { identity, backend, project } = await deployment([await port({ inUse: false })]);
    const running = login(project, backend);
    const page = await pageOf(running);
    const back = new URL(page.searchParams.get("redirect_uri") ?? "");
    back.search = query;
    const shown = await fetch(back);
    expect(shown.status).toBe(400);
    expect(await shown.text()).toContain("This is not the answer to the login that is under way");
    expect(identity.tokenRequests).toEqual([]);
    await fetch(page);
    expect((await running.exit).code).toBe(0);
    expect(identity.tokenRequests.map((form) => form.get("code"))).toEqual(["code-1"]);
    expect(existsSync(project.credentials)).toBe(true);
  });

  it("answers who comes a second time, and asks for one token", async () => {
    const { answer, back, identity, running } = await exchanging();
    const again = await fetch(back);
    expect(again.status).toBe(409);
    expect(await again.text()).toContain("has arrived already");
    answer();
    expect((await running.exit).code).toBe(0);
    expect(identity.tokenRequests).toHaveLength(1);
  });

  it("proves with its verifier that the code is its own: a page with another challenge gets no token", async () => {
    const { backend, project } = await deployment([await port({ inUse: false })]);
    const running = login(project, backend);
    const page = await pageOf(running);
    page.searchParams.set("code_challenge", "A".repeat(43));
    await fetch(page);
    const { code, stderr } = await running.exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error: 127\.0\.0\.1:\d+ refused the login \(HTTP 403: invalid_grant\)\. Run arkor login again\.$/m,
    );
    expect(existsSync(project.credentials)).toBe(false);
  });

  it("names the refresh token when the identity provider gives none, and keeps what was there", async () => {
    const { identity, backend, project } = await deployment([await port({ inUse: false })]);
    identity.givesRefreshToken = false;
    project.signIn(backend, { token: "of-old" });
    const running = login(project, backend);
    await fetch(await pageOf(running));
    const { code, stderr } = await running.exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: 127\.0\.0\.1:\d+ answered the login without a refresh_token/m);
    expect(stderr).not.toMatch(/access-\d/);
    expect(JSON.parse(readFileSync(project.credentials, "utf8")).token).toBe("of-old");
  });

  it("tells the refusal that the browser brings", async () => {
    const { backend, project } = await deployment([await port({ inUse: false })]);
    const running = login(project, backend);
    const page = await pageOf(running);
    const back = new URL(page.searchParams.get("redirect_uri") ?? "");
    const state = page.searchParams.get("state") ?? "";
    back.search = `error=access_denied&error_description=not%20today&state=${state}`;
    await fetch(back);
    const { code, stderr } = await running.exit;
    expect(code).toBe(1);
    expect(stderr).toContain("\nerror: The login was refused: access_denied (not today)\n");
  });

  it("waits on while the browser asks for other things", async () => {
    const { backend, project } = await deployment([await port({ inUse: false })]);
    const running = login(project, backend);
    const page = await pageOf(running);
    const redirect = page.searchParams.get("redirect_uri") ?? "";
    expect((await fetch(new URL("/favicon.ico", redirect))).status).toBe(404);
    expect((await fetch(redirect, { method: "POST" })).status).toBe(404);
    await fetch(page);
    expect((await running.exit).code).toBe(0);
  });

  it("answers 404 to a target that is no URL, and waits on", async () => {
    const { backend, project } = await deployment([await port({ inUse: false })]);
    const running = login(project, backend);
    const page = await pageOf(running);
    const { port: at } = new URL(page.searchParams.get("redirect_uri") ?? "");
    const socket = connect(Number(at), "127.0.0.1").setEncoding("utf8");
    socket.end("GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const chunk of socket) text += chunk;
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    await fetch(page);
    expect((await running.exit).code).toBe(0);
  });

  /** A login whose code is being exchanged: the identity server answers when it is told to. */
  async function exchanging() {
    const { identity, backend, project } = await deployment([await port({ inUse: false })]);
    let answer = () => {};
    const asked = new Promise<void>((resolve) => {
      identity.server.on("POST /oauth/token", (_, response) => {
        answer = () =>
          json(response, 200, { access_token: "a", refresh_token: "r", expires_in: 3600 });
        resolve();
      });
    });
    const running = login(project, backend);
    const page = await pageOf(running);
    const back = new URL(page.searchParams.get("redirect_uri") ?? "");
    const state = page.searchParams.get("state") ?? "";
    const socket = connect(Number(back.port), "127.0.0.1");
    socket.write(`GET /callback?code=c&state=${state} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await asked;
    back.search = `code=c&state=${state}`;
    return { answer: () => answer(), back, identity, project, running, socket };
  }

  it("ends also when the page was closed before the code was exchanged", async () => {
    const { answer, project, running, socket } = await exchanging();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    // Once the command closes its side, it has seen the end of the connection.
    socket.resume().end();
    await closed;
    answer();
    expect((await running.exit).code).toBe(0);
    expect(existsSync(project.credentials)).toBe(true);
  });

  it("can be left with Ctrl-C while the code is exchanged, and stores nothing", async () => {
    const { project, running } = await exchanging();
    running.kill("SIGINT");
    const { code, stderr } = await running.exit;
    expect(code).toBe(130);
    expect(stderr).toMatch(/\nNothing was changed\.\n$/);
    expect(existsSync(project.credentials)).toBe(false);
  });

  it("can be left with Ctrl-C", async () => {
    const { backend, project } = await deployment([await port({ inUse: false })]);
    const running = login(project, backend);
    await pageOf(running);
    running.kill("SIGINT");
    const { code, stderr } = await running.exit;
    expect(code).toBe(130);
    expect(stderr).toMatch(/\nNothing was changed\.\n$/);
  });

  it("opens the browser with what the system has for it", async () => {
    const { backend, project } = await deployment([await port({ inUse: false })]);
    // Stands in for the system's opener: it notes the page, and the test opens it.
    const opener = process.platform === "darwin" ? "open" : "xdg-open";
    writeFileSync(project.path(opener), '#!/bin/sh\necho "$1" > opened\n', { mode: 0o755 });
    const running = arkor(
      ["login", "--oauth"],
      project.at(backend, { PATH: `${project.cwd}:${process.env.PATH}` }),
    );
    const page = await pageOf(running);
    expect(running.stderr).toContain("The login is open in your browser.");
    await expect.poll(() => project.has("opened") && project.read("opened")).toBe(`${page}\n`);
    await fetch(page);
    expect((await running.exit).code).toBe(0);
  });
});

describe("is refused, without a request,", () => {
  it.each([
    [
      { CI: "1" },
      ["--oauth"],
      "--oauth needs a person at a browser, and CI is set. Use arkor login --anonymous instead.",
    ],
    [{}, ["--oauth", "--anonymous"], "--anonymous and --oauth can't be used together."],
    [
      { ARKOR_LOCAL_TOKEN: "x" },
      ["--oauth"],
      "ARKOR_LOCAL_TOKEN is set, so the identity is the local backend's. Unset it to log in.",
    ],
  ])("with %j and %j", async (env, flags, message) => {
    const { backend, project } = await deployment([1]);
    const { code, stderr } = await arkor(["login", ...flags], project.at(backend, env)).exit;
    expect({ code, stderr }).toEqual({ code: 1, stderr: `error: ${message}\n` });
    expect(backend.requests).toEqual([]);
  });
});

it.each([
  ["auth0Domain", { auth0Domain: "", clientId: "c", audience: null, callbackPorts: [1] }],
  ["callbackPorts", { auth0Domain: "a", clientId: "c", audience: null, callbackPorts: [] }],
])("says that a deployment has no login when %s is empty", async (field, config) => {
  const backend = await Backend.start();
  backend.on("GET /v1/auth/cli/config", (_, response) => json(response, 200, config));
  const project = new Project();
  const { code, stderr } = await arkor(["login", "--oauth"], project.at(backend)).exit;
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`^error: .* has no login set up: ${field} is empty`));
});

it.each([
  "https://login.example",
  "login.example/path",
  "user@login.example",
  "127.0.0.1:1@login.example",
  "login.example?a=b",
  "login\u001b[31m.example",
  "login.example:port",
])("refuses an auth0Domain that is more than host and port: %j", async (auth0Domain) => {
  const { backend, project } = await deployment([1]);
  backend.on("GET /v1/auth/cli/config", (_, response) =>
    json(response, 200, { auth0Domain, clientId: "c", audience: null, callbackPorts: [1] }),
  );
  const { code, stderr } = await login(project, backend).exit;
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `error: ${backend.url} has no usable login: auth0Domain in its answer to GET /v1/auth/cli/config is no host, or host:port.\n`,
  });
});

it("an expired login is refreshed once by two commands at once, and the rotated token is kept", async () => {
  const { identity, backend, project } = await deployment([1]);
  backend.on("GET /v1/me", (_, response) => json(response, 200, { user: {}, orgs: [] }));
  project.signIn(backend, {
    mode: "oauth",
    accessToken: "access-1",
    refreshToken: "refresh-1",
    expiresAt: 1,
    auth0Domain: identity.domain,
    audience: null,
    clientId: "client-1",
  });
  const both = [0, 1].map(() => arkor(["whoami"], project.at(backend)).exit);
  expect((await Promise.all(both)).map(({ code, stderr }) => ({ code, stderr }))).toEqual([
    { code: 0, stderr: "" },
    { code: 0, stderr: "" },
  ]);
  expect(identity.tokenRequests).toHaveLength(1);
  expect(backend.to("GET /v1/me").map(({ headers }) => headers.authorization)).toEqual([
    "Bearer access-2",
    "Bearer access-2",
  ]);
  const stored = JSON.parse(readFileSync(project.credentials, "utf8"));
  expect(stored).toMatchObject({ accessToken: "access-2", refreshToken: "refresh-2" });
});
