// The alternative to a native engine, written as efficiently as possible: Node's `fetch`, `createParser` fed
// by hand (no stream pipeline), and an awaited callback for each event. It has the same contexts in the same
// order, `Last-Event-ID`, and a simple backoff after a failure (no jitter, no watchdog).
import { createParser } from "eventsource-parser";

/** @typedef {import("../index.js").TrainingJob} Job */

/** @type {Record<string, string>} */
const CALLBACKS = {
  "training.started": "onStarted",
  "training.log": "onLog",
  "checkpoint.saved": "onCheckpoint",
  "training.completed": "onCompleted",
  "training.failed": "onFailed",
};

const number = (/** @type {unknown} */ value) => (typeof value === "number" ? value : null);

/**
 * A trainer with `start` and `wait` that keeps only the part of the contract that a plain loop can.
 * @param {object} options
 * @param {string} options.name
 * @param {Record<string, any>} options.callbacks
 * @param {string} options.baseUrl
 * @param {string} options.token
 * @param {number} [options.maxAttempts]
 * @param {number} [options.reconnectDelayMs]
 */
export function createPlainTrainer({
  name,
  callbacks,
  baseUrl,
  token,
  maxAttempts = 5,
  reconnectDelayMs = 1000,
}) {
  const headers = { authorization: `Bearer ${token}` };
  /** @type {Job} */
  let job;
  let lastEventId = "";

  async function start() {
    const response = await fetch(`${baseUrl}/v1/jobs`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ name, config: {} }),
    });
    ({ job } = await response.json());
    return { jobId: job.id };
  }

  /** @param {import("eventsource-parser").EventSourceMessage} event */
  async function dispatch(event) {
    const data = JSON.parse(event.data);
    const callback = callbacks[CALLBACKS[data.type]];
    switch (data.type) {
      case "training.log":
        if (callback) {
          await callback.call(callbacks, {
            step: data.step,
            loss: number(data.loss),
            evalLoss: number(data.evalLoss),
            learningRate: number(data.learningRate),
            epoch: number(data.epoch),
            samplesPerSecond: number(data.samplesPerSecond),
            job,
          });
        }
        return undefined;
      case "training.completed":
        job = { ...job, status: "completed", completedAt: data.timestamp };
        if (callback) await callback.call(callbacks, { job, artifacts: data.artifacts ?? [] });
        return { job, artifacts: data.artifacts ?? [] };
      case "training.failed":
        job = { ...job, status: "failed", error: data.error, completedAt: data.timestamp };
        if (callback) await callback.call(callbacks, { job, error: data.error });
        return { job, artifacts: [] };
      case "training.started":
        job = { ...job, status: "running", startedAt: data.timestamp };
        if (callback) await callback.call(callbacks, { job });
        return undefined;
      case "checkpoint.saved": {
        const { step, artifacts } = data;
        const adapter = { kind: "checkpoint", jobId: job.id, step };
        const context = {
          step,
          adapter,
          job,
          infer: (/** @type {any} */ args) => infer(adapter, args),
          artifacts,
        };
        if (callback) await callback.call(callbacks, context);
        return undefined;
      }
      default:
        return undefined;
    }
  }

  /**
   * @param {object} adapter
   * @param {import("../index.js").InferArgs} args
   */
  async function infer(adapter, { signal, ...args }) {
    const response = await fetch(`${baseUrl}/v1/inference/chat`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ stream: true, ...args, adapter }),
      signal,
    });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return response;
  }

  async function follow() {
    const response = await fetch(`${baseUrl}/v1/jobs/${job.id}/events/stream`, {
      headers: {
        ...headers,
        accept: "text/event-stream",
        ...(lastEventId && { "last-event-id": lastEventId }),
      },
    });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    /** @type {import("eventsource-parser").EventSourceMessage[]} */
    let events = [];
    const parser = createParser({ onEvent: (event) => events.push(event) });
    const decoder = new TextDecoder();
    for await (const chunk of /** @type {ReadableStream<Uint8Array>} */ (response.body)) {
      parser.feed(decoder.decode(chunk, { stream: true }));
      const ready = events;
      events = [];
      for (const event of ready) {
        if (event.id !== undefined) lastEventId = event.id;
        const result = await dispatch(event);
        if (result) return result;
      }
    }
    throw new Error("the stream ended");
  }

  async function wait() {
    for (let attempt = 0; ; attempt++) {
      try {
        return await follow();
      } catch (error) {
        if (attempt >= maxAttempts) throw error;
        await new Promise((resolve) => setTimeout(resolve, reconnectDelayMs * 2 ** attempt));
      }
    }
  }

  return { start, wait };
}
