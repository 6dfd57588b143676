// Checks the arguments of `createTrainer`, `infer` and `CloudApiClient` before anything is sent.
"use strict";

const { binding } = require("./addon.js");
const { notify } = require("./errors.js");

const DATASET = ["type", "name", "split", "subset", "url", "token", "path"];
const CALLBACKS = ["onStarted", "onLog", "onCheckpoint", "onCompleted", "onFailed"];
/** Options of the input that aren't part of the job's config. */
const OWN_OPTIONS = ["abortSignal", "callbackErrors", "callbacks", "name"];

/** @typedef {"string" | "object" | "function"} Type */

/** The durations and counts in the context, which are checked elsewhere. */
const SPANS = ["idleTimeoutMs", "maxReconnectAttempts", "maxReconnectDelayMs", "reconnectDelayMs"];
/** @type {Record<string, Type>} */
const CONTEXT = {
  baseUrl: "string",
  credentials: "object",
  cwd: "string",
  onCredentials: "function",
  onReconnect: "function",
};
/** @type {Record<string, Type>} */
const CLIENT_OPTIONS = {
  baseUrl: "string",
  credentials: "object",
  fetch: "function",
  onCredentials: "function",
  onDeprecation: "function",
};

/**
 * @param {import("..").TrainerInput} input
 * @param {import("..").TrainerContext} context
 * @throws {TypeError} if an option has the wrong type; the message names it
 */
function checkOptions(input, context) {
  const call = "createTrainer";
  check(call, "name", input.name, "string", true);
  check(call, "model", input.model, "string");
  check(call, "dataset", input.dataset, "object");
  check(call, "lora", input.lora, "object");
  check(call, "callbacks", input.callbacks, "object");
  checkSignal(call, "abortSignal", input.abortSignal);
  for (const [name, type] of Object.entries(CONTEXT)) {
    check(call, `context.${name}`, Reflect.get(context, name), type);
  }
  const paths = [...OWN_OPTIONS, ...binding.inputPaths()];
  const top = [...new Set(paths.map((name) => name.split(".")[0]))];
  const lora = paths.filter((name) => name.startsWith("lora.")).map((name) => name.slice(5));
  warn(call, [
    ...unknownIn("", input, top),
    ...unknownIn("lora.", input.lora, lora),
    ...unknownIn("dataset.", input.dataset, DATASET),
    // Fields that don't start with `on` may be the user's own state, which callbacks reach through `this`.
    ...unknownIn("callbacks.", input.callbacks, CALLBACKS, /^on[A-Z_]?/i),
    ...unknownIn("context.", context, [...Object.keys(CONTEXT), ...SPANS]),
  ]);
}

/**
 * @param {import("..").CloudApiClientOptions} options
 * @throws {TypeError} if an option has the wrong type; the message names it
 */
function checkClientOptions(options) {
  const call = "CloudApiClient";
  check(call, "baseUrl", options.baseUrl, "string", true);
  for (const name of /** @type {const} */ (["fetch", "onCredentials", "onDeprecation"])) {
    check(call, name, options[name], CLIENT_OPTIONS[name]);
  }
  warn(call, unknownIn("", options, Object.keys(CLIENT_OPTIONS)));
}

/**
 * @param {import("..").InferArgs} args
 * @param {Set<string>} warned previous warnings, not repeated because `infer` may be called for every checkpoint
 * @throws {TypeError} if an argument has the wrong type; the message names it
 */
function checkInferArgs(args, warned) {
  check("infer", "the argument", args, "object", true);
  checkSignal("infer", "signal", args.signal);
  const unknown = unknownIn("", args, ["signal", ...binding.inferFields()]);
  warn(
    "infer",
    unknown.filter((words) => !warned.has(words)),
  );
  for (const words of unknown) warned.add(words);
}

/**
 * @param {string} call
 * @param {string} name
 * @param {unknown} value
 * @param {Type} type
 * @param {boolean} [isRequired]
 */
function check(call, name, value, type, isRequired = false) {
  if (value == null && !isRequired) return;
  if (typeof value === type && value !== null && !Array.isArray(value)) return;
  const article = type === "object" ? "an" : "a";
  const what = name.includes(" ") ? name : `\`${name}\``;
  throw new TypeError(`${call}: ${what} must be ${article} ${type}, not ${kindOf(value)}`);
}

/**
 * Checks for the methods instead of using `instanceof`: the signal may come from another realm or a polyfill.
 * @param {string} call
 * @param {string} name
 * @param {any} signal
 * @throws {TypeError} if it isn't an `AbortSignal`
 */
function checkSignal(call, name, signal) {
  if (signal == null) return;
  if (typeof signal.aborted === "boolean" && typeof signal.addEventListener === "function") return;
  const isController = typeof signal.abort === "function" && signal.signal !== undefined;
  throw new TypeError(
    isController
      ? `${call}: \`${name}\` must be an AbortSignal, not the AbortController; pass \`controller.signal\``
      : `${call}: \`${name}\` must be an AbortSignal, not ${kindOf(signal)}`,
  );
}

/**
 * @param {string} call
 * @param {string[]} unknown
 */
function warn(call, unknown) {
  for (const problem of unknown) {
    notify((text) => process.emitWarning(text, "ArkorOptionWarning"), `${call}: ${problem}`);
  }
}

/**
 * @param {string} prefix
 * @param {object | null | undefined} given
 * @param {string[]} known
 * @param {RegExp} [candidates] matches the names that could be options
 * @returns {string[]} a message for each unknown option
 */
function unknownIn(prefix, given, known, candidates = /./) {
  return Object.keys(given ?? {})
    .filter((name) => !known.includes(name) && candidates.test(name))
    .map((name) => {
      const near = nearest(name, known);
      const hint = near === undefined ? "" : `; did you mean \`${prefix}${near}\`?`;
      return `unknown option \`${prefix}${name}\`${hint}`;
    });
}

/**
 * The known name that the user probably meant: at most a third of its letters differ, or it's a prefix.
 * @param {string} name
 * @param {string[]} known
 * @returns {string | undefined}
 */
function nearest(name, known) {
  const given = name.toLowerCase();
  const scored = known.map((candidate) => {
    const other = candidate.toLowerCase();
    const isCut = given.startsWith(other) || other.startsWith(given);
    const edits = distance(given, other);
    return { candidate, edits, fits: isCut || edits <= Math.ceil(other.length / 3) };
  });
  return scored.filter(({ fits }) => fits).sort((a, b) => a.edits - b.edits)[0]?.candidate;
}

/**
 * The Levenshtein distance.
 * @param {string} a
 * @param {string} b
 */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swapped, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

/**
 * @param {unknown} value
 * @returns {string} its type, for a message; never its content, which may be a secret
 */
function kindOf(value) {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return "an array";
  const type = typeof value;
  return type === "object" ? "an object of another kind" : `a ${type}`;
}

module.exports = { checkClientOptions, checkInferArgs, checkOptions, checkSignal };
