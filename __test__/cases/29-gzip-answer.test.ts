// Compressed responses to `infer` and the client: the caller gets what `fetch` would return.
import { once } from "node:events";
import {
  brotliCompressSync,
  constants,
  createGzip,
  deflateRawSync,
  deflateSync,
  gzipSync,
} from "node:zlib";
import { describe, expect, it } from "vitest";
import { CloudApiClient } from "../../index.js";
import { Backend, CREDENTIALS, JOB, rejection } from "../support/backend.ts";
import { zstdFrame } from "../support/zstd.ts";

const scope = { orgSlug: "o", projectSlug: "p" };
const TEXT = '{"ok":true,"text":"naïve 🎉"}';

const clientOf = (backend: Backend) =>
  new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });

const COMPRESSED: [string, (text: string) => Buffer][] = [
  ["gzip", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
  ["zstd", zstdFrame],
];

describe.each(COMPRESSED)("%s", (coding, compress) => {
  it("of chat arrives decoded", async () => {
    const backend = await Backend.start();
    backend.on("POST /v1/inference/chat", (_, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-encoding": coding });
      response.end(compress(TEXT));
    });
    const response = await clientOf(backend).chat({ scope, body: { messages: [] } });
    expect(await response.text()).toBe(TEXT);
  });

  it("of infer arrives decoded", async () => {
    const backend = await Backend.start((stream) =>
      stream.event("checkpoint.saved", { step: 1 }, 1).completed().end(),
    );
    backend.on("POST /v1/inference/chat", (_, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-encoding": coding });
      response.end(compress(TEXT));
    });
    const texts: string[] = [];
    await backend
      .trainer({
        callbacks: {
          async onCheckpoint({ infer }) {
            texts.push(await (await infer({ messages: [], stream: false })).text());
          },
        },
      })
      .wait();
    expect(texts).toEqual([TEXT]);
  });
});

function headersOf({ headers }: Response): Record<string, string> {
  const fields: Record<string, string> = {};
  headers.forEach((value, name) => {
    fields[name] = value;
  });
  return fields;
}

/** Encoded bodies with their `Content-Encoding`; Node 20's `fetch` knows all of them. */
const ENCODED: [string, string, Buffer][] = [
  ["gzip", "gzip", gzipSync(TEXT)],
  ["gzip in capitals", "GZIP", gzipSync(TEXT)],
  ["gzip by its old name", "x-gzip", gzipSync(TEXT)],
  ["gzip of two members", "gzip", Buffer.concat([gzipSync(TEXT), gzipSync(TEXT)])],
  ["deflate", "deflate", deflateSync(TEXT)],
  ["deflate without the header of zlib", "deflate", deflateRawSync(TEXT)],
  ["brotli", "br", brotliCompressSync(TEXT)],
  ["one coding upon another", "gzip, br", brotliCompressSync(gzipSync(TEXT))],
  ["a coding that nobody knows", "rot13", Buffer.from(TEXT)],
  ["nothing, said to be gzip", "gzip", Buffer.alloc(0)],
];

it.each(ENCODED)("%s has the body and the headers that fetch gives it", async (_, coding, body) => {
  const backend = await Backend.start();
  backend.on("POST /v1/inference/chat", (_, response) => {
    response.writeHead(200, {
      "content-type": "application/json",
      "content-encoding": coding,
      "content-length": body.length,
      date: "Thu, 01 Jan 2026 00:00:00 GMT",
    });
    response.end(body);
  });
  const ours = await clientOf(backend).chat({ scope, body: {} });
  const theirs = await fetch(`${backend.url}/v1/inference/chat`, { method: "POST" });
  expect(headersOf(ours)).toEqual(headersOf(theirs));
  expect(await ours.text()).toBe(await theirs.text());
});

it("the limits are those of the decoded body: an answer", async () => {
  const backend = await Backend.start();
  const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024, " "));
  backend.on("GET /v1/endpoints", (_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
    response.end(bomb);
  });
  const failure = await rejection(clientOf(backend).listDeployments(scope));
  expect(String(failure)).toContain("The answer is larger than the limit of 64 MiB");
});

it("the limits are those of the decoded body: an event", async () => {
  const backend = await Backend.start();
  const bomb = gzipSync(
    Buffer.concat([Buffer.from("data: "), Buffer.alloc(17 * 1024 * 1024, "x")]),
  );
  backend.on(`GET /v1/jobs/${JOB.id}/events/stream`, (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "content-encoding": "gzip" });
    response.end(bomb);
  });
  const failure = await rejection(backend.trainer({}, { maxReconnectAttempts: 0 }).wait());
  expect(String((failure as Error).cause)).toContain("16 MiB");
});

it("a compressed refusal has its message", async () => {
  const backend = await Backend.start();
  backend.on("GET /v1/endpoints", (_, response) => {
    response.writeHead(403, { "content-type": "application/json", "content-encoding": "br" });
    response.end(brotliCompressSync('{"error":"not yours"}'));
  });
  const failure = await rejection(clientOf(backend).listDeployments(scope));
  expect(failure).toMatchObject({ status: 403, message: "not yours" });
});

it("a compressed body streams: what was flushed is there before the rest", async () => {
  const backend = await Backend.start();
  const gzip = createGzip();
  backend.on("POST /v1/inference/chat", (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "content-encoding": "gzip" });
    gzip.pipe(response);
    gzip.write("data: first\n\n");
    gzip.flush(constants.Z_SYNC_FLUSH);
  });
  const response = await clientOf(backend).chat({ scope, body: { messages: [] } });
  const reader = response.body?.getReader();
  const first = await reader?.read();
  expect(Buffer.from(first?.value ?? []).toString()).toBe("data: first\n\n");
  gzip.end();
  await once(gzip, "end");
  expect((await reader?.read())?.done).toBe(true);
});

it("a body that claims to be gzip and isn't is a network failure", async () => {
  const backend = await Backend.start();
  backend.on("GET /v1/endpoints", (_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
    response.end("no gzip at all");
  });
  const failure = await rejection(clientOf(backend).listDeployments(scope));
  expect(failure).toBeInstanceOf(TypeError);
  expect((failure as Error).cause).toMatchObject({ code: "EPROTO" });
});

it("a compressed body that is cut short is a failure, never half an answer", async () => {
  const backend = await Backend.start();
  backend.on("POST /v1/inference/chat", (_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
    response.end(gzipSync(TEXT).subarray(0, -12));
  });
  const response = await clientOf(backend).chat({ scope, body: {} });
  expect(await rejection(response.text())).toBeInstanceOf(TypeError);
});
