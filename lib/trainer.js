// `createTrainer`, a thin wrapper around a native trainer. It keeps the state that belongs to JavaScript (the
// user's callbacks, the abort signal, thrown values) and leaves every decision to Rust.
"use strict";

const path = require("node:path");
const { binding } = require("./addon.js");
const { resolveDataset } = require("./dataset.js");
const { Dispatcher } = require("./dispatch.js");
const { readEnvironment } = require("./environment.js");
const { native, nativeSync } = require("./errors.js");
const { parse, stringify } = require("./json.js");
const { listenerFor } = require("./credentials.js");
const { checkInferArgs, checkOptions, checkSignal } = require("./options.js");
const { request } = require("./response.js");
const { keepRenewal, listen, unlessAborted } = require("./signal.js");

/** The key of a trainer's methods for the command, which may come from another copy of this package. */
const INTERNALS = Symbol.for("arkor.internals");

const RECONNECT_DELAY_MS = 1000;
const MAX_RECONNECT_DELAY_MS = 60_000;
const IDLE_TIMEOUT_MS = 60_000;

/**
 * @typedef {object} Submitter
 * @property {ReturnType<typeof readEnvironment>} environment
 * @property {import("..").Credentials | undefined} credentials
 * @property {string} directory
 */

/** The object that `createTrainer` returns: see `Trainer` in `index.d.ts`. */
class Trainer {
  /** @type {import("..").TrainerInput} */
  #input;
  /** @type {import("..").TrainerContext} */
  #context;
  #native;
  /** Whether a callback's error ends `wait()`. */
  #rejects;
  /** @type {boolean | undefined} */
  #dryRun;
  /** @type {Promise<{ jobId: string }> | undefined} */
  #starting;
  /** @type {Promise<import("..").TrainingResult> | undefined} */
  #waiting;
  /** @type {Dispatcher | undefined} */
  #dispatcher;
  /** @type {Set<import("./dispatch.js").Observer>} */
  #observers = new Set();
  /** The warnings about arguments of `infer` that were already printed. @type {Set<string>} */
  #warned = new Set();
  /** The command's signal, aborted by Ctrl-C. @type {AbortSignal | undefined} */
  #stop;

  /**
   * @param {import("..").TrainerInput} input
   * @param {import("..").TrainerContext} context
   */
  constructor(input, context) {
    /** @readonly */
    this.name = input.name;
    this.#input = input;
    this.#context = context;
    const options = nativeOptions(input, context);
    this.#rejects = options.rejectCallbackErrors;
    this.#native = new binding.NativeTrainer(options);
    Object.defineProperty(this, INTERNALS, {
      value: {
        setDryRun: (/** @type {boolean} */ value) => {
          this.#dryRun = value;
        },
        observe: (/** @type {import("./dispatch.js").Observer} */ observer) => {
          this.#observers.add(observer);
          return () => this.#observers.delete(observer);
        },
        config: () =>
          parse(
            nativeSync(() =>
              binding.wireConfig(configText(this.#input, this.#dryRun, this.#identity())),
            ),
          ),
        takeDeprecation: () => binding.takeDeprecation(),
        stopOn: (/** @type {AbortSignal} */ signal) => {
          this.#stop = signal;
        },
        attach: (/** @type {string} */ jobId) => {
          this.#starting ??= this.#attach(jobId);
          return this.#starting;
        },
      },
    });
    // Bound, so that `const { start } = trainer` works, as with a plain object.
    this.start = this.start.bind(this);
    this.wait = this.wait.bind(this);
    this.cancel = this.cancel.bind(this);
  }

  /** T1: all calls share one submission; a failed one can be retried. */
  start() {
    this.#starting ??= this.#submitOrForget();
    return this.#starting;
  }

  /** T4: all calls share one run. After a rejection, the next call resumes it. */
  wait() {
    this.#waiting ??= this.#followOrForget();
    return this.#waiting;
  }

  async #submitOrForget() {
    try {
      return await this.#submit();
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  async #followOrForget() {
    try {
      return await this.#follow();
    } catch (error) {
      this.#waiting = undefined;
      throw error;
    }
  }

  /** T5: cancels the submitted job. */
  async cancel() {
    if (this.#starting === undefined) return;
    try {
      await this.#starting;
    } catch {
      return; // Nothing was submitted; `start()` has reported why.
    }
    await native(() => this.#native.cancel());
  }

  async #submit() {
    const identity = this.#identity();
    const submission = JSON.stringify({
      name: this.#input.name,
      input: configText(this.#input, this.#dryRun, identity),
      ...identity,
    });
    const listener = listenerFor(this.#context.onCredentials);
    return this.#take(await native(async () => this.#native.start(submission, listener)));
  }

  /**
   * Follows a job that was submitted earlier, instead of submitting one.
   * @param {string} id
   */
  async #attach(id) {
    const attachment = JSON.stringify({ id, ...this.#identity() });
    const listener = listenerFor(this.#context.onCredentials);
    return this.#take(await native(async () => this.#native.attach(attachment, listener)));
  }

  /** The identity that submits the job, the project's directory, and the backend. */
  #identity() {
    const { baseUrl, credentials, cwd } = this.#context;
    return {
      environment: readEnvironment(),
      baseUrl,
      credentials: credentials ?? undefined,
      directory: cwd == null ? process.cwd() : path.resolve(cwd),
    };
  }

  /** @param {string} text the job that this trainer now follows */
  #take(text) {
    const job = parse(text);
    const { onReconnect } = this.#context;
    this.#dispatcher = new Dispatcher({
      job,
      native: this.#native,
      input: this.#input,
      rejects: this.#rejects,
      inferAt: (step) => (args) => this.#infer(args, step),
      onReconnect,
    });
    this.#dispatcher.observers = this.#observers;
    return { jobId: job.id };
  }

  /** The signal that aborts `wait()`: the user's and the command's combined. */
  #signal() {
    const { abortSignal } = this.#input;
    checkSignal("createTrainer", "abortSignal", abortSignal);
    return this.#stop && abortSignal
      ? AbortSignal.any([abortSignal, this.#stop])
      : (this.#stop ?? abortSignal);
  }

  async #follow() {
    const signal = this.#signal();
    if (signal?.aborted) throw signal.reason; // T30
    await unlessAborted(this.start(), signal);
    const dispatcher = /** @type {Dispatcher} */ (this.#dispatcher);
    // The signal of this `wait()`; a later one may have another (T4).
    dispatcher.signal = signal;
    const onAbort = () => this.#native.abort();
    try {
      const waiting = native(
        async () => this.#native.wait(dispatcher.receive, this.#observers.size > 0),
        () => dispatcher.thrown,
      );
      if (signal) listen(signal, onAbort);
      if (signal?.aborted) onAbort();
      const end = await waiting;
      switch (end.kind) {
        case "aborted":
          throw signal?.reason;
        case "ended":
          if (end.job != null) dispatcher.job = parse(end.job);
          return { job: dispatcher.job, artifacts: [] };
        case "completed":
          return /** @type {import("..").TrainingResult} */ (dispatcher.result);
        default:
          throw new Error("wait() was cut off: its thread is shutting down.");
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      if (signal?.aborted) keepRenewal(this.#native);
    }
  }

  /**
   * @param {import("..").InferArgs} args
   * @param {number} step
   */
  async #infer(args, step) {
    checkInferArgs(args, this.#warned);
    const { signal, ...rest } = args;
    const text = stringify(rest, "infer");
    return request(this.#native, signal, async (abort) => this.#native.chat(text, step, abort));
  }
}

/**
 * @param {import("..").TrainerInput} input
 * @param {import("..").TrainerContext} context
 */
function nativeOptions(input, context) {
  const mode = input.callbackErrors ?? "reconnect";
  if (mode !== "reconnect" && mode !== "reject") {
    throw new TypeError(
      `createTrainer: \`callbackErrors\` must be "reconnect" or "reject", not ${JSON.stringify(mode)}`,
    );
  }
  const attempts = context.maxReconnectAttempts;
  const idle = context.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
  return {
    reconnectDelayMs: span("reconnectDelayMs", context.reconnectDelayMs ?? RECONNECT_DELAY_MS),
    maxReconnectDelayMs: span(
      "maxReconnectDelayMs",
      context.maxReconnectDelayMs ?? MAX_RECONNECT_DELAY_MS,
    ),
    maxReconnectAttempts:
      attempts == null || attempts === Number.POSITIVE_INFINITY ? undefined : count(attempts),
    // T26: 0 and Infinity disable the timeout.
    idleTimeoutMs:
      idle === 0 || idle === Number.POSITIVE_INFINITY ? undefined : span("idleTimeoutMs", idle),
    rejectCallbackErrors: mode === "reject",
  };
}

/** @param {unknown} attempts */
function count(attempts) {
  const number = span("maxReconnectAttempts", attempts);
  if (Number.isInteger(number)) return Math.min(number, 2 ** 32 - 1);
  throw new TypeError(
    `createTrainer: context.maxReconnectAttempts must be a whole number, not ${number}`,
  );
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function span(name, value) {
  if (typeof value === "number" && value >= 0) return value;
  throw new TypeError(
    `createTrainer: context.${name} must be a number from 0, not ${String(value)}`,
  );
}

/**
 * The fields of the input that go into the job's config, including inherited ones and accessors. Rust builds
 * the config from them.
 * @param {import("..").TrainerInput} input
 * @param {boolean | undefined} dryRun
 * @param {Submitter} submitter
 */
function configText(input, dryRun, { credentials, directory, environment }) {
  /** @type {Record<string, unknown>} */
  const fields = {};
  for (const name of binding.inputFields()) fields[name] = Reflect.get(input, name);
  // `ensureCredentials` returns the local identity, too, and the user may have passed it as `credentials`.
  const isLocal = credentials
    ? credentials.mode === "anon" && credentials.anonymousId === "local"
    : environment.localToken !== undefined;
  fields.dataset = resolveDataset(fields.dataset, { directory, isLocal });
  if (dryRun !== undefined) fields.dryRun = dryRun;
  return stringify(fields, "createTrainer");
}

/**
 * @param {import("..").TrainerInput} input
 * @param {import("..").TrainerContext} [context]
 * @returns {import("..").Trainer}
 */
function createTrainer(input, context) {
  if (typeof input !== "object" || input === null) {
    throw new TypeError("createTrainer: the first argument must be an object");
  }
  if (context != null && typeof context !== "object") {
    throw new TypeError("createTrainer: the second argument must be an object");
  }
  checkOptions(input, context ?? {});
  return new Trainer(input, context ?? {});
}

module.exports = { createTrainer };
