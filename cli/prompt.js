// Prompts at a terminal. Without a terminal, commands use their flags and defaults.

const { oneLine } = require("../lib/printable.js");
const { Cancelled } = require("./errors.js");

/** @returns {boolean} whether somebody can answer a prompt */
function canAsk(env = process.env) {
  // Nobody answers in CI, and a dumb terminal can't show a choice.
  return Boolean(process.stdin.isTTY && process.stderr.isTTY && !env.CI && env.TERM !== "dumb");
}

/**
 * Prompts go to stderr, so that stdout stays readable for scripts.
 * @param {string} message
 */
const question = (message) => ({ output: process.stderr, message: oneLine(message) });

/** @returns {Promise<typeof import("@clack/prompts")>} */
function library() {
  return import("@clack/prompts");
}

/**
 * @template T
 * @param {T} answer
 * @returns {Exclude<T, symbol>}
 * @throws {Cancelled}
 */
function given(answer) {
  if (typeof answer === "symbol") throw new Cancelled();
  return /** @type {Exclude<T, symbol>} */ (answer);
}

/**
 * @param {string} message
 * @param {boolean} initial the answer when the user just presses Enter
 * @returns {Promise<boolean>}
 */
async function confirm(message, initial) {
  const { confirm } = await library();
  return given(await confirm({ ...question(message), initialValue: initial }));
}

/**
 * @template {string} T
 * @param {string} message
 * @param {{ value: T, label: string, hint?: string }[]} options the first is preselected
 * @returns {Promise<T>}
 */
async function select(message, options) {
  const { select } = await library();
  const choices = /** @type {any[]} */ (options);
  return /** @type {T} */ (given(await select({ ...question(message), options: choices })));
}

/**
 * @param {string} message
 * @param {string} initial
 * @param {(value: string) => string | undefined} validate returns an error message for an invalid value
 * @returns {Promise<string>}
 */
async function text(message, initial, validate) {
  const { text } = await library();
  const check = (/** @type {string | undefined} */ value) => validate(value || initial);
  const options = { placeholder: initial, defaultValue: initial, validate: check };
  return given(await text({ ...question(message), ...options }));
}

module.exports = { canAsk, confirm, select, text };
