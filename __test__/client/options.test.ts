// `createTrainer` looks at what it was given before anything is sent.
import { describe, expect, it, onTestFinished } from "vitest";
import {
  CloudApiClient,
  createTrainer,
  type InferArgs,
  type TrainerContext,
  type TrainerInput,
} from "../../index.js";
import { Backend, CREDENTIALS, json, rejection } from "../support/backend.ts";

const INPUT = { name: "n", model: "m", dataset: { type: "blob", url: "https://x/y" } };
const make = (input: object, context: object = {}) =>
  createTrainer({ ...INPUT, ...input } as TrainerInput, context as TrainerContext);

describe("what can't be used is a TypeError that names it", () => {
  it.each<[string, object, object, string]>([
    [
      "the controller for its signal",
      { abortSignal: new AbortController() },
      {},
      "pass `controller.signal`",
    ],
    ["a signal that is none", { abortSignal: {} }, {}, "`abortSignal` must be an AbortSignal"],
    ["a name that is no string", { name: 7 }, {}, "`name` must be a string, not a number"],
    ["no name", { name: undefined }, {}, "`name` must be a string, not undefined"],
    ["a model that is no string", { model: {} }, {}, "`model` must be a string"],
    [
      "a dataset that is a path",
      { dataset: "data.jsonl" },
      {},
      "`dataset` must be an object, not a string",
    ],
    ["lora as a number", { lora: 16 }, {}, "`lora` must be an object, not a number"],
    ["callbacks as a list", { callbacks: [] }, {}, "`callbacks` must be an object, not an array"],
    [
      "onReconnect that is no function",
      {},
      { onReconnect: true },
      "`context.onReconnect` must be a function",
    ],
    [
      "a baseUrl that is no string",
      {},
      { baseUrl: new URL("http://x") },
      "`context.baseUrl` must be a string",
    ],
  ])("%s", (_, input, context, message) => {
    expect(() => make(input, context)).toThrow(TypeError);
    expect(() => make(input, context)).toThrow(message);
  });

  it("a signal that is put in later is looked at by wait(), before anything is sent", async () => {
    const backend = await Backend.start();
    const input = { abortSignal: undefined as unknown };
    const trainer = createTrainer(Object.assign(input, INPUT) as unknown as TrainerInput, {
      baseUrl: backend.url,
    });
    input.abortSignal = new AbortController();
    expect(String(await rejection(trainer.wait()))).toContain("pass `controller.signal`");
    expect(backend.requests).toEqual([]);
  });
});

/** What `use` does with the `infer` of a checkpoint, on a backend that answers every question. */
async function withInfer(use: (infer: (args: object) => Promise<Response>) => Promise<unknown>) {
  const backend = await Backend.start((stream) =>
    stream.event("checkpoint.saved", { step: 1 }, 1).completed().end(),
  );
  backend.on("POST /v1/inference/chat", (_, response) => json(response, 200, {}));
  const results: unknown[] = [];
  await backend
    .trainer({
      callbacks: {
        async onCheckpoint({ infer }) {
          results.push(await use((args) => infer(args as InferArgs)));
        },
      },
    })
    .wait();
  return { backend, result: results[0] };
}

describe("a signal of another kind is a TypeError, and nothing is sent", () => {
  it("by infer", async () => {
    const args = { messages: [], signal: new AbortController() };
    const { backend, result } = await withInfer((infer) => rejection(infer(args)));
    expect(String(result)).toContain("infer: `signal` must be an AbortSignal");
    expect(String(result)).toContain("pass `controller.signal`");
    expect(backend.to("POST /v1/inference/chat")).toEqual([]);
  });

  it.each(["the engine", "a given fetch"])("by a call of the client, by %s", async (by) => {
    const backend = await Backend.start();
    const fetch = by === "the engine" ? undefined : globalThis.fetch;
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS, fetch });
    const options = { signal: new AbortController() as unknown as AbortSignal };
    const failure = await rejection(client.listProjects("o", options));
    expect(failure).toBeInstanceOf(TypeError);
    expect(String(failure)).toContain("CloudApiClient.listProjects: `signal` must be");
    expect(backend.requests).toEqual([]);
  });
});

describe("a number that JSON can't carry is refused by name: null would mean the default", () => {
  it.each([
    ["learningRate", { learningRate: Number.NaN }],
    ["alpha", { lora: { r: 8, alpha: Number.POSITIVE_INFINITY } }],
    ["saveSteps", { saveSteps: 5n }],
  ])("%s, before a job is submitted", async (name, input) => {
    const backend = await Backend.start();
    const failure = await rejection(backend.trainer(input).start());
    expect(failure).toBeInstanceOf(TypeError);
    expect(String(failure)).toContain(`createTrainer: \`${name}\` can't be sent`);
    expect(backend.requests).toEqual([]);
  });

  it("temperature, before a question is asked", async () => {
    const args = { messages: [], temperature: Number.NaN };
    const { backend, result } = await withInfer((infer) => rejection(infer(args)));
    expect(String(result)).toContain("infer: `temperature` can't be sent: JSON has no NaN");
    expect(backend.to("POST /v1/inference/chat")).toEqual([]);
  });

  it("a field of a call of the client", async () => {
    const backend = await Backend.start();
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
    const scope = { orgSlug: "o", projectSlug: "p" };
    const job = { ...scope, name: "n", config: { learningRate: Number.NaN } };
    expect(String(await rejection(client.createJob(job)))).toContain(
      "`learningRate` can't be sent",
    );
    expect(backend.requests).toEqual([]);
  });
});

/** The warnings of unknown options during `action`. */
async function warningsDuring(action: () => unknown): Promise<string[]> {
  const warnings: string[] = [];
  const note = (warning: Error) => {
    if (warning.name === "ArkorOptionWarning") warnings.push(warning.message);
  };
  process.on("warning", note);
  onTestFinished(() => void process.off("warning", note));
  await action();
  await new Promise((resolve) => setImmediate(resolve));
  return warnings;
}

describe("an option nobody knows is one warning", () => {
  const warningsOf = (input: object, context: object = {}) =>
    warningsDuring(() => make(input, context));

  it.each<[string, object, object, string]>([
    ["saveStep", { saveStep: 5 }, {}, "`saveStep`; did you mean `saveSteps`?"],
    ["lora.rank", { lora: { rank: 8, alpha: 16 } }, {}, "`lora.rank`; did you mean `lora.r`?"],
    [
      "dataset.revision",
      { dataset: { type: "huggingface", name: "a/b", revision: "v2" } },
      {},
      "`dataset.revision`",
    ],
    [
      "callbacks.onlog",
      { callbacks: { onlog() {} } },
      {},
      "`callbacks.onlog`; did you mean `callbacks.onLog`?",
    ],
    [
      "context.reconnectDelay",
      {},
      { reconnectDelay: 1 },
      "`context.reconnectDelay`; did you mean `context.reconnectDelayMs`?",
    ],
    ["something else entirely", { quux: 1 }, {}, "`quux`"],
  ])("%s", async (_, input, context, words) => {
    expect(await warningsOf(input, context)).toEqual([`createTrainer: unknown option ${words}`]);
  });

  it("known ones, and the state of the user's own callbacks object, are none", async () => {
    const callbacks = { seen: [], onLog() {}, helper() {} };
    const lora = { r: 8, alpha: 16, maxLength: 64, loadIn4bit: false };
    const context = { onCredentials() {}, onReconnect() {}, idleTimeoutMs: 1 };
    expect(await warningsOf({ callbacks, lora, saveSteps: 1, dryRun: true }, context)).toEqual([]);
  });

  it("max_tokens of infer, however often it is called", async () => {
    const args = { messages: [], max_tokens: 5 };
    const warnings = await warningsDuring(() =>
      withInfer(async (infer) => {
        await infer(args);
        await infer(args);
      }),
    );
    expect(warnings).toEqual(["infer: unknown option `max_tokens`; did you mean `maxTokens`?"]);
  });

  it("none of infer's own", async () => {
    const { signal } = new AbortController();
    const args = { messages: [], temperature: 0, topP: 1, maxTokens: 1, stream: false, signal };
    expect(await warningsDuring(() => withInfer((infer) => infer(args)))).toEqual([]);
  });

  it("of CloudApiClient", async () => {
    const options = { baseUrl: "http://127.0.0.1:1", credentials: CREDENTIALS, onCredential() {} };
    expect(await warningsDuring(() => new CloudApiClient(options))).toEqual([
      "CloudApiClient: unknown option `onCredential`; did you mean `onCredentials`?",
    ]);
  });

  it("it reaches no backend", async () => {
    const backend = await Backend.start((stream) => stream.completed().end());
    const input: object = { saveStep: 5 };
    await backend.trainer(input).wait();
    expect(JSON.parse(backend.to("POST /v1/jobs")[0].body).config).not.toHaveProperty("saveStep");
  });
});
