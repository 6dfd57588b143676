// Calls the user's callbacks for a batch of events, one by one. The other half is `src/node/dispatch.rs`.
//
// Nothing is decided here: each batch ends with one call of `done`, `threw` or `aborted`, and Rust decides
// what comes next. A value that a callback throws stays in JavaScript, so that `wait()` can reject with the
// same value.
"use strict";

// Node's own `setImmediate`, even if a test fakes the global one.
const { setImmediate } = require("node:timers");
const { binding } = require("./addon.js");
const { messageOf, notify, stackOf, toError } = require("./errors.js");
const { parse, read } = require("./json.js");

// The layout of a batch. It's read from Rust when the first trainer is created, because reading it loads the
// addon. These are plain variables, because they are read many times per event.
let width = 0;
let flagsAt = 0;
let stepAt = 0;
let metricsAt = 0;
let kindBits = 0;
let hasId = 0;
let hasMetric = 0;
/** @type {CallbackName[]} */
let names = [];

function readLayout() {
  const layout = binding.batchLayout();
  ({ columns: width, flags: flagsAt, step: stepAt, metrics: metricsAt, hasId, hasMetric } = layout);
  kindBits = layout.kind;
  // The keys of an object are unique strings, which V8 compares and looks up by address.
  const unique = Object.fromEntries(layout.callbacks.map((name) => [name, true]));
  names = /** @type {CallbackName[]} */ (Object.keys(unique));
}

/** @typedef {import("..").TrainingJob} Job */
/** @typedef {"onLog" | "onStarted" | "onCheckpoint" | "onCompleted" | "onFailed"} CallbackName */
/**
 * @typedef {object} Observer
 * @property {(name: CallbackName, context: any, metadata: unknown) => void} [onEvent]
 * @property {(event: any) => void} [onUnknown] gets the events that have no callback
 * @property {(notice: import("..").ReconnectNotice) => void} [onReconnect]
 * @property {(failure: CallbackFailure) => void} [onCallbackError] gets a callback's error that doesn't end
 *   the run
 */
/**
 * @typedef {object} CallbackFailure
 * @property {CallbackName} name
 * @property {number | undefined} step
 * @property {unknown} error
 */

/** Calls one trainer's callbacks, and keeps the job, the result and the last error. */
class Dispatcher {
  /** @type {Job} */
  job;
  /** @type {import("..").TrainingResult | undefined} */
  result;
  /** The value that a callback threw last. @type {unknown} */
  thrown;
  /** @type {Set<Observer>} */
  observers = new Set();
  /** Whether the event loop has turned since the last batch. */
  #turned = true;

  /**
   * @param {object} trainer
   * @param {Job} trainer.job
   * @param {Pick<import("../binding.js").NativeTrainer, "done" | "threw" | "aborted" | "heard">} trainer.native
   * @param {import("..").TrainerInput} trainer.input
   * @param {boolean} trainer.rejects whether a callback's error ends `wait()`
   * @param {(step: number) => import("..").CheckpointContext["infer"]} trainer.inferAt
   * @param {((notice: import("..").ReconnectNotice) => void) | undefined} trainer.onReconnect
   */
  constructor({ job, native, input, rejects, inferAt, onReconnect }) {
    if (width === 0) readLayout();
    this.job = job;
    this.native = native;
    this.input = input;
    /** @type {AbortSignal | undefined} the signal of the current `wait()` */
    this.signal = undefined;
    this.rejects = rejects;
    this.inferAt = inferAt;
    this.onReconnect = onReconnect;
    /** Rust calls this; a throw would be an uncaught exception. */
    this.receive = this.receive.bind(this);
  }

  /**
   * @param {Float64Array | null | undefined} columns
   * @param {string[] | null | undefined} texts
   * @param {string | null | undefined} notice
   */
  receive(columns, texts, notice) {
    if (columns) this.#onceATurn(() => void this.#dispatch(columns, texts ?? []));
    else if (notice) this.#reconnecting(notice);
  }

  /**
   * T8: timers and sockets get their turn between two batches. Within one turn of the event loop, Node calls
   * a threadsafe function as long as calls are queued, and Rust queues them quickly.
   * @param {() => void} dispatch
   */
  #onceATurn(dispatch) {
    if (!this.#turned) {
      setImmediate(() => this.#onceATurn(dispatch));
      return;
    }
    this.#turned = false;
    setImmediate(() => {
      this.#turned = true;
    });
    dispatch();
  }

  /**
   * @param {Float64Array} columns
   * @param {string[]} texts
   */
  async #dispatch(columns, texts) {
    const { input, signal, native } = this;
    let text = 0;
    let index = 0;
    for (let at = 0; at < columns.length; at += width, index++) {
      const flags = columns[at + flagsAt];
      const name = names[flags & kindBits];
      // Nothing may start after an abort (T29), not even the lookup of the callback. The lookup itself may
      // run an accessor that aborts, so check again after it.
      if (signal?.aborted) return native.aborted(index);
      if (name === undefined) {
        this.#showUnknown(texts[text++]);
        continue;
      }
      const { callbacks, callback, failed } = lookUp(input, name);
      if (signal?.aborted && !failed) return native.aborted(index);
      try {
        const detail = name === "onLog" ? undefined : parse(texts[text++]);
        if (detail?.job) this.#change(detail.job);
        if (detail?.job && (name === "onCompleted" || name === "onFailed")) {
          this.result = { job: this.job, artifacts: detail.artifacts ?? [] };
        }
        // Not before this line, because an event counts even if its callback fails (T18).
        if (failed) throw failed.error;
        const observed = this.observers.size > 0;
        if (callback == null && !observed) continue;
        const context = this.#context(name, columns, at, detail);
        if (observed) this.#show(name, context, detail?.metadata);
        if (callback == null) continue;
        if (typeof callback !== "function") {
          throw new TypeError(`callbacks.${name} must be a function, not ${typeof callback}`);
        }
        // Don't use `callback.call`: a function may have its own property of that name.
        await Reflect.apply(callback, callbacks, [context]);
      } catch (error) {
        this.thrown = error;
        if (signal?.aborted) return native.threw(index, true);
        if (!this.rejects) this.#warn(name, columns[at + stepAt], error, (flags & hasId) !== 0);
        return native.threw(index, false);
      }
    }
    if (signal?.aborted) native.aborted(index);
    else native.done();
  }

  /**
   * @param {CallbackName} name
   * @param {any} context
   * @param {unknown} metadata
   */
  #show(name, context, metadata) {
    for (const { onEvent } of this.observers) {
      notify(() => onEvent?.(name, context, metadata), undefined);
    }
  }

  /** @param {string} data the event's data, as the backend sent it */
  #showUnknown(data) {
    for (const { onUnknown } of this.observers) notify(() => onUnknown?.(read(data)), undefined);
  }

  /**
   * T11: updates the job in place, unless its status changes; then it's replaced by a new object.
   * @param {Partial<Job>} patch
   */
  #change(patch) {
    if (this.job.status === patch.status) {
      try {
        Object.assign(this.job, patch);
        return;
      } catch {
        // The job is frozen or sealed, so replace it.
      }
    }
    this.job = { ...this.job, ...patch };
  }

  /**
   * @param {CallbackName} name
   * @param {Float64Array} columns
   * @param {number} at
   * @param {any} detail
   * @returns {any}
   */
  #context(name, columns, at, detail) {
    const { job } = this;
    switch (name) {
      case "onLog":
        return {
          step: columns[at + stepAt],
          loss: metric(columns, at, 0),
          evalLoss: metric(columns, at, 1),
          learningRate: metric(columns, at, 2),
          epoch: metric(columns, at, 3),
          samplesPerSecond: metric(columns, at, 4),
          job,
        };
      case "onCheckpoint": {
        const step = columns[at + stepAt];
        const adapter = { kind: "checkpoint", jobId: job.id, step };
        return { step, adapter, job, infer: this.inferAt(step), artifacts: detail.artifacts };
      }
      case "onCompleted":
        return { job, artifacts: detail.artifacts ?? [] };
      case "onFailed":
        return { job, error: job.error };
      default:
        return { job };
    }
  }

  /**
   * T19: warns of a callback's error that doesn't end the run. Node prints the warning's detail, the stack,
   * below it.
   * @param {CallbackName} name
   * @param {number} at the event's step
   * @param {unknown} error
   * @param {boolean} skipped
   */
  #warn(name, at, error, skipped) {
    const step = Number.isNaN(at) ? undefined : at;
    const where = step === undefined ? name : `${name} at step ${step}`;
    const next = skipped
      ? "its id counts as seen, so the event is skipped when the stream is opened again"
      : "it has no id, so the event comes again when the stream is opened again";
    const detail = stackOf(error);
    notify(
      (message) =>
        process.emitWarning(message, { type: "ArkorCallbackWarning", ...(detail && { detail }) }),
      `${where} threw: ${messageOf(error)}; ${next}`,
    );
    for (const { onCallbackError } of this.observers)
      notify(onCallbackError, { name, step, error });
  }

  /** @param {string} text */
  #reconnecting(text) {
    const { attempt, delayMs, lastEventId, error } = JSON.parse(text);
    const notice = {
      attempt,
      delayMs,
      error: error ? toError(error, this.thrown) : undefined,
      lastEventId: lastEventId ?? undefined,
    };
    notify(this.onReconnect, notice);
    for (const { onReconnect } of this.observers) notify(onReconnect, notice);
    this.native.heard();
  }
}

/**
 * T10: looks up the callback and the object that it belongs to. `failed` is set if the lookup itself threw.
 * @param {import("..").TrainerInput} input
 * @param {CallbackName} name
 * @returns {{ callbacks?: any, callback?: any, failed?: { error: unknown } }}
 */
function lookUp(input, name) {
  try {
    const { callbacks } = input;
    return { callbacks, callback: callbacks?.[name] };
  } catch (error) {
    return { failed: { error } };
  }
}

/**
 * @param {Float64Array} columns
 * @param {number} at where the event's columns begin
 * @param {number} index of the metric
 * @returns {number | null} null if the event has no number there
 */
function metric(columns, at, index) {
  const isNumber = (columns[at + flagsAt] & (hasMetric << index)) !== 0;
  return isNumber ? columns[at + metricsAt + index] : null;
}

module.exports = { Dispatcher };
