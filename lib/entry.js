// Finds the trainer among the exports of a training entry.
"use strict";

const { pathToFileURL } = require("node:url");
const { isArkor } = require("./arkor.js");

/** The exports that may hold an entry's trainer. */
const PICKED_EXPORTS = ["arkor", "trainer", "default"];

const NOTHING_EXPORTED =
  "Training entry must export `arkor` (from createArkor({...})) or `trainer` " +
  "(from createTrainer({...})), or default-export one of them.";

/**
 * Imports an entry, which must be in a form that this runtime can load, and picks its trainer.
 * @param {string} file
 * @returns {Promise<import("..").Trainer>}
 */
async function loadTrainer(file) {
  const trainer = pickTrainer(await import(pathToFileURL(file).href));
  if (trainer) return trainer;
  throw new Error(NOTHING_EXPORTED);
}

/**
 * @param {Record<string, unknown>} exports
 * @returns {import("..").Trainer | undefined}
 */
function pickTrainer(exports) {
  const fallback = /** @type {any} */ (exports.default);
  for (const candidate of [
    exports.arkor,
    exports.trainer,
    fallback,
    fallback?.arkor,
    fallback?.trainer,
  ]) {
    if (isArkor(candidate) && isTrainer(candidate.trainer)) return candidate.trainer;
    if (isTrainer(candidate)) return candidate;
  }
  return undefined;
}

/**
 * @param {any} value
 * @returns {value is import("..").Trainer}
 */
function isTrainer(value) {
  return typeof value?.start === "function" && typeof value?.wait === "function";
}

module.exports = { NOTHING_EXPORTED, PICKED_EXPORTS, loadTrainer };
