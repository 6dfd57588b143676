// Each error of the specification, provoked: one line on stderr, exit 1, no stack; with ARKOR_DEBUG=1
// the stack, and the cause where there is one.
import { mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Backend, type Handler, json } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";

const ENTRY = `
  import { createTrainer } from "arkor";
  export const trainer = createTrainer(
    { name: "run", model: "m", dataset: { type: "blob", url: "https://data.test/rows.jsonl" } },
    { maxReconnectAttempts: 1, reconnectDelayMs: 1 },
  );
`;
const STATE = { orgSlug: "another", projectSlug: "p", projectId: "i" };
const OAUTH = {
  mode: "oauth",
  accessToken: "s3cret-access",
  refreshToken: "s3cret-refresh",
  expiresAt: 4_000_000_000,
  auth0Domain: "127.0.0.1:1",
  audience: null,
  clientId: "client",
};

interface Case {
  args?: string[];
  files?: Record<string, string>;
  credentials?: Record<string, unknown> | null;
  routes?: Record<string, Handler>;
  env?: Record<string, string>;
  prepare?: (project: Project) => void;
  expected: RegExp;
  /** What the stack of the cause contains. */
  cause?: RegExp;
}

const answer =
  (status: number, body: unknown): Handler =>
  (_, response) =>
    json(response, status, body);
const unreadable = (project: Project) => mkdirSync(project.credentials, { recursive: true });
const NOWHERE = { ARKOR_CLOUD_API_URL: "http://user:s3cret@127.0.0.1:1/base" };
const REFUSED_THERE =
  /^Can't reach 127\.0\.0\.1:1: Connection refused.*, ECONNREFUSED\. Nothing listens there\. Is ARKOR_CLOUD_API_URL right\?$/;
const UNSUPPORTED = {
  error: "sdk_version_unsupported",
  currentVersion: "0.1.0",
  supportedRange: ">=2",
};

const CASES: Record<string, Case> = {
  "an entry that is not there": {
    args: ["build", "other.ts"],
    expected:
      /^Build entry not found: \S+other\.ts\. Create src\/arkor\/index\.ts or pass an explicit entry argument\.$/,
  },
  "an entry without a trainer": {
    files: { "src/arkor/index.ts": "export const other = 1;" },
    expected:
      /^Training entry must export `arkor` \(from createArkor\(\{\.\.\.\}\)\) or `trainer` /,
  },
  "an entry that can't be parsed": {
    files: { "src/arkor/index.ts": "const = 1;" },
    expected: /^src\/arkor\/index\.ts:1:7: Expected identifier but found "="$/,
    cause: /\[cause\]: Error: Build failed with 1 error/,
  },
  "the state of another organisation": {
    files: { ".arkor/state.json": JSON.stringify(STATE) },
    expected: /scoped to a different organization \(another\).*Delete the file.*, or log in with/,
  },
  "an account without a state": {
    credentials: OAUTH,
    expected: /^No \.arkor\/state\.json found in .*"orgSlug".*"projectSlug".*"projectId"/,
  },
  "credentials that can't be read": {
    credentials: null,
    prepare: unreadable,
    expected: /^Can't read the credentials at \S+credentials\.json: /,
  },
  "credentials that can't be read, at whoami": {
    args: ["whoami"],
    credentials: null,
    prepare: unreadable,
    expected: /^Can't read the credentials at /,
  },
  "an anonymous identity that is refused": {
    credentials: null,
    routes: { "POST /v1/auth/anonymous": answer(429, { error: "slow down" }) },
    expected: /^Failed to acquire anonymous token \(429\): \{"error":"slow down"\}$/,
  },
  "a login that can't be renewed": {
    args: ["whoami"],
    credentials: { ...OAUTH, expiresAt: 1 },
    expected: /^Can't reach 127\.0\.0\.1:1: Connection refused.*$/,
    cause: /\[cause\]: Error: .*[Cc]onnection refused/,
  },
  "a backend that is not there": {
    env: NOWHERE,
    expected: REFUSED_THERE,
    cause: /code: 'ECONNREFUSED'/,
  },
  "a backend that is not there, at whoami": {
    args: ["whoami"],
    env: NOWHERE,
    expected: REFUSED_THERE,
  },
  "a backend's address that is none": {
    env: { ARKOR_CLOUD_API_URL: "" },
    expected:
      /^fetch failed \(the backend's URL can't be parsed \(ARKOR_CLOUD_API_URL\?\), ERR_INVALID_URL\)$/,
  },
  "a submission that is refused": {
    routes: { "POST /v1/jobs": answer(400, { error: "model: unknown\nmodel" }) },
    expected: /^model: unknown model$/,
  },
  "a submission whose answer has no job": {
    routes: { "POST /v1/jobs": answer(201, {}) },
    expected: /^The backend's answer to POST \/v1\/jobs is not usable: job is missing$/,
  },
  "a version that is no longer supported, at start": {
    routes: { "POST /v1/jobs": answer(426, UNSUPPORTED) },
    env: { npm_config_user_agent: "pnpm/9 npm/? node/v20" },
    expected:
      /^Arkor SDK 0\.1\.0 is no longer supported \(supported: >=2\)\. Upgrade with: pnpm add -g arkor@latest$/,
  },
  "a version that is no longer supported, at whoami": {
    args: ["whoami"],
    routes: { "GET /v1/me": answer(426, { ...UNSUPPORTED, reason: "missing" }) },
    env: { npm_config_user_agent: "npm/11 node/v20" },
    expected: /^X-Arkor-Client header was missing\. Upgrade with: npm install -g arkor@latest$/,
  },
  "a stream that may not be had": {
    routes: { "GET /v1/jobs/job-1/events/stream": answer(403, { error: "not yours" }) },
    expected: /^not yours$/,
  },
  "a stream that fails again and again": {
    routes: { "GET /v1/jobs/job-1/events/stream": answer(503, { error: "busy" }) },
    expected: /^Trainer SSE stream failed 2 consecutive times; giving up\. \(busy\)$/,
    cause: /\[cause\]: CloudApiError: busy/,
  },
  "a job that is not there": {
    args: ["attach", "job-9"],
    files: { ".arkor/state.json": JSON.stringify({ ...STATE, orgSlug: "the org" }) },
    expected: /^no such route: GET \/v1\/jobs\/job-9$/,
  },
  "a list of jobs that is none": {
    args: ["jobs"],
    files: { ".arkor/state.json": JSON.stringify({ ...STATE, orgSlug: "the org" }) },
    routes: { "GET /v1/jobs": answer(200, { jobs: [{ id: "a" }] }) },
    expected: /^The backend's answer to GET \/v1\/jobs is not usable: jobs\[0\]\.orgId is missing$/,
  },
  "a login in a CI": {
    args: ["login", "--oauth"],
    env: { CI: "true" },
    expected: /^--oauth needs a person at a browser, and CI is set\./,
  },
  "a deployment that describes no login": {
    args: ["login", "--oauth"],
    credentials: null,
    routes: { "GET /v1/auth/cli/config": answer(200, { clientId: "c" }) },
    expected:
      /^The backend's answer to GET \/v1\/auth\/cli\/config is not usable: missing field `auth0Domain`/,
  },
  "a local backend that is not there": {
    args: ["start", "--local"],
    env: { ARKOR_LOCAL_BIN: "nowhere" },
    expected: /^ARKOR_LOCAL_BIN names a file that does not exist: /,
  },
  "a local backend that is not there, alone": {
    args: ["local"],
    env: { ARKOR_LOCAL_BIN: "nowhere" },
    expected: /^ARKOR_LOCAL_BIN names a file that does not exist: /,
  },
  "a flag that there is not": {
    args: ["jobs", "--jason"],
    expected: /^unknown option '--jason' \(Did you mean --json\?\)$/,
  },
  "an argument that is missing": {
    args: ["cancel"],
    expected: /^missing required argument 'jobId'$/,
  },
};

describe.each(Object.entries(CASES))("%s", (_, one) => {
  const { args = ["start"], files, routes = {}, env, prepare, expected, cause } = one;

  async function provoke(debug?: string) {
    const backend = await Backend.start();
    for (const [route, handler] of Object.entries(routes)) backend.on(route, handler);
    const project = new Project({ "src/arkor/index.ts": ENTRY, ...files });
    if (one.credentials !== null) project.signIn(backend, one.credentials);
    prepare?.(project);
    return arkor(args, project.at(backend, { ...env, ARKOR_DEBUG: debug })).exit;
  }

  it("is one line, with exit code 1", async () => {
    const { code, stdout, stderr } = await provoke();
    expect(code).toBe(1);
    const lines = stderr.trimEnd().split("\n");
    // esbuild's message is followed by a line of source.
    const frame = lines.findIndex((text) => text.includes("│"));
    if (frame >= 0) lines.splice(frame);
    const [line = ""] = lines.splice(-1);
    expect(line).toMatch(/^error: /);
    expect(line.replace("error: ", "")).toMatch(expected);
    // The only other lines name the backend and announce a reconnect.
    const rest = lines.filter((other) => !/^(reconnecting in|Using the cloud at) /.test(other));
    expect(rest).toEqual([]);
    expect(stdout.replace("Started job job-1\n", "")).toBe("");
    expect(stderr).not.toContain("s3cret");
  });

  it("has its stack with ARKOR_DEBUG=1, and its cause", async () => {
    const { code, stderr } = await provoke("1");
    expect(code).toBe(1);
    expect(stderr).toMatch(/\n {4}at /);
    if (cause) expect(stderr).toMatch(cause);
    expect(stderr).not.toContain("s3cret");
  });
});

it("a corrupt credentials file is replaced by start, which says so", async () => {
  const backend = await Backend.start((stream) => stream.completed());
  const personalOrg = { id: "o", slug: "org-1", name: "Org" };
  backend.on("POST /v1/auth/anonymous", (_, response) =>
    json(response, 200, { token: "t", anonymousId: "i", kind: "cli", personalOrg }),
  );
  const project = new Project({ "src/arkor/index.ts": ENTRY }).signIn(backend);
  writeFileSync(project.credentials, "{ torn");
  const { code, stderr } = await arkor(["start"], project.at(backend)).exit;
  expect(code).toBe(0);
  expect(stderr).toMatch(/credentials\.json was not readable as credentials and was replaced/);
});
