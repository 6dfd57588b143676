// A failure's description, as it crosses from Rust (`src/error.rs`) → the error the user sees.
"use strict";

const { binding } = require("./addon.js");
const { read } = require("./json.js");

/**
 * @typedef {object} Description
 * @property {"api" | "network" | "named" | "exhausted" | "file" | "fetch" | "roots" | "plain"} kind
 * @property {string} message
 * @property {number} [status]
 * @property {string} [code]
 * @property {string} [name]
 * @property {number} [id]
 * @property {string[]} [headers] names and values in turn
 * @property {string} [body]
 * @property {Description} [cause]
 */

/** The backend's answer was not 2xx. */
class CloudApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {{ headers?: Headers, body?: string }} [answer] internal
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
    // Not enumerable: an error that is printed would print them, cookies included.
    Object.defineProperties(this, { headers: { value: headers }, body: { value } });
  }
}

/**
 * @param {string} body
 * @returns {any} the value of JSON, other text as it is, undefined when there is none
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
 * @param {string[]} flat names and values in turn
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

/** Rejections of a given `fetch` to remember, until everyone who waited for it has been told. */
const MOST_FETCH_FAILURES = 32;
/** @type {Map<number, unknown>} */
const fetchFailures = new Map();

/**
 * Keeps what a given `fetch` rejected with: the very value is what the user sees.
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
 * @param {Description} description
 * @param {unknown} [thrown] the cause that Rust has no part in: what a callback threw
 * @returns {Error}
 */
function toError(description, thrown) {
  const { kind, message } = description;
  switch (kind) {
    case "api":
      return new CloudApiError(description.status ?? 0, message, {
        headers: headersOf(description.headers ?? []),
        body: description.body,
      });
    case "network":
      return new TypeError("fetch failed", { cause: withFields(new Error(message), description) });
    case "named":
      return named(description);
    case "file":
      return withFields(new Error(message), description);
    case "exhausted": {
      const cause = description.cause === undefined ? thrown : toError(description.cause);
      return new Error(message, { cause });
    }
    default:
      return new Error(message);
  }
}

/** @param {Description} description */
function named({ name, message, status = 0 }) {
  switch (name) {
    case "AnonymousTokenRejectedError":
      return new AnonymousTokenRejectedError(status, message);
    case "ProjectStateMismatchError":
      return new ProjectStateMismatchError(message);
    default:
      return new Error(message);
  }
}

/**
 * @param {Error} error
 * @param {Description} description
 */
function withFields(error, { code }) {
  if (code !== undefined) Object.assign(error, { code });
  return error;
}

const KINDS = new Set(["api", "network", "named", "exhausted", "file", "fetch", "plain"]);

/**
 * What a native call rejected with, or threw. Not told by `instanceof`: the error may be of
 * another realm (Jest, `node:vm`).
 * @param {any} crossing
 * @param {unknown} [thrown]
 * @returns {unknown}
 */
function fromNative(crossing, thrown) {
  try {
    const description = JSON.parse(crossing.message);
    const { kind, id } = description;
    // A fetch of another thread's: its error can't come over.
    if (kind === "fetch" && fetchFailures.has(id)) return fetchFailures.get(id);
    return KINDS.has(kind) ? toError(description, thrown) : crossing;
  } catch {
    return crossing;
  }
}

/**
 * Whether the call did nothing yet, for want of root certificates (T36).
 * @param {any} crossing
 */
function lacksRoots(crossing) {
  return String(crossing?.message).startsWith('{"kind":"roots"');
}

/** On a system without any, `node:22-slim` say, Node's own count, as they do for `fetch`. */
function handOverRoots() {
  const { rootCertificates } = require("node:tls");
  nativeSync(() => binding.takeNodesRoots(rootCertificates.join("\n")));
}

/**
 * Runs a synchronous native call; what it throws is the error that the user sees.
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
function nativeSync(call) {
  try {
    return call();
  } catch (crossing) {
    throw fromNative(crossing);
  }
}

/**
 * Runs a native call; what it throws or rejects with is the error that the user sees.
 * @template T
 * @param {() => Promise<T>} call
 * @param {() => unknown} [thrown]
 * @returns {Promise<T>}
 */
async function native(call, thrown) {
  try {
    return await call();
  } catch (crossing) {
    if (lacksRoots(crossing)) {
      handOverRoots();
      return native(call, thrown);
    }
    throw fromNative(crossing, thrown?.());
  }
}

/**
 * The words of whatever was thrown, for a message.
 * @param {unknown} thrown
 * @returns {string}
 */
function wordsOf(thrown) {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "a value without words";
  }
}

/**
 * Tells a listener something for its information: what it makes of it, now or later, must not
 * change what goes on here.
 * @template T
 * @param {((value: T) => unknown) | undefined} listener
 * @param {T} value
 */
function tell(listener, value) {
  try {
    Promise.resolve(listener?.(value)).catch(() => {});
  } catch {
    // As above.
  }
}

module.exports = {
  AnonymousTokenRejectedError,
  CloudApiError,
  ProjectStateMismatchError,
  headersOf,
  keepFetchFailure,
  native,
  nativeSync,
  tell,
  toError,
  wordsOf,
};
