// How the command tells that something went wrong: any thrown value in, one line out.
// With ARKOR_DEBUG=1 the stack and the chain of causes follow.

const { inspect } = require("node:util");

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

/** A question was left with Ctrl-C or Escape: no error, and nothing was changed. */
class Left extends Error {
  static EXIT_CODE = 130;
  name = "Left";
  exitCode = Left.EXIT_CODE;

  constructor() {
    super("Left as it was.");
  }
}

/**
 * Joins the lines of a text, so that one error is one line in a log, and takes the control characters
 * out of it: a backend's words must not move the cursor or set the window's title.
 * @param {string} text
 * @returns {string}
 */
function oneLine(text) {
  return text
    .split(/[\r\n\u2028\u2029]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join(" ")
    .replaceAll("\t", " ")
    .replace(/\p{Cc}/gu, "\ufffd");
}

/**
 * The message of an error in one line, with what its cause adds: `fetch failed` alone says nothing,
 * `fetch failed (connect ECONNREFUSED 127.0.0.1:4000)` does.
 * @param {unknown} error any thrown value
 * @returns {string}
 */
function describe(error) {
  if (!(error instanceof Error)) return oneLine(typeof error === "string" ? error : inspect(error));
  const message = error.message || error.name;
  if (error instanceof CliError) return oneLine(message);
  const cause = reasonOf(error.cause);
  return oneLine(cause && !message.includes(cause) ? `${message} (${cause})` : message);
}

/**
 * @param {unknown} cause
 * @returns {string | undefined} its message, and its code where the message does not have it
 */
function reasonOf(cause) {
  if (cause === undefined || cause === null) return undefined;
  if (!(cause instanceof Error)) return typeof cause === "string" ? cause : inspect(cause);
  const { code } = /** @type {NodeJS.ErrnoException} */ (cause);
  const message = cause.message || cause.name;
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
  return env.ARKOR_DEBUG === "1" ? `${line}\n${inspect(error)}` : line;
}

/** @param {{ message: string, sunset?: string | null }} notice what the backend says of this SDK */
function deprecationText({ message, sunset }) {
  return `warning: ${oneLine(message)}${sunset ? ` (it ends on ${sunset})` : ""}`;
}

module.exports = { CliError, Left, deprecationText, describe, errorText, oneLine };
