// What the error for a refused request has besides its status and message.
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { CloudApiClient, CloudApiError } from "../../index.js";
import { Backend, CREDENTIALS, JOB, rejection } from "../support/backend.ts";

const scope = { orgSlug: "o", projectSlug: "p" };
const REFUSAL = '{"error":"Too many jobs","code":"quota_exceeded","limit":3,"loss":NaN}';
const HEADERS = { "x-request-id": "req-7", "retry-after": "30", "set-cookie": "session=secret" };

async function refusing(body: string, headers = HEADERS) {
  const backend = await Backend.start();
  const refuse = (_: unknown, response: import("node:http").ServerResponse) => {
    response.writeHead(429, headers);
    response.end(body);
  };
  for (const route of ["GET /v1/endpoints", "POST /v1/jobs", "POST /v1/inference/chat"]) {
    backend.on(route, refuse);
  }
  return backend;
}

function clientOf(backend: Backend, fetch?: typeof globalThis.fetch) {
  return new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS, fetch });
}

const WAYS: [string, (backend: Backend) => Promise<unknown>][] = [
  ["a call", (backend) => clientOf(backend).listDeployments(scope)],
  ["a call by a given fetch", (backend) => clientOf(backend, fetch).listDeployments(scope)],
  ["chat", (backend) => clientOf(backend).chat({ scope, body: {} })],
  ["start()", (backend) => backend.trainer().start()],
];

it.each(WAYS)(
  "T33: a refused %s tells the code, the request, the headers and the body",
  async (_, ask) => {
    const error = (await rejection(ask(await refusing(REFUSAL)))) as CloudApiError;
    expect(error).toBeInstanceOf(CloudApiError);
    expect(error).toMatchObject({
      status: 429,
      message: "Too many jobs",
      code: "quota_exceeded",
      requestId: "req-7",
    });
    expect(error.headers.get("retry-after")).toBe("30");
    // The body contains a bare NaN, as Python writes it; the message is still read from `error`.
    expect(error.body).toEqual({ ...JSON.parse(REFUSAL.replace("NaN", "0")), loss: Number.NaN });
    expect(inspect(error)).not.toContain("secret");
  },
);

it("T23: so does a stream that is refused for good", async () => {
  const backend = await Backend.start();
  backend.on(`GET /v1/jobs/${JOB.id}/events/stream`, (_, response) => {
    response.writeHead(410, { "x-request-id": "req-8" });
    response.end('{"error":"gone","code":"job_deleted"}');
  });
  expect(await rejection(backend.trainer().wait())).toMatchObject({
    status: 410,
    code: "job_deleted",
    requestId: "req-8",
    body: { error: "gone", code: "job_deleted" },
  });
});

describe("a body", () => {
  const refusalOf = async (body: string) => {
    const backend = await refusing(body, {} as typeof HEADERS);
    return (await rejection(clientOf(backend).listDeployments(scope))) as CloudApiError;
  };

  it("that is no JSON is its text", async () => {
    expect((await refusalOf("<h1>Bad gateway</h1>")).body).toBe("<h1>Bad gateway</h1>");
  });

  it("that is empty is undefined, and nothing else is made up", async () => {
    const error = await refusalOf("");
    expect(error.message).toBe("cloud-api 429");
    expect(error.body).toBeUndefined();
    expect("code" in error).toBe(false);
    expect("requestId" in error).toBe(false);
  });

  it("as OpenAI writes it has its code, too", async () => {
    const error = await refusalOf('{"error":{"message":"m","code":"context_length_exceeded"}}');
    expect(error.code).toBe("context_length_exceeded");
  });
});

it("one that a user makes has no answer", () => {
  const error = new CloudApiError(418, "short and stout");
  const names: string[] = [];
  error.headers.forEach((_, name) => void names.push(name));
  expect(names).toEqual([]);
  expect(error.body).toBeUndefined();
});
