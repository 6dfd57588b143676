// Responses with missing, invalid or additional fields: the caller still gets the rest.
import { describe, expect, it } from "vitest";
import { CloudApiClient } from "../../index.js";
import { Backend, CREDENTIALS, JOB, json, rejection } from "../support/backend.ts";

const scope = { orgSlug: "o", projectSlug: "p" };
const KEY = { id: "k", label: "ci", prefix: "ak_1", enabled: true, createdAt: "2026-01-01" };

async function clientOf(route: string, body: string | object): Promise<CloudApiClient> {
  const backend = await Backend.start();
  backend.on(route, (_, response) => {
    if (typeof body !== "string") return json(response, 200, body);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(body);
  });
  return new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
}

describe("createDeploymentKey: the plaintext is shown once, and never lost", () => {
  const route = "POST /v1/endpoints/d/keys";
  const made = { id: "k", label: "ci", plaintext: "secret", prefix: "ak_1", createdAt: "now" };

  it("with what the backend sends, and nothing else", async () => {
    const client = await clientOf(route, { key: made });
    expect(await client.createDeploymentKey("d", scope, { label: "ci" })).toEqual({ key: made });
  });

  it.each(["label", "prefix", "createdAt"])("without `%s`", async (field) => {
    const { [field as "label"]: _, ...rest } = made;
    const client = await clientOf(route, { key: rest });
    expect(await client.createDeploymentKey("d", scope, { label: "ci" })).toEqual({ key: rest });
  });

  it("without the plaintext it's an error that says so", async () => {
    const client = await clientOf(route, { key: KEY });
    const failure = await rejection(client.createDeploymentKey("d", scope, { label: "ci" }));
    expect(String(failure)).toContain("key.plaintext is missing");
  });
});

describe("listDeploymentKeys", () => {
  const route = "GET /v1/endpoints/d/keys";

  it("takes a key without lastUsedAt, and drops a plaintext", async () => {
    const client = await clientOf(route, { keys: [{ ...KEY, plaintext: "secret" }] });
    expect(await client.listDeploymentKeys("d", scope)).toEqual({ keys: [KEY] });
  });

  const deep = `${"[".repeat(1000)}${"]".repeat(1000)}`;
  it.each([
    ["a bare NaN", "NaN", Number.NaN],
    ["a bare -Infinity", "-Infinity", Number.NEGATIVE_INFINITY],
    ["1e400", "1e400", Number.POSITIVE_INFINITY],
    ["a lone surrogate", '"\\ud800"', "\ud800"],
    ["any depth", deep, JSON.parse(deep)],
  ])("reads %s", async (_, text, value) => {
    const body = `{"keys":[{${JSON.stringify(KEY).slice(1, -1)},"more":${text}}]}`;
    const client = await clientOf(route, body);
    const { keys } = await client.listDeploymentKeys("d", scope);
    const { more } = keys[0] as unknown as { more: unknown };
    // Nested arrays are compared as text, because `toEqual` recurses.
    if (Array.isArray(more)) expect(JSON.stringify(more)).toBe(JSON.stringify(value));
    else expect(more).toEqual(value);
  });
});

describe("the job of a run that diverged", () => {
  const body = JSON.stringify({ job: { ...JOB, status: "failed", loss: 0 } }).replace(
    '"loss":0',
    '"loss":NaN',
  );

  it("getJob reads", async () => {
    const client = await clientOf(`GET /v1/jobs/${JOB.id}`, body);
    const { job } = await client.getJob(JOB.id, scope);
    expect(job).toEqual({ ...JOB, status: "failed", loss: Number.NaN });
  });

  it("T13: gives wait() its true state", async () => {
    const backend = await Backend.start((stream) => stream.write("event: end\n\n").end());
    backend.on(`GET /v1/jobs/${JOB.id}`, (_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(body);
    });
    const { job } = await backend.trainer().wait();
    expect(job).toMatchObject({ status: "failed", loss: Number.NaN });
  });
});

describe.each(["the engine", "a given fetch"])("a call without an answer, by %s", (by) => {
  it("is done when the backend says so, whatever becomes of the body", async () => {
    const backend = await Backend.start();
    for (const route of ["POST /v1/jobs/j/cancel", "DELETE /v1/endpoints/d/keys/k"]) {
      backend.on(route, (_, response) => {
        response.writeHead(200, { "content-length": 100 }).write("cut", () => response.destroy());
      });
    }
    const fetch = by === "the engine" ? undefined : globalThis.fetch;
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS, fetch });
    expect(await client.cancelJob("j", scope)).toBeUndefined();
    expect(await client.revokeDeploymentKey("d", "k", scope)).toBeUndefined();
  });
});

it("T5: cancel() is done when the backend says so, whatever becomes of the body", async () => {
  const backend = await Backend.start();
  backend.on(`POST /v1/jobs/${JOB.id}/cancel`, (_, response) => {
    response.writeHead(200, { "content-length": 100 }).write("cut", () => response.destroy());
  });
  const trainer = backend.trainer();
  await trainer.start();
  expect(await trainer.cancel()).toBeUndefined();
});

it("a 200 with a reason phrase beyond Latin-1 is a 200", async () => {
  const backend = await Backend.start();
  backend.on("POST /v1/inference/chat", (_, response) => {
    response.socket?.end(
      "HTTP/1.1 200 成功\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    );
  });
  const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
  const response = await client.chat({ scope, body: { messages: [] } });
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({});
});

describe("timeoutMs", () => {
  const silent = async () => {
    const backend = await Backend.start();
    backend.on("GET /v1/endpoints", () => {});
    return backend;
  };

  it("ends the wait for an answer that never begins", async () => {
    const backend = await silent();
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
    const failure = (await rejection(client.listDeployments(scope, { timeoutMs: 20 }))) as Error;
    expect(failure).toBeInstanceOf(TypeError);
    expect(failure.cause).toMatchObject({ code: "ETIMEDOUT" });
  });

  it("does so through a given fetch, also one that ignores its signal", async () => {
    const backend = await silent();
    for (const fetch of [globalThis.fetch, () => new Promise<Response>(() => {})]) {
      const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS, fetch });
      const failure = (await rejection(client.listDeployments(scope, { timeoutMs: 20 }))) as Error;
      expect(failure.cause).toMatchObject({ code: "ETIMEDOUT" });
    }
  });

  it("an abort ends a call through a given fetch that ignores its signal", async () => {
    const fetch = () => new Promise<Response>(() => {});
    const options = { baseUrl: "http://api.made-up.test", credentials: CREDENTIALS, fetch };
    const client = new CloudApiClient(options);
    const controller = new AbortController();
    const failing = rejection(client.listDeployments(scope, { signal: controller.signal }));
    controller.abort("enough");
    expect(await failing).toBe("enough");
  });

  it("that is no time is refused", async () => {
    const client = await clientOf("GET /v1/endpoints", { deployments: [] });
    const failure = await rejection(client.listDeployments(scope, { timeoutMs: -1 }));
    expect(String(failure)).toContain("`timeoutMs` must be a number above 0");
  });

  it("signal aborts any call, with its reason", async () => {
    const backend = await silent();
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
    const controller = new AbortController();
    const failing = rejection(client.listDeployments(scope, { signal: controller.signal }));
    await backend.until(() => backend.requests.length === 1);
    controller.abort("enough");
    expect(await failing).toBe("enough");
  });
});

it("a connection that the server is about to close isn't used for the next request", async () => {
  // This server announces that it keeps connections for a second, and then closes them.
  const backend = await Backend.start();
  backend.server.keepAliveTimeout = 1000;
  backend.on("GET /v1/endpoints", (_, response) => json(response, 200, { deployments: [] }));
  const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
  await client.listDeployments(scope);
  const connections: unknown[] = [];
  backend.server.on("connection", (socket) => connections.push(socket));
  await client.listDeployments(scope);
  await client.listDeployments(scope);
  expect(connections).toHaveLength(2);
});
