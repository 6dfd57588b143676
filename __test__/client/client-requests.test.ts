// Which requests `CloudApiClient` refuses to send, and how it handles redirects and aborts with a given `fetch`.
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { CloudApiClient } from "../../index.js";
import {
  Backend,
  CREDENTIALS,
  gate,
  JOB,
  json,
  rejection,
  temporaryDirectory,
} from "../support/backend.ts";
import { ROOT } from "../support/process.ts";

const SCOPE = { orgSlug: "the org", projectSlug: "a/b" };

it("an id that no path can have is refused, and nothing is sent", async () => {
  const backend = await Backend.start();
  const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
  for (const id of ["", ".", ".."]) {
    await expect(client.deleteDeployment(id, SCOPE)).rejects.toThrow("an id must not be empty");
    await expect(client.revokeDeploymentKey("d", id, SCOPE)).rejects.toThrow("an id must not be");
  }
  expect(backend.requests).toEqual([]);
});

it("a value in the wrong place shows in no message", async () => {
  const client = new CloudApiClient({ baseUrl: "http://127.0.0.1:1", credentials: CREDENTIALS });
  // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
  const error = (await rejection(client.getJob("j", "sk-secret" as any))) as Error;
  expect(error.message).toMatch(/^CloudApiClient\.getJob: `scope` has the wrong type/);
});

it.each([undefined, {}, { baseUrl: 1 }])("options of %j are refused by name", (options) => {
  // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
  const client = () => new CloudApiClient({ credentials: CREDENTIALS, ...options } as any);
  expect(client).toThrow("CloudApiClient: `baseUrl` must be a string");
});

it("T33: a base URL without a host is no URL, and sends the token nowhere", async () => {
  const client = new CloudApiClient({ baseUrl: "http://", credentials: CREDENTIALS });
  expect(await rejection(client.getJob("j", SCOPE))).toMatchObject({
    message: "fetch failed",
    cause: { code: "ERR_INVALID_URL" },
  });
});

it("a user in the base URL makes no second Authorization", async () => {
  const backend = await Backend.start();
  const baseUrl = backend.url.replace("//", "//user:s3cret@");
  const client = new CloudApiClient({ baseUrl, credentials: CREDENTIALS });
  await client.getJob(JOB.id, SCOPE);
  expect(backend.requests[0].headers.authorization).toBe(`Bearer ${CREDENTIALS.token}`);
});

it.each(["the engine", "a given fetch"])(
  "T34: an abort while the body of a refusal comes rejects with the reason, by %s",
  async (by) => {
    const backend = await Backend.start();
    const asked = gate();
    backend.on("POST /v1/inference/chat", (_, response) => {
      response.writeHead(500).write("the beginning", () => asked.open());
    });
    const fetch = by === "the engine" ? undefined : globalThis.fetch;
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS, fetch });
    const controller = new AbortController();
    const chat = client.chat({ scope: SCOPE, body: {}, signal: controller.signal });
    const rejected = rejection(chat);
    await asked.promise;
    controller.abort("why");
    expect(await rejected).toBe("why");
  },
);

describe("T36: redirects under a given fetch", () => {
  const clientOf = (backend: Backend) =>
    new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS, fetch: globalThis.fetch });

  it.each([307, 308])("%i within the origin is followed with its body", async (status) => {
    const backend = await Backend.start();
    backend
      .on("POST /v1/jobs", (_, response) =>
        response.writeHead(status, { location: "/moved" }).end(),
      )
      .on("POST /moved", (_, response) => json(response, 201, { job: JOB }));
    const job = { ...SCOPE, name: "run", config: {} };
    expect(await clientOf(backend).createJob(job)).toEqual({ job: JOB });
    const [moved] = backend.to("POST /moved");
    expect(JSON.parse(moved.body)).toEqual({ name: "run", config: {} });
    expect(moved.headers.authorization).toBe(`Bearer ${CREDENTIALS.token}`);
  });

  it.each([301, 302, 303])("%i of a POST becomes a GET without a body", async (status) => {
    const backend = await Backend.start();
    backend
      .on("POST /v1/jobs", (_, response) =>
        response.writeHead(status, { location: "/moved" }).end(),
      )
      .on("GET /moved", (_, response) => json(response, 200, { job: JOB }));
    const job = { ...SCOPE, name: "run", config: {} };
    expect(await clientOf(backend).createJob(job)).toEqual({ job: JOB });
    const [moved] = backend.to("GET /moved");
    expect([moved.body, moved.headers["content-type"]]).toEqual(["", undefined]);
  });

  it("one to another origin is not, and nothing reaches it", async () => {
    const other = await Backend.start();
    const backend = await Backend.start();
    backend.on("POST /v1/jobs", (_, response) =>
      response.writeHead(307, { location: `${other.url}/v1/jobs` }).end(),
    );
    const error = await rejection(
      clientOf(backend).createJob({ ...SCOPE, name: "run", config: {} }),
    );
    expect(error).toMatchObject({ name: "CloudApiError", status: 307 });
    expect((error as Error).message).toContain(`redirect to ${other.url}/v1/jobs not followed`);
    expect(other.requests).toEqual([]);
  });

  it("one in a circle ends", async () => {
    const backend = await Backend.start();
    backend.on(`GET /v1/jobs/${JOB.id}`, (_, response) =>
      response.writeHead(302, { location: `/v1/jobs/${JOB.id}` }).end(),
    );
    const error = await rejection(clientOf(backend).getJob(JOB.id, SCOPE));
    expect(error).toMatchObject({ status: 302 });
    expect(backend.requests).toHaveLength(21);
  });
});

it.each([
  [".bun/install/global", "bun add -g arkor@latest"],
  ["share/pnpm/global/5", "pnpm add -g arkor@latest"],
  [".yarn/global", "yarn global add arkor@latest"],
  ["lib/node_modules", "npm install -g arkor@latest"],
])("426 of a script in %s says: %s", async (folder, hint) => {
  const backend = await Backend.start();
  backend.on(`GET /v1/jobs/${JOB.id}`, (_, response) => json(response, 426, {}));
  const directory = path.join(temporaryDirectory(), folder);
  mkdirSync(directory, { recursive: true });
  const script = path.join(directory, "script.cjs");
  const options = { baseUrl: backend.url, credentials: CREDENTIALS };
  writeFileSync(
    script,
    `const { CloudApiClient } = require(${JSON.stringify(ROOT)});
    new CloudApiClient(${JSON.stringify(options)})
      .getJob(${JSON.stringify(JOB.id)}, ${JSON.stringify(SCOPE)})
      .catch(({ message }) => console.log(message));`,
  );
  const env = { ...process.env, npm_config_user_agent: undefined };
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env });
  expect(stdout).toMatch(/^Arkor SDK is no longer supported/);
  expect(stdout).toContain(hint);
});
