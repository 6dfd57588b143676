// A failure's description, as it crosses from Rust (`src/error.rs`) → the error the user sees.
"use strict";

/**
 * @typedef {object} Description
 * @property {"api" | "network" | "named" | "exhausted" | "plain"} kind
 * @property {string} message
 * @property {number} [status]
 * @property {string} [code]
 * @property {string} [name]
 * @property {Description} [cause]
 */

/** The backend's answer was not 2xx. */
class CloudApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.name = "CloudApiError";
    this.status = status;
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
      return new CloudApiError(description.status ?? 0, message);
    case "network":
      return new TypeError("fetch failed", { cause: withFields(new Error(message), description) });
    case "named":
      return withFields(new Error(message), description);
    case "exhausted": {
      const cause = description.cause === undefined ? thrown : toError(description.cause);
      return new Error(message, { cause });
    }
    default:
      return new Error(message);
  }
}

/**
 * @param {Error} error
 * @param {Description} description
 */
function withFields(error, { name, code, status }) {
  if (name !== undefined) error.name = name;
  if (code !== undefined) Object.assign(error, { code });
  if (status !== undefined) Object.assign(error, { status });
  return error;
}

/**
 * What a native call rejected with, or threw.
 * @param {unknown} crossing
 * @param {unknown} [thrown]
 * @returns {unknown}
 */
function fromNative(crossing, thrown) {
  if (!(crossing instanceof Error)) return crossing;
  try {
    return toError(JSON.parse(crossing.message), thrown);
  } catch {
    return crossing;
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
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return "a value without words";
  }
}

module.exports = { CloudApiError, native, toError, wordsOf };
