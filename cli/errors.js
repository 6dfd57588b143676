// Reports errors of the command: one line for any thrown value, beginning with the place in the project's
// code that threw it. With ARKOR_DEBUG=1, the stack and the chain of causes follow.

const { inspect, types } = require("node:util");
const { manyLines, oneLine } = require("../lib/printable.js");
const { placeOf, projectFrames } = require("./frames.js");

/** An error whose message is complete: the user can act on it without its stack or cause. */
class CliError extends Error {
  /** More lines to print after the message, safe for a terminal. @type {string | undefined} */
  details;

  /**
   * @param {string} message
   * @param {ErrorOptions & { details?: string }} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = "CliError";
    // Not enumerable, so that ARKOR_DEBUG=1 doesn't print it twice.
    Object.defineProperty(this, "details", { value: options?.details, enumerable: false });
  }
}

/** The user cancelled with Ctrl-C or Escape: a prompt, or work that was then undone. Not an error. */
class Cancelled extends Error {
  static EXIT_CODE = 130;
  name = "Cancelled";
  exitCode = Cancelled.EXIT_CODE;

  constructor(message = "Nothing was changed.") {
    super(message);
  }
}

/**
 * The message of an error in one line, with the cause. `fetch failed` alone explains nothing; `fetch failed
 * (connect ECONNREFUSED 127.0.0.1:4000)` does.
 * @param {unknown} error any thrown value
 * @returns {string}
 */
function describe(error) {
  const unreached = unreachedBy(error);
  if (unreached) return unreached.text;
  return withAdvice(oneLine(messageWithCause(error)).trim());
}

/** @param {unknown} error */
function messageWithCause(error) {
  if (!isError(error)) return typeof error === "string" ? error : inspect(error);
  const message = messageOf(error);
  const cause = error instanceof CliError ? undefined : reasonOf(error.cause);
  return cause && !message.includes(cause) ? `${message} (${cause})` : message;
}

const NO_SPACE = /ENOSPC|no space left|os error 28\b/i;
const FREE_SPACE = "The disk is full: free some space.";

/** @param {string} words */
function withAdvice(words) {
  if (!NO_SPACE.test(words) || words.includes("free")) return words;
  return `${words.replace(/\.$/, "")}. ${FREE_SPACE}`;
}

/** The system's error codes without a network. */
const OFFLINE = new Set(["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "ENETDOWN", "EHOSTUNREACH"]);

/** Matches the origin, the HTTP client's description, and the reason. */
const UNANSWERED =
  /^https?:\/\/([^\s/]+): (?:client error \(\w+\): |tcp connect error: |dns error: )*(.*)$/s;

/** @type {[RegExp, string][]} the advice for each of the system's error codes */
const ADVICE = [
  [/^ECONNREFUSED$/, "Nothing listens there. Is ARKOR_CLOUD_API_URL right?"],
  [/CERT|ISSUER|LEAF/, "If a proxy reads your TLS, set NODE_EXTRA_CA_CERTS to its certificate."],
];

/**
 * @param {unknown} error
 * @returns {{ host: string, isOffline: boolean, text: string } | undefined} the message for a request of
 *   arkor's that got no response; undefined for any other error, such as one from the project's own `fetch`
 */
function unreachedBy(error) {
  if (!isError(error) || error.message !== "fetch failed" || !isError(error.cause))
    return undefined;
  const { code } = /** @type {NodeJS.ErrnoException} */ (error.cause);
  const [, host, why = ""] = error.cause.message.match(UNANSWERED) ?? [];
  if (host === undefined) return undefined;
  const reason = oneLine(code === undefined || why.includes(code) ? why : `${why}, ${code}`).trim();
  const isOffline = code !== undefined && OFFLINE.has(code);
  const failed = `Can't reach ${host}: ${reason}.`;
  const advice = ADVICE.find(([codes]) => codes.test(code ?? ""))?.[1];
  const text = advice === undefined ? failed : `${failed} ${advice}`;
  return { host, isOffline, text: isOffline ? `Can't reach ${host} (offline?).` : text };
}

/**
 * Adds to an error that training needs no network, if that's useful.
 * @param {unknown} error the error of a command that has a --local flag but was run without it
 * @returns {unknown}
 */
function withLocalHint(error) {
  const unreached = unreachedBy(error);
  if (!unreached?.isOffline) return error;
  return new CliError(`${unreached.text} \`--local\` trains on this machine.`, { cause: error });
}

/**
 * Also recognises errors from another realm (Jest, `node:vm`), for which `instanceof` is false.
 * @param {unknown} value
 * @returns {value is Error}
 */
function isError(value) {
  return value instanceof Error || types.isNativeError(value);
}

/**
 * @param {Error} error
 * @returns {string} never empty. An error is reported even if its message isn't a string, or is an accessor
 *   that throws
 */
function messageOf(error) {
  try {
    const { message } = error;
    if (message) return typeof message === "string" ? message : inspect(message);
    // If none of a host's addresses can be reached, Node's error has no message of its own.
    const [first] = /** @type {Partial<AggregateError>} */ (error).errors ?? [];
    return (isError(first) && messageOf(first)) || String(error.name);
  } catch {
    return "an error without a message";
  }
}

/**
 * @param {unknown} cause
 * @returns {string | undefined} the cause's message, and its code unless the message contains it
 */
function reasonOf(cause) {
  if (cause === undefined || cause === null) return undefined;
  if (!isError(cause)) return typeof cause === "string" ? cause : inspect(cause);
  const { code } = /** @type {NodeJS.ErrnoException} */ (cause);
  const message = messageOf(cause);
  return typeof code !== "string" || message.includes(code) ? message : `${message}, ${code}`;
}

/**
 * The text for an error on stderr, without the final newline.
 * @param {unknown} error any thrown value
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 */
function errorText(error, env = process.env) {
  const { details } = /** @type {Partial<CliError>} */ (error instanceof CliError ? error : {});
  const line = `error: ${placed(error)}`;
  const lines = details === undefined ? [line] : [line, details];
  if (env.ARKOR_DEBUG === "1") lines.push(manyLines(inspect(error)));
  return lines.join("\n");
}

/**
 * @param {unknown} error any thrown value
 * @returns {string} the error's text, after the place in the project's code that threw it
 */
function placed(error) {
  const place = error instanceof CliError ? undefined : placeOf(error);
  const words = describe(error);
  return oneLine(place === undefined || words.startsWith(place) ? words : `${place}: ${words}`);
}

/** @param {{ message: string, sunset?: string | null }} notice the backend's notice about this version */
function deprecationText({ message, sunset }) {
  return `warning: ${oneLine(message)}${sunset ? ` (support ends on ${oneLine(sunset)})` : ""}`;
}

/** The original stacks of warnings that are printed without their stack. @type {WeakMap<Error, unknown>} */
const stacks = new WeakMap();
/** The maximum number of lines shown of a callback's stack. */
const MOST_FRAMES = 3;

/**
 * Prepares a warning for Node's own listener, which prints it. The message may quote the backend, so it's
 * made safe. A callback's stack is reduced to the project's own frames.
 * @param {Error & { detail?: unknown }} warning
 */
function cleanWarning(warning) {
  for (const field of /** @type {const} */ (["message", "stack", "detail"])) {
    const text = warning[field];
    if (typeof text === "string") Object.assign(warning, { [field]: manyLines(text) });
  }
  if (warning.name !== "ArkorCallbackWarning" || process.env.ARKOR_DEBUG === "1") return;
  const frames = projectFrames({ stack: warning.detail }).slice(0, MOST_FRAMES);
  if (frames.length === 0) return;
  stacks.set(warning, warning.detail);
  warning.detail = frames.map(({ text }) => text).join("\n");
}

/**
 * Restores a warning's whole stack, for the project's own listeners.
 * @param {Error & { detail?: unknown }} warning
 */
function restoreWarning(warning) {
  if (stacks.has(warning)) warning.detail = stacks.get(warning);
}

module.exports = {
  CliError,
  Cancelled,
  cleanWarning,
  deprecationText,
  describe,
  errorText,
  oneLine,
  placed,
  restoreWarning,
  withLocalHint,
};
