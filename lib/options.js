// Checks what `createTrainer` was given, before anything is sent.
"use strict";

const { binding } = require("./addon.js");
const { tell } = require("./errors.js");

const CALLBACKS = ["onStarted", "onLog", "onCheckpoint", "onCompleted", "onFailed"];
const CONTEXT = [
  "baseUrl",
  "credentials",
  "cwd",
  "idleTimeoutMs",
  "maxReconnectAttempts",
  "maxReconnectDelayMs",
  "onCredentials",
  "onReconnect",
  "reconnectDelayMs",
];
/** Options of the input that aren't part of the job's config. */
const OWN_OPTIONS = ["abortSignal", "callbackErrors", "callbacks", "name"];

/** @typedef {"string" | "object" | "function"} Type */

/**
 * @param {import("..").TrainerInput} input
 * @param {import("..").TrainerContext} context
 * @throws {TypeError} an option is of the wrong type; the message names it
 */
function checkOptions(input, context) {
  check("name", input.name, "string", true);
  check("model", input.model, "string");
  check("dataset", input.dataset, "object");
  check("lora", input.lora, "object");
  check("callbacks", input.callbacks, "object");
  checkSignal(input.abortSignal);
  check("context.baseUrl", context.baseUrl, "string");
  check("context.cwd", context.cwd, "string");
  check("context.credentials", context.credentials, "object");
  check("context.onReconnect", context.onReconnect, "function");
  check("context.onCredentials", context.onCredentials, "function");
  for (const unknown of unknownOptions(input, context)) {
    tell((words) => process.emitWarning(words, "ArkorOptionWarning"), unknown);
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {Type} type
 * @param {boolean} [isRequired]
 */
function check(name, value, type, isRequired = false) {
  if (value == null && !isRequired) return;
  if (typeof value === type && value !== null && !Array.isArray(value)) return;
  const article = type === "object" ? "an" : "a";
  throw new TypeError(
    `createTrainer: \`${name}\` must be ${article} ${type}, not ${kindOf(value)}`,
  );
}

/**
 * Told by its shape, not by `instanceof`: it may be of another realm, or a polyfill.
 * @param {any} signal
 * @throws {TypeError} it isn't an `AbortSignal`
 */
function checkSignal(signal) {
  if (signal == null) return;
  if (typeof signal.aborted === "boolean" && typeof signal.addEventListener === "function") return;
  const isController = typeof signal.abort === "function" && signal.signal !== undefined;
  throw new TypeError(
    isController
      ? "createTrainer: `abortSignal` must be an AbortSignal, not the AbortController; pass `controller.signal`"
      : `createTrainer: \`abortSignal\` must be an AbortSignal, not ${kindOf(signal)}`,
  );
}

/**
 * @param {import("..").TrainerInput} input
 * @param {import("..").TrainerContext} context
 * @returns {string[]} a sentence for each
 */
function unknownOptions(input, context) {
  const paths = [...OWN_OPTIONS, ...binding.inputPaths()];
  const top = [...new Set(paths.map((name) => name.split(".")[0]))];
  const lora = paths.filter((name) => name.startsWith("lora.")).map((name) => name.slice(5));
  return [
    ...unknownIn("", input, top),
    ...unknownIn("lora.", input.lora, lora),
    // Other fields than `on…` may be state of the user's own, which callbacks reach by `this`.
    ...unknownIn("callbacks.", input.callbacks, CALLBACKS, /^on[A-Z_]?/i),
    ...unknownIn("context.", context, CONTEXT),
  ];
}

/**
 * @param {string} prefix
 * @param {object | null | undefined} given
 * @param {string[]} known
 * @param {RegExp} [candidates] the names that are options at all
 */
function unknownIn(prefix, given, known, candidates = /./) {
  return Object.keys(given ?? {})
    .filter((name) => !known.includes(name) && candidates.test(name))
    .map((name) => {
      const near = nearest(name, known);
      const hint = near === undefined ? "" : `; did you mean \`${prefix}${near}\`?`;
      return `createTrainer: unknown option \`${prefix}${name}\`${hint}`;
    });
}

/**
 * The known name that was probably meant: at most a third of its letters off, or cut short.
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
 * @returns {string} what it is, for a message: never its content, which may be a secret
 */
function kindOf(value) {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return "an array";
  const type = typeof value;
  return type === "object" ? "an object of another kind" : `a ${type}`;
}

module.exports = { checkOptions, checkSignal };
