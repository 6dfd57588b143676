// How the command reports that something went wrong: one line for any thrown value. With ARKOR_DEBUG=1
// the stack and the chain of causes follow.

const { inspect, types } = require("node:util");
const { manyLines, oneLine } = require("../lib/printable.js");

/** An error whose message is complete: the user can act on it without its stack or cause. */
class CliError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = "CliError";
  }
}

/** The user left a question, or work that was undone, with Ctrl-C or Escape. Not an error. */
class Cancelled extends Error {
  static EXIT_CODE = 130;
  name = "Cancelled";
  exitCode = Cancelled.EXIT_CODE;

  constructor(message = "Nothing was changed.") {
    super(message);
  }
}

/**
 * The message of an error in one line, with what its cause adds: `fetch failed` alone says nothing,
 * `fetch failed (connect ECONNREFUSED 127.0.0.1:4000)` does.
 * @param {unknown} error any thrown value
 * @returns {string}
 */
function describe(error) {
  if (!isError(error)) return oneLine(typeof error === "string" ? error : inspect(error)).trim();
  const message = messageOf(error);
  const cause = error instanceof CliError ? undefined : reasonOf(error.cause);
  return oneLine(cause && !message.includes(cause) ? `${message} (${cause})` : message).trim();
}

/**
 * Also one of another realm (Jest, `node:vm`), which `instanceof` doesn't recognise.
 * @param {unknown} value
 * @returns {value is Error}
 */
function isError(value) {
  return value instanceof Error || types.isNativeError(value);
}

/**
 * @param {Error} error
 * @returns {string} never empty; a message that isn't a string, or an accessor that throws, must not
 *   hide the error
 */
function messageOf(error) {
  try {
    const { message } = error;
    if (message) return typeof message === "string" ? message : inspect(message);
    // Node's error for a host none of whose addresses can be reached has no message of its own.
    const [first] = /** @type {Partial<AggregateError>} */ (error).errors ?? [];
    return (isError(first) && messageOf(first)) || String(error.name);
  } catch {
    return "an error without a message";
  }
}

/**
 * @param {unknown} cause
 * @returns {string | undefined} its message, and its code where the message doesn't have it
 */
function reasonOf(cause) {
  if (cause === undefined || cause === null) return undefined;
  if (!isError(cause)) return typeof cause === "string" ? cause : inspect(cause);
  const { code } = /** @type {NodeJS.ErrnoException} */ (cause);
  const message = messageOf(cause);
  return typeof code !== "string" || message.includes(code) ? message : `${message}, ${code}`;
}

/**
 * What the command writes on stderr for an error, without the final newline.
 * @param {unknown} error any thrown value
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 */
function errorText(error, env = process.env) {
  const line = `error: ${describe(error)}`;
  return env.ARKOR_DEBUG === "1" ? `${line}\n${manyLines(inspect(error))}` : line;
}

/** @param {{ message: string, sunset?: string | null }} notice from the backend about this version */
function deprecationText({ message, sunset }) {
  return `warning: ${oneLine(message)}${sunset ? ` (support ends on ${oneLine(sunset)})` : ""}`;
}

/**
 * Cleans a warning before Node's own listener prints it: its message may quote the backend.
 * @param {Error & { detail?: unknown }} warning
 */
function cleanWarning(warning) {
  for (const field of /** @type {const} */ (["message", "stack", "detail"])) {
    const text = warning[field];
    if (typeof text === "string") Object.assign(warning, { [field]: manyLines(text) });
  }
}

module.exports = {
  CliError,
  Cancelled,
  cleanWarning,
  deprecationText,
  describe,
  errorText,
  oneLine,
};
