// Makes the engine's requests through the user's own `fetch`, and keeps the responses.
"use strict";

/**
 * A request that the engine wants to make.
 * @typedef {object} Wanted
 * @property {string} url
 * @property {string} method
 * @property {Record<string, string>} headers
 * @property {string | null} body
 * @property {number | null} limitMs a time limit for the whole response; if set, the engine wants its text
 * @property {number | null} discards the id of an earlier response that nobody will read
 */

/** The responses of one call. */
class Responses {
  /** @type {Map<number, Response>} */
  #responses = new Map();
  #fetch;
  /** Aborts the pending request when the call is over. */
  #over = new AbortController();
  #signal;

  /**
   * @param {typeof globalThis.fetch} fetch
   * @param {AbortSignal | undefined} signal the caller's signal
   */
  constructor(fetch, signal) {
    this.#fetch = fetch;
    this.#signal = signal ? AbortSignal.any([signal, this.#over.signal]) : this.#over.signal;
  }

  /**
   * @param {number} id
   * @param {Wanted} wanted
   */
  async fetch(id, { url, method, headers, body, limitMs, discards }) {
    if (discards !== null) await cancel(this.take(discards));
    // A renewal isn't aborted with its caller.
    const signal = limitMs === null ? this.#signal : AbortSignal.timeout(limitMs);
    const fetch = this.#fetch;
    const init = { method, headers, body: body ?? undefined, signal };
    const response = await fetch(url, { ...init, redirect: "manual" });
    const location = response.headers.get("location") ?? undefined;
    if (limitMs !== null) return { status: response.status, location, body: await response.text() };
    if (this.#over.signal.aborted) await cancel(response);
    else this.#responses.set(id, response);
    return { status: response.status, location, body: undefined };
  }

  /**
   * @param {number} id
   * @returns {Response} the response, which now belongs to the caller
   */
  take(id) {
    const response = this.#responses.get(id);
    if (!response) throw new Error(`unreachable: there is no response ${id}`);
    this.#responses.delete(id);
    return response;
  }

  /** @param {unknown} reason */
  discard(reason) {
    this.#over.abort(reason);
    for (const response of this.#responses.values()) cancel(response).catch(() => {});
  }
}

/** @param {Response} response */
async function cancel(response) {
  // A custom `fetch` may return a body that isn't a standard `ReadableStream`.
  await response.body?.cancel?.();
}

/**
 * @param {string} call
 * @param {unknown} timeoutMs
 */
function checkTimeout(call, timeoutMs) {
  if (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs > 0)) return;
  throw new TypeError(`${call}: \`timeoutMs\` must be a number above 0`);
}

/** The largest response that is read into memory, in bytes. */
const ANSWER_LIMIT = 64 * 1024 * 1024;

/**
 * The text of a response.
 * @param {Response} response
 * @throws {Error} if it's too large, which a small compressed response may also be
 */
async function whole(response) {
  const { body } = response;
  // A custom `fetch` may return a body that isn't a standard `ReadableStream`.
  if (typeof body?.getReader !== "function") return response.text();
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    length += read.value.length;
    if (length > ANSWER_LIMIT) {
      await reader.cancel().catch(() => {});
      throw new Error("The answer is larger than the limit of 64 MiB");
    }
    text += decoder.decode(read.value, { stream: true });
  }
  return text + decoder.decode();
}

/** How much of an error response's body is read, in bytes. */
const REFUSAL_LIMIT = 64 * 1024;
/** How long to read an error response's body, which may never end. */
const REFUSAL_TIME_MS = 1000;

/**
 * The beginning of an error response's body, long enough for a message. The body itself may never end.
 * @param {Response} response
 */
async function beginning(response) {
  const { body } = response;
  if (!body) return "";
  // A custom `fetch` may return a body that isn't a standard `ReadableStream`.
  if (typeof body.getReader !== "function") return (await response.text()).slice(0, REFUSAL_LIMIT);
  const reader = body.getReader();
  const cancel = () => reader.cancel().catch(() => {});
  const timer = setTimeout(cancel, REFUSAL_TIME_MS);
  const parts = [];
  let length = 0;
  while (length < REFUSAL_LIMIT) {
    // If the body breaks off, use what has arrived.
    const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
    if (done || !value) break;
    parts.push(value);
    length += value.length;
  }
  clearTimeout(timer);
  await cancel();
  return Buffer.concat(parts).subarray(0, REFUSAL_LIMIT).toString();
}

module.exports = { Responses, beginning, cancel, checkTimeout, whole };
