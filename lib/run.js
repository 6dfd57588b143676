// `runTrainer`: a project's entry → its trainer → a finished run.
"use strict";

const { existsSync } = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { isArkor } = require("./arkor.js");
const { oneLine } = require("./printable.js");

const DEFAULT_ENTRY = path.join("src", "arkor", "index.ts");

/**
 * Imports an entry and picks its trainer.
 * @param {string} file
 * @returns {Promise<import("..").Trainer>}
 */
async function loadTrainer(file) {
  if (!existsSync(file)) {
    throw new Error(
      `Training entry not found: ${file}. Provide a path or create src/arkor/index.ts.`,
    );
  }
  const trainer = pickTrainer(await import(pathToFileURL(file).href));
  if (trainer) return trainer;
  throw new Error(
    "Training entry must export `arkor` (from createArkor({...})) or `trainer` (from createTrainer({...})), or default-export one of them.",
  );
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

/**
 * @param {string} [file]
 * @returns {Promise<import("..").TrainingResult>}
 */
async function runTrainer(file = DEFAULT_ENTRY) {
  const trainer = await loadTrainer(path.resolve(file));
  const { jobId } = await trainer.start();
  process.stdout.write(`Started job ${oneLine(jobId)}\n`);
  const result = await trainer.wait();
  process.stdout.write(
    `${oneLine(`Job ${result.job.id} finished with status=${result.job.status}`)}\n`,
  );
  return result;
}

module.exports = { loadTrainer, runTrainer };
