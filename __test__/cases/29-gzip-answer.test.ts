// Compressed answers of `infer` and of the client: what is handed out is what `fetch` would hand out.
import { once } from "node:events";
import { brotliCompressSync, constants, createGzip, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { CloudApiClient } from "../../index.js";
import { Backend, CREDENTIALS, rejection } from "../support/backend.ts";

const scope = { orgSlug: "o", projectSlug: "p" };
const TEXT = '{"ok":true,"text":"naïve 🎉"}';

const clientOf = (backend: Backend) =>
  new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });

describe.each([
  ["gzip", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
])("%s", (coding, compress) => {
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
});
