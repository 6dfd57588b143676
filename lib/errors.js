// Builds the errors that users see from the errors of the engine (`src/error.rs`).
"use strict";

const { binding } = require("./addon.js");
const { read } = require("./json.js");

/**
 * @typedef {object} Crossing an error as `src/error.rs` sends it
 * @property {"api" | "network" | "anonymousTokenRejected" | "projectStateMismatch" | "exhausted"
 *   | "thrown" | "fetchRejected" | "noRoots" | "file" | "plain"} kind
 * @property {string} message
 * @property {number} [status]
 * @property {string | null} [code] the system's error code
 * @property {number} [id] the request for which `fetch` rejected
 * @property {{ headers: string[], body: string } | null} [answer] `headers`: alternating names and values
 * @property {Crossing} [cause]
 */

/** The status code of the backend's response wasn't 2xx. */
class CloudApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {{ headers?: Headers, body?: string }} [answer] internal: the response
   */
  constructor(status, message, { headers = new Headers(), body = "" } = {}) {
    super(message);
    this.name = "CloudApiError";
    this.status = status;
    const value = bodyValue(body);
    const code = value?.code ?? value?.error?.code;
    if (typeof code === "string") Object.assign(this, { code });
    const requestId = headers.get("x-request-id") ?? headers.get("request-id");
    if (requestId !== null) Object.assign(this, { requestId });
    // Not enumerable, because printing the error would otherwise print them, including cookies.
    Object.defineProperties(this, { headers: { value: headers }, body: { value } });
  }
}

/**
 * @param {string} body
 * @returns {any} the parsed JSON, other text unchanged, or undefined if it's empty
 */
function bodyValue(body) {
  if (body === "") return undefined;
  try {
    return read(body);
  } catch {
    return body;
  }
}

/**
 * @param {string[]} flat alternating names and values
 * @returns {Headers}
 */
function headersOf(flat) {
  const headers = new Headers();
  for (let at = 0; at < flat.length; at += 2) headers.append(flat[at], flat[at + 1]);
  return headers;
}

/** The project's state belongs to another organisation than the anonymous identity. */
class ProjectStateMismatchError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "ProjectStateMismatchError";
  }
}

/** The backend refused to issue an anonymous identity. */
class AnonymousTokenRejectedError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.name = "AnonymousTokenRejectedError";
    this.status = status;
  }
}

/** How many rejections of a custom `fetch` are kept until every waiting call has rejected with its own. */
const MOST_FETCH_FAILURES = 32;
/** @type {Map<number, unknown>} */
const fetchFailures = new Map();

/**
 * Keeps the value that a custom `fetch` rejected with, so that the user gets the same value.
 * @param {number} id of the request
 * @param {unknown} error
 */
function keepFetchFailure(id, error) {
  fetchFailures.set(id, error);
  for (const oldest of fetchFailures.keys()) {
    if (fetchFailures.size <= MOST_FETCH_FAILURES) break;
    fetchFailures.delete(oldest);
  }
}

/**
 * @param {Crossing} crossing
 * @param {unknown} [thrown] the value that a callback threw last
 * @returns {unknown}
 */
function toError({ kind, message, status = 0, code, id = 0, answer, cause }, thrown) {
  switch (kind) {
    case "api":
      return new CloudApiError(status, message, {
        headers: headersOf(answer?.headers ?? []),
        body: answer?.body,
      });
    case "network":
      return new TypeError("fetch failed", { cause: withCode(new Error(message), code) });
    case "file":
      return withCode(new Error(message), code);
    case "anonymousTokenRejected":
      return new AnonymousTokenRejectedError(status, message);
    case "projectStateMismatch":
      return new ProjectStateMismatchError(message);
    case "exhausted":
      return new Error(message, { cause: cause && toError(cause, thrown) });
    case "thrown":
      return thrown;
    case "fetchRejected":
      // A value that another thread's `fetch` rejected with can't cross over.
      return fetchFailures.has(id) ? fetchFailures.get(id) : new Error(message);
    default:
      return new Error(message);
  }
}

/**
 * @param {Error} error
 * @param {string | null | undefined} code
 */
function withCode(error, code) {
  return code == null ? error : Object.assign(error, { code });
}

/**
 * The details that Rust attached to an error. It doesn't use `instanceof`, because the error may come from
 * another realm (Jest, `node:vm`).
 * @param {any} error
 * @returns {Crossing | undefined} undefined if the error isn't from Rust
 */
function crossingOf(error) {
  try {
    return JSON.parse(error.cause.message);
  } catch {
    return undefined;
  }
}

/** On a system without root certificates, such as `node:22-slim`, use Node's own, like `fetch`. */
function handOverRoots() {
  const { rootCertificates } = require("node:tls");
  nativeSync(() => binding.takeNodesRoots(rootCertificates.join("\n")));
}

/**
 * Runs a synchronous native call, and turns its error into the one that the user sees.
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
function nativeSync(call) {
  try {
    return call();
  } catch (error) {
    const crossing = crossingOf(error);
    throw crossing ? toError(crossing) : error;
  }
}

/**
 * Runs a native call, and turns its error into the one that the user sees.
 * @template T
 * @param {() => Promise<T>} call
 * @param {() => unknown} [thrown] returns the value that a callback threw last
 * @returns {Promise<T>}
 */
async function native(call, thrown) {
  try {
    return await call();
  } catch (error) {
    const crossing = crossingOf(error);
    if (!crossing) throw error;
    if (crossing.kind !== "noRoots") throw toError(crossing, thrown?.());
    // Nothing has been sent yet (T36), so the call can be repeated.
    handOverRoots();
    return native(call, thrown);
  }
}

/**
 * The message of any thrown value.
 * @param {unknown} thrown
 * @returns {string}
 */
function messageOf(thrown) {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "a value without words";
  }
}

/**
 * @param {unknown} thrown
 * @returns {string | undefined} its stack, if it has one
 */
function stackOf(thrown) {
  try {
    const { stack } = /** @type {{ stack?: unknown }} */ (thrown);
    return typeof stack === "string" ? stack : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Calls a listener. An error in it, thrown now or rejected later, doesn't affect the caller.
 * @template T
 * @param {((value: T) => unknown) | undefined} listener
 * @param {T} value
 */
function notify(listener, value) {
  try {
    Promise.resolve(listener?.(value)).catch(() => {});
  } catch {
    // An error thrown now is ignored, too.
  }
}

module.exports = {
  AnonymousTokenRejectedError,
  CloudApiError,
  ProjectStateMismatchError,
  headersOf,
  keepFetchFailure,
  messageOf,
  native,
  nativeSync,
  notify,
  stackOf,
  toError,
};
