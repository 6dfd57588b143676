import { getEventListeners } from "node:events";
import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { type CheckpointContext, CloudApiError, type InferArgs } from "../../index.js";
import { Backend, CREDENTIALS, gate, JOB, json, rejection } from "../support/backend.ts";
import { runScript } from "../support/process.ts";

const CHAT = "POST /v1/inference/chat";
const ASK: InferArgs = { messages: [{ role: "user", content: "hello" }] };

/** `infer` of a checkpoint, kept after the run, and the backend that it asks. */
async function checkpoint(answer: (response: ServerResponse) => void) {
  const backend = await Backend.start((stream) =>
    stream.event("checkpoint.saved", { step: 50 }, 1).completed(),
  );
  backend.on(CHAT, (_, response) => answer(response));
  let infer!: CheckpointContext["infer"];
  const callbacks = {
    onCheckpoint: (context: CheckpointContext) => {
      infer = context.infer;
      expect(context.adapter).toEqual({ kind: "checkpoint", jobId: JOB.id, step: 50 });
    },
  };
  await backend.trainer({ callbacks }).wait();
  return { backend, infer };
}

it("T31: posts the arguments and the checkpoint's adapter; stream defaults to true", async () => {
  const { backend, infer } = await checkpoint((response) => json(response, 200, {}));
  await infer(ASK);
  await infer({
    ...ASK,
    stream: false,
    temperature: 0,
    topP: 0.5,
    maxTokens: 9,
    toolChoice: "none",
    responseFormat: { type: "json_object" },
    structuredOutputs: { choice: ["a", "b"] },
  });
  const [first, second] = backend.to(CHAT);
  const adapter = { kind: "checkpoint", jobId: JOB.id, step: 50 };
  expect(JSON.parse(first.body)).toEqual({ adapter, messages: ASK.messages, stream: true });
  expect(JSON.parse(second.body)).toEqual({
    adapter,
    messages: ASK.messages,
    stream: false,
    temperature: 0,
    topP: 0.5,
    maxTokens: 9,
    toolChoice: "none",
    responseFormat: { type: "json_object" },
    structuredOutputs: { choice: ["a", "b"] },
  });
  expect(first.query).toMatchObject({ orgSlug: "the org" });
});

it("T32: resolves with a real Response before the body has come, and streams it", async () => {
  const more = gate();
  const { infer } = await checkpoint(async (response) => {
    response.writeHead(200, "Fine", {
      "content-type": "text/event-stream",
      "x-latin": "caf\u00e9",
      "set-cookie": ["a=1", "b=2"],
    });
    response.write("data: one\n\n");
    await more.promise;
    response.end("data: two\n\n");
  });
  const response = await infer(ASK);
  expect(response).toBeInstanceOf(globalThis.Response);
  expect([response.status, response.ok, response.statusText]).toEqual([200, true, "Fine"]);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  expect(response.headers.get("x-latin")).toBe("caf\u00e9");
  expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  expect(response.url).toMatch(/\/v1\/inference\/chat\?orgSlug=the%20org&/);
  const texts: string[] = [];
  // biome-ignore lint/suspicious/noExplicitAny: lib.dom has no async iterator here
  for await (const chunk of response.body as any) {
    texts.push(Buffer.from(chunk).toString());
    more.open();
  }
  expect(texts).toEqual(["data: one\n\n", "data: two\n\n"]);
});

it("T32: text(), json() and clone() work, of a large body, too", async () => {
  const large = "é".repeat(2_000_000);
  const { infer } = await checkpoint((response) => json(response, 200, { large }));
  expect(await (await infer(ASK)).json()).toEqual({ large });
  const response = await infer(ASK);
  const copy = response.clone();
  expect((await response.text()).length).toBe(large.length + '{"large":""}'.length);
  expect((await copy.text()).length).toBe(large.length + '{"large":""}'.length);
});

it("T34: an answer without a body lets go of the signal", async () => {
  const { infer } = await checkpoint((response) => response.writeHead(204).end());
  const { signal } = new AbortController();
  await infer({ ...ASK, signal });
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

it("T32: 204 has no body", async () => {
  const { infer } = await checkpoint((response) => response.writeHead(204).end());
  const response = await infer(ASK);
  expect([response.status, response.body]).toEqual([204, null]);
});

it("T32: a bring-your-own-buffer reader works to the end", async () => {
  const { infer } = await checkpoint((response) => response.writeHead(200).end("abcdef"));
  const { body } = await infer(ASK);
  const reader = (body as ReadableStream<Uint8Array>).getReader({ mode: "byob" });
  const parts: string[] = [];
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(4));
    if (done) break;
    parts.push(Buffer.from(value).toString());
  }
  expect(parts.join("")).toBe("abcdef");
});

it("T32: cancelling the body closes the connection, also with a read pending", async () => {
  for (const pending of [false, true]) {
    const closed = gate();
    const { infer } = await checkpoint((response) => {
      response.writeHead(200).write("the beginning");
      response.once("close", () => closed.open());
    });
    const { body } = await infer(ASK);
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const read = pending ? reader.read() : undefined;
    await reader.cancel();
    expect(await read).toEqual(pending ? { value: undefined, done: true } : undefined);
    await closed.promise;
  }
});

it("T32: a reader that stops reading holds back the backend", async () => {
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  const stalled = gate();
  const { infer } = await checkpoint((response) => {
    response.writeHead(200);
    const push = () => {
      while (response.write(chunk)) sent += chunk.length;
      sent += chunk.length;
      // Not drained within many turns of the loop: the sockets' buffers are full.
      let turns = 0;
      const wait = () => {
        if (turns++ > 2000) return stalled.open();
        setImmediate(wait);
      };
      response.removeAllListeners("drain").once("drain", () => {
        turns = Number.NEGATIVE_INFINITY;
        push();
      });
      wait();
    };
    push();
  });
  const { body } = await infer(ASK);
  await stalled.promise;
  expect(sent).toBeLessThan(32 * 1024 * 1024);
  await body?.cancel();
});

it("T33: a non-2xx answer rejects with CloudApiError and the backend's message", async () => {
  const { infer } = await checkpoint((response) => json(response, 422, { error: "no such step" }));
  const error = await rejection(infer(ASK));
  expect(error).toBeInstanceOf(CloudApiError);
  expect(error).toMatchObject({ status: 422, message: "no such step" });
});

it.each([
  ["text", "just words", "just words"],
  ["an error that is no string", '{"error":{"a":1}}', '{"error":{"a":1}}'],
  ["nothing", "", "cloud-api 500"],
])("T33: the message of a body of %s", async (_, body, message) => {
  const { infer } = await checkpoint((response) => response.writeHead(500).end(body));
  expect(await rejection(infer(ASK))).toMatchObject({ status: 500, message });
});

it("T33: a network failure rejects with fetch failed and the system's code, no retry", async () => {
  const { backend, infer } = await checkpoint((response) => response.destroy());
  const error = await rejection(infer(ASK));
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toMatchObject({ message: "fetch failed", cause: { code: "ECONNRESET" } });
  expect(backend.to(CHAT)).toHaveLength(1);
});

describe("T34: args.signal aborts with its reason", () => {
  const reason = { any: "value" };

  it("before the request", async () => {
    const { backend, infer } = await checkpoint((response) => json(response, 200, {}));
    expect(await rejection(infer({ ...ASK, signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(backend.to(CHAT)).toEqual([]);
  });

  it("before the answer", async () => {
    const closed = gate();
    const { backend, infer } = await checkpoint(
      (response) => void response.once("close", () => closed.open()),
    );
    const controller = new AbortController();
    const asking = infer({ ...ASK, signal: controller.signal });
    await backend.until(() => backend.to(CHAT).length === 1);
    controller.abort(reason);
    expect(await rejection(asking)).toBe(reason);
    await closed.promise;
  });

  it("while the body streams: with a read pending, between two, and before the first", async () => {
    for (const reading of ["pending", "between", "never"]) {
      const pending = reading === "pending";
      const closed = gate();
      const { infer } = await checkpoint((response) => {
        response.writeHead(200).write("the beginning");
        response.once("close", () => closed.open());
      });
      const controller = new AbortController();
      const { body } = await infer({ ...ASK, signal: controller.signal });
      const reader = (body as ReadableStream<Uint8Array>).getReader();
      if (reading !== "never") await reader.read();
      const read = pending ? rejection(reader.read()) : undefined;
      controller.abort(reason);
      await closed.promise;
      expect(await (read ?? rejection(reader.read()))).toBe(reason);
      expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    }
  });
});

it.each([
  ["infer", "with", "await infer({ messages: [], signal })"],
  ["infer", "without", "await infer({ messages: [] })"],
  ["CloudApiClient", "with", "await client.chat({ scope, body: {}, signal })"],
  ["CloudApiClient", "without", "await client.chat({ scope, body: {} })"],
])(
  "T34: an answer of %s %s a signal that is dropped unread lets go of it, and of its connection",
  async (_, __, ask) => {
    const backend = await Backend.start((stream) =>
      stream.event("checkpoint.saved", { step: 1 }, 1).completed(),
    );
    let open = 0;
    const closed = gate();
    backend.on(CHAT, (_, response) => {
      open++;
      response.writeHead(200).write("the beginning");
      response.once("close", () => --open === 0 && closed.open());
    });
    const given = { baseUrl: backend.url, credentials: CREDENTIALS };
    const finished = runScript(
      `const { getEventListeners } = require("node:events");
    const { signal } = new AbortController();
    const scope = { orgSlug: "o", projectSlug: "p" };
    const client = new arkor.CloudApiClient(${JSON.stringify(given)});
    let infer;
    await arkor.createTrainer(
      { name: "run", model: "m", dataset: { type: "blob", url: "u" },
        callbacks: { onCheckpoint: (context) => { infer = context.infer; } } },
      ${JSON.stringify({ ...given, cwd: backend.directory })},
    ).wait();
    for (let asked = 0; asked < 3; asked++) ${ask};
    let going = true;
    process.once("message", () => { going = false; process.disconnect(); });
    while (going) {
      await new Promise(setImmediate);
      gc();
    }
    console.log(getEventListeners(signal, "abort").length);`,
      { NODE_OPTIONS: "--expose-gc" },
      (child) => void closed.promise.then(() => child.send("closed")),
    );
    expect((await finished).stdout).toBe("0\n");
  },
);

it("an argument that is no object is refused by name", async () => {
  const { infer } = await checkpoint(() => {});
  for (const wrong of [undefined, null, "hello"]) {
    // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
    await expect(infer(wrong as any)).rejects.toThrow("infer: the argument must be an object");
  }
});
