// `createTrainer` looks at what it was given before anything is sent.
import { describe, expect, it, onTestFinished } from "vitest";
import { createTrainer, type TrainerContext, type TrainerInput } from "../index.js";
import { Backend, rejection } from "./support/backend.ts";

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

describe("an option nobody knows is one warning", () => {
  const warningsOf = async (input: object, context: object = {}) => {
    const warnings: string[] = [];
    const note = (warning: Error) => {
      if (warning.name === "ArkorOptionWarning") warnings.push(warning.message);
    };
    process.on("warning", note);
    onTestFinished(() => void process.off("warning", note));
    make(input, context);
    await new Promise((resolve) => setImmediate(resolve));
    return warnings;
  };

  it.each<[string, object, object, string]>([
    ["saveStep", { saveStep: 5 }, {}, "`saveStep`; did you mean `saveSteps`?"],
    ["lora.rank", { lora: { rank: 8, alpha: 16 } }, {}, "`lora.rank`; did you mean `lora.r`?"],
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

  it("it reaches no backend", async () => {
    const backend = await Backend.start((stream) => stream.completed().end());
    const input: object = { saveStep: 5 };
    await backend.trainer(input).wait();
    expect(JSON.parse(backend.to("POST /v1/jobs")[0].body).config).not.toHaveProperty("saveStep");
  });
});
