// How the command reports that something went wrong: one line for any thrown value, which begins with the
// place in the project's code that threw it. With ARKOR_DEBUG=1 the stack and the chain of causes follow.

const { inspect, types } = require("node:util");
const { manyLines, oneLine } = require("../lib/printable.js");
const { placeOf, projectFrames } = require("./frames.js");

/** An error whose message is complete: the user can act on it without its stack or cause. */
class CliError extends Error {
  /** Lines that follow it, safe for a terminal. @type {string | undefined} */
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

/** The user cancelled a prompt, or work that was then undone, with Ctrl-C or Escape. Not an error. */
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

/** The system's codes when there's no network. */
const OFFLINE = new Set(["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "ENETDOWN", "EHOSTUNREACH"]);

/** Matches the origin, the HTTP client's description, and the reason. */
const UNANSWERED =
  /^https?:\/\/([^\s/]+): (?:client error \(\w+\): |tcp connect error: |dns error: )*(.*)$/s;

/** @type {[RegExp, string][]} what to do, by the system's code */
const ADVICE = [
  [/^ECONNREFUSED$/, "Nothing listens there. Is ARKOR_CLOUD_API_URL right?"],
  [/CERT|ISSUER|LEAF/, "If a proxy reads your TLS, set NODE_EXTRA_CA_CERTS to its certificate."],
];

/**
 * @param {unknown} error
 * @returns {{ host: string, isOffline: boolean, text: string } | undefined} what a request of ours says that
 *   got no answer; undefined for another error, such as one of the project's own `fetch`
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
 * Adds to an error that training needs no network, if that helps.
 * @param {unknown} error of a command that has --local, and wasn't given it
 * @returns {unknown}
 */
function withLocalHint(error) {
  const unreached = unreachedBy(error);
  if (!unreached?.isOffline) return error;
  return new CliError(`${unreached.text} \`--local\` trains on this machine.`, { cause: error });
}

/**
 * True also for errors from another realm (Jest, `node:vm`), which `instanceof` doesn't recognise.
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
    // If none of a host's addresses can be reached, Node's error has no message of its own.
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
  const { details } = /** @type {Partial<CliError>} */ (error instanceof CliError ? error : {});
  const line = `error: ${placed(error)}`;
  const lines = details === undefined ? [line] : [line, details];
  if (env.ARKOR_DEBUG === "1") lines.push(manyLines(inspect(error)));
  return lines.join("\n");
}

/**
 * @param {unknown} error any thrown value
 * @returns {string} its words, after the place in the project's code that threw it
 */
function placed(error) {
  const place = error instanceof CliError ? undefined : placeOf(error);
  const words = describe(error);
  return oneLine(place === undefined || words.startsWith(place) ? words : `${place}: ${words}`);
}

/** @param {{ message: string, sunset?: string | null }} notice from the backend about this version */
function deprecationText({ message, sunset }) {
  return `warning: ${oneLine(message)}${sunset ? ` (support ends on ${oneLine(sunset)})` : ""}`;
}

/** The original stacks of warnings that are printed without them. @type {WeakMap<Error, unknown>} */
const stacks = new WeakMap();
/** How many lines of a callback's stack are shown. */
const MOST_FRAMES = 3;

/**
 * Prepares a warning for Node's own listener, which prints it. Its message may quote the backend, and only the
 * project's own frames in a callback's stack are useful.
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
