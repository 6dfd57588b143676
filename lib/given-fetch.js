// Makes the engine's requests through the user's own `fetch`, and keeps the responses.
"use strict";

/**
 * A request that the engine asks for.
 * @typedef {object} Wanted
 * @property {string} url
 * @property {string} method
 * @property {Record<string, string>} headers
 * @property {string | null} body
 * @property {number | null} limitMs a limit for the whole response; if set, the text is wanted
 * @property {number | null} discards a response that nobody will read
 */

/** The responses of one call. */
class Responses {
  /** @type {Map<number, Response>} */
  #responses = new Map();
  #fetch;
  /** Aborts a pending request when the call is over. */
  #over = new AbortController();
  #signal;

  /**
   * @param {typeof globalThis.fetch} fetch
   * @param {AbortSignal | undefined} signal the caller's
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
    // A renewal outlives its caller.
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
   * @returns {Response} which is the caller's from now on
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

/** The largest answer that is read whole, in bytes. */
const ANSWER_LIMIT = 64 * 1024 * 1024;

/**
 * The text of an answer.
 * @param {Response} response
 * @throws {Error} it is too large; a small one that was compressed may be, too
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
/** How long an error response's body is read for: it may never end. */
const REFUSAL_TIME_MS = 1000;

/**
 * The beginning of an error response's body, enough for a message. The body may never end.
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
    // The body broke off; use what has arrived.
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
