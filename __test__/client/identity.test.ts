import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import {
  AnonymousTokenRejectedError,
  createTrainer,
  credentialsPath,
  defaultArkorCloudApiUrl,
  ensureCredentials,
  ProjectStateMismatchError,
  readCredentials,
  readState,
  requestAnonymousToken,
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
import { OAUTH, useTemporaryHome } from "../support/identity.ts";
import { runScript } from "../support/process.ts";

useTemporaryHome();

function store(content: string) {
  mkdirSync(path.dirname(credentialsPath()), { recursive: true });
  writeFileSync(credentialsPath(), content);
}

/** A backend that issues anonymous identities, `token-1`, `token-2` and so on. */
async function issuing() {
  const backend = await Backend.start();
  let issued = 0;
  backend.on("POST /v1/auth/anonymous", ({ body }, response) => {
    const n = ++issued;
    const { kind } = JSON.parse(body);
    const personalOrg = { id: "o", slug: `org-${n}`, name: "Org" };
    json(response, 200, { token: `token-${n}`, anonymousId: `id-${n}`, kind, personalOrg });
  });
  vi.stubEnv("ARKOR_CLOUD_API_URL", backend.url);
  return backend;
}

describe("the credentials file", () => {
  it("is in the home directory of the moment", () => {
    expect(credentialsPath()).toBe(path.join(process.env.HOME ?? "", ".arkor/credentials.json"));
  });

  it.each([CREDENTIALS, OAUTH])(
    "keeps what is written, for its owner only",
    async (credentials) => {
      expect(await readCredentials()).toBeNull();
      await writeCredentials(credentials);
      expect(await readCredentials()).toEqual(credentials);
      expect(statSync(credentialsPath()).mode & 0o777).toBe(0o600);
      expect(readdirSync(path.dirname(credentialsPath()))).toEqual(["credentials.json"]);
    },
  );

  it("reads as null when it holds no credentials", async () => {
    for (const content of ["", "{", "[]", '{"mode":"anon"}', '{"mode":"other","token":"x"}']) {
      store(content);
      expect(await readCredentials()).toBeNull();
    }
  });

  it("is read with a byte order mark, too", async () => {
    store(`\ufeff${JSON.stringify(CREDENTIALS)}`);
    expect(await readCredentials()).toEqual(CREDENTIALS);
  });

  it("throws when it is there but can't be read, and nothing is overwritten", async () => {
    mkdirSync(credentialsPath(), { recursive: true });
    expect(await rejection(readCredentials())).toMatchObject({ code: "EISDIR" });
    await expect(readCredentials()).rejects.toThrow(
      /Can't read the credentials at .*credentials\.json/,
    );
    await expect(ensureCredentials()).rejects.toThrow(/Can't read the credentials/);
    expect(statSync(credentialsPath()).isDirectory()).toBe(true);
  });

  it("is not written with a field missing or wrong, and no value shows in the error", async () => {
    const { token: _, ...lacking } = CREDENTIALS;
    // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
    await expect(writeCredentials(lacking as any)).rejects.toThrow(/missing field `token`/);
    const wrong = { ...OAUTH, expiresAt: "a-secret" };
    // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
    const error = await rejection(writeCredentials(wrong as any));
    expect((error as Error).message).not.toContain("a-secret");
    expect(existsSync(credentialsPath())).toBe(false);
  });
});

describe("ensureCredentials", () => {
  it("gives what is there, without a request", async () => {
    await writeCredentials(OAUTH);
    expect(await ensureCredentials()).toEqual(OAUTH);
  });

  it("gets and stores an anonymous identity, one for all who ask at once", async () => {
    const backend = await issuing();
    const expected = {
      mode: "anon",
      token: "token-1",
      anonymousId: "id-1",
      arkorCloudApiUrl: backend.url,
      orgSlug: "org-1",
    };
    expect(await Promise.all([ensureCredentials(), ensureCredentials()])).toEqual([
      expected,
      expected,
    ]);
    expect(await readCredentials()).toEqual(expected);
    expect(backend.requests).toHaveLength(1);
    expect(JSON.parse(backend.requests[0].body)).toEqual({ kind: "cli" });
    expect(backend.requests[0].headers.authorization).toBeUndefined();
  });

  it("replaces a corrupt file and says so once on stderr", async () => {
    await issuing();
    store("{ not json");
    const { stdout, stderr } = await runScript(
      "console.log((await arkor.ensureCredentials()).token); await arkor.ensureCredentials();",
    );
    expect(stdout).toBe("token-1\n");
    expect(stderr.match(/was not readable as credentials and was replaced/g)).toHaveLength(1);
    expect(stderr).not.toContain("token-1");
  });
});

it("a refused anonymous token is told by name and status, with the body cut at 500", async () => {
  const backend = await Backend.start();
  backend.on("POST /v1/auth/anonymous", (_, response) =>
    response.writeHead(429).end("x".repeat(600)),
  );
  const error = await rejection(requestAnonymousToken(backend.url, "web"));
  expect(error).toMatchObject({
    name: "AnonymousTokenRejectedError",
    status: 429,
    message: `Failed to acquire anonymous token (429): ${"x".repeat(500)}`,
  });
});

it("a refusal of this version's anonymous token has the status, and the way out", async () => {
  const backend = await Backend.start();
  backend.on("POST /v1/auth/anonymous", (_, response) =>
    json(response, 426, {
      error: "sdk_version_unsupported",
      currentVersion: "1",
      supportedRange: ">=2",
    }),
  );
  const error = await rejection(requestAnonymousToken(backend.url));
  expect(error).toBeInstanceOf(AnonymousTokenRejectedError);
  expect(error).toMatchObject({
    name: "AnonymousTokenRejectedError",
    status: 426,
    message: expect.stringMatching(
      /^Failed to acquire anonymous token \(426\): Arkor SDK 1 is no longer supported \(supported: >=2\)\. Upgrade with: /,
    ),
  });
});

it("requestAnonymousToken gives the identity and stores nothing", async () => {
  const backend = await issuing();
  expect(await requestAnonymousToken(`${backend.url}/`)).toEqual({
    token: "token-1",
    anonymousId: "id-1",
    kind: "cli",
    orgSlug: "org-1",
  });
  expect(existsSync(credentialsPath())).toBe(false);
});

it("an argument of a wrong type is an error like any other", async () => {
  // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
  expect(await rejection(requestAnonymousToken(5 as any))).toBeInstanceOf(Error);
  // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
  await expect(writeCredentials(undefined as any)).rejects.toThrow(/^writeCredentials|credentials/);
});

it("the backend's URL: the environment, the credentials, the default", () => {
  const own = { ...CREDENTIALS, arkorCloudApiUrl: "https://own.test//" };
  expect(defaultArkorCloudApiUrl()).toBe("https://api.arkor.ai");
  expect(defaultArkorCloudApiUrl(own)).toBe("https://own.test");
  vi.stubEnv("ARKOR_CLOUD_API_URL", "https://env.test/");
  expect(defaultArkorCloudApiUrl(own)).toBe("https://env.test");
  vi.stubEnv("ARKOR_CLOUD_API_URL", "");
  expect(defaultArkorCloudApiUrl(own)).toBe("");
  vi.stubEnv("ARKOR_CLOUD_API_URL", undefined);
  expect(defaultArkorCloudApiUrl({ ...own, arkorCloudApiUrl: "" })).toBe("");
});

describe("the project's state", () => {
  const STATE = { orgSlug: "o", projectSlug: "p", projectId: "i" };

  it("keeps what is written, and unusable content reads as null", async () => {
    const cwd = temporaryDirectory();
    expect(statePath(cwd)).toBe(path.join(cwd, ".arkor", "state.json"));
    expect(await readState(cwd)).toBeNull();
    await writeState(STATE, cwd);
    expect(await readState(cwd)).toEqual(STATE);
    writeFileSync(statePath(cwd), '{"orgSlug":"o"}');
    expect(await readState(cwd)).toBeNull();
  });

  it("is created for an anonymous identity, named after the directory", async () => {
    const backend = await Backend.start();
    const cwd = path.join(temporaryDirectory(), "My Project!");
    mkdirSync(cwd);
    await backend.trainer({}, { cwd }).start();
    expect(JSON.parse(backend.to("POST /v1/projects")[0].body)).toEqual({
      name: "My Project!",
      slug: "my-project",
    });
    expect(await readState(cwd)).toEqual({
      orgSlug: CREDENTIALS.orgSlug,
      projectSlug: "my-project",
      projectId: "p",
    });
  });

  it("is looked up when the slug exists already", async () => {
    const backend = await Backend.start();
    const cwd = path.join(temporaryDirectory(), "taken");
    mkdirSync(cwd);
    backend.on("POST /v1/projects", (_, response) => json(response, 409, { error: "exists" }));
    backend.on("GET /v1/projects", (_, response) =>
      json(response, 200, {
        org: { slug: "o" },
        projects: [
          { id: "1", slug: "other" },
          { id: "2", slug: "taken" },
        ],
      }),
    );
    await backend.trainer({}, { cwd }).start();
    expect(await readState(cwd)).toMatchObject({ projectSlug: "taken", projectId: "2" });
  });

  it("of another organisation is an anonymous identity's error, and is not overwritten", async () => {
    const backend = await Backend.start();
    await writeState(STATE, backend.directory);
    const error = await rejection(backend.trainer().start());
    expect(error).toBeInstanceOf(ProjectStateMismatchError);
    expect(error).toMatchObject({ name: "ProjectStateMismatchError" });
    expect((error as Error).message).toMatch(
      /scoped to a different organization.*Delete the file.*log in/,
    );
    expect(await readState(backend.directory)).toEqual(STATE);
    expect(backend.requests).toEqual([]);
  });

  it("is required under OAuth, and the error shows its fields", async () => {
    const backend = await Backend.start();
    const trainer = backend.trainer({}, { credentials: OAUTH });
    await expect(trainer.start()).rejects.toThrow(
      /No \.arkor\/state\.json found.*orgSlug.*projectSlug.*projectId/,
    );
    await writeState(STATE, backend.directory);
    await trainer.start();
    expect(backend.to("POST /v1/jobs")[0].query).toEqual({ orgSlug: "o", projectSlug: "p" });
  });
});

it("ARKOR_LOCAL_TOKEN is not for an explicit baseUrl of another backend", async () => {
  await issuing();
  vi.stubEnv("ARKOR_LOCAL_TOKEN", "of-the-local-backend");
  const backend = await Backend.start();
  await backend.trainer({}, { credentials: undefined }).start();
  const tokens = backend.requests.map(({ headers }) => headers.authorization);
  expect(tokens).toEqual(["Bearer token-1", "Bearer token-1"]);
  expect(await readState(backend.directory)).not.toMatchObject({ orgSlug: "local" });
});

it("ARKOR_LOCAL_TOKEN is for an explicit baseUrl that is the local backend's", async () => {
  const backend = await Backend.start();
  vi.stubEnv("ARKOR_CLOUD_API_URL", backend.url);
  vi.stubEnv("ARKOR_LOCAL_TOKEN", "of-the-local-backend");
  const context = { baseUrl: `${backend.url}/`, credentials: CREDENTIALS };
  await backend.trainer({}, context).start();
  const tokens = backend.requests.map(({ headers }) => headers.authorization);
  expect(tokens).toEqual(["Bearer of-the-local-backend"]);
  expect(await readState(backend.directory)).toBeNull();
});

it("a refusal of the anonymous identity without end is cut off", async () => {
  const backend = await Backend.start();
  backend.on("POST /v1/auth/anonymous", (_, response) => {
    response.writeHead(500).write("x".repeat(1000));
  });
  const error = (await rejection(requestAnonymousToken(backend.url))) as Error;
  expect(error.message).toBe(`Failed to acquire anonymous token (500): ${"x".repeat(500)}`);
});

it("ARKOR_LOCAL_TOKEN is the local identity: nothing is read or written, no cloud token sent", async () => {
  const backend = await Backend.start((stream) => stream.completed());
  await writeCredentials({ ...CREDENTIALS, token: "of-the-cloud" });
  chmodSync(credentialsPath(), 0o000);
  vi.stubEnv("ARKOR_LOCAL_TOKEN", "of-the-local-backend");
  vi.stubEnv("ARKOR_CLOUD_API_URL", backend.url);
  const cwd = path.join(temporaryDirectory(), "Demo");
  mkdirSync(cwd);
  expect(await ensureCredentials()).toMatchObject({ token: "of-the-local-backend" });
  expect(await readCredentials()).toMatchObject({ token: "of-the-local-backend" });
  const input = { name: "run", model: "m", dataset: { type: "blob", url: "u" } } as const;
  await createTrainer(input, { cwd, credentials: CREDENTIALS }).wait();
  for (const { headers, query } of backend.requests) {
    expect(headers.authorization).toBe("Bearer of-the-local-backend");
    expect(query).toEqual({ orgSlug: "local", projectSlug: "demo" });
  }
  expect(backend.to("POST /v1/jobs")).toHaveLength(1);
  expect(backend.opened[0].path).toContain(JOB.id);
  expect(readdirSync(cwd)).toEqual([]);
});
