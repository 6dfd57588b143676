// Requests through a `fetch` of the user's: what the engine does for its own.
"use strict";

const { unlessAborted } = require("./signal.js");

/**
 * @param {import("../binding.js").PreparedRequest} prepared
 * @param {AbortSignal | undefined} signal
 * @returns {RequestInit}
 */
function initOf({ method, headers, body }, signal) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (let at = 0; at < headers.length; at += 2) {
    fields[headers[at]] = headers[at + 1];
  }
  return { method, headers: fields, body: body ?? undefined, signal };
}

/** The head of an answer is awaited for so long, as by `fetch`. */
const HEAD_LIMIT_MS = 300_000;

/**
 * @param {string} call
 * @param {unknown} timeoutMs
 */
function checkTimeout(call, timeoutMs) {
  if (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs > 0)) return;
  throw new TypeError(`${call}: \`timeoutMs\` must be a number above 0`);
}

/**
 * Limits the wait for the head of an answer. Its body may take as long as it likes.
 * @param {number | undefined} timeoutMs
 * @param {AbortSignal | undefined} signal the caller's
 * @param {string} call
 * @param {(signal: AbortSignal) => Promise<Response>} send
 * @returns {Promise<Response>}
 */
async function headWithin(timeoutMs = HEAD_LIMIT_MS, signal, call, send) {
  const limit = new AbortController();
  const message = `no answer to ${call} within ${timeoutMs} ms`;
  const cause = Object.assign(new Error(message), { code: "ETIMEDOUT" });
  const timer = setTimeout(
    () => limit.abort(new TypeError("fetch failed", { cause })),
    Math.min(timeoutMs, MOST_TIMEOUT_MS),
  );
  try {
    const ended = signal ? AbortSignal.any([signal, limit.signal]) : limit.signal;
    // Raced as well: a `fetch` of the user's need not look at the signal.
    return await unlessAborted(send(ended), ended);
  } finally {
    clearTimeout(timer);
  }
}

/** The longest timer there is; a longer one would go off at once. */
const MOST_TIMEOUT_MS = 2 ** 31 - 1;

/** As many redirects as `fetch` follows. */
const MOST_REDIRECTS = 20;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Redirects are followed within one origin only (T36), as `fetch` follows them: another origin must get
 * neither the token nor the body.
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
async function withinOrigin(fetch, url, init) {
  for (let followed = 0; ; followed++) {
    const response = await fetch(url, { ...init, redirect: "manual" });
    const location = response.headers.get("location");
    if (!REDIRECTS.has(response.status) || location === null || followed === MOST_REDIRECTS) {
      return response;
    }
    if (!URL.canParse(location, url)) return response;
    const target = new URL(location, url);
    if (target.origin !== new URL(url).origin) return response;
    // A custom `fetch` may return a body that isn't a standard `ReadableStream`.
    await response.body?.cancel?.();
    target.username = "";
    target.password = "";
    url = target.href;
    const { status } = response;
    if (status === 303 || (status < 303 && init.method === "POST")) {
      const { body, ...rest } = init;
      const { "content-type": _, ...headers } = /** @type {Record<string, string>} */ (
        init.headers
      );
      init = { ...rest, method: "GET", headers };
    }
  }
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
 * As much of a refusal's body as a message can use; the rest may be without end.
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
    // A body that breaks off has said what it will.
    const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
    if (done || !value) break;
    parts.push(value);
    length += value.length;
  }
  clearTimeout(timer);
  await cancel();
  return Buffer.concat(parts).subarray(0, REFUSAL_LIMIT).toString();
}

module.exports = { beginning, checkTimeout, headWithin, initOf, whole, withinOrigin };
