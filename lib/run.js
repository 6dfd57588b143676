// `runTrainer`: loads the trainer of a project's entry and runs it to the end.
"use strict";

const { existsSync } = require("node:fs");
const path = require("node:path");
const { DEFAULT_ENTRY, bundle } = require("./bundle.js");
const { loadTrainer } = require("./entry.js");
const { ancestors, isFile, isWithin } = require("./files.js");
const { oneLine } = require("./printable.js");

/** Node runs only some TypeScript, and only in newer versions. Bun and Deno run all of it. */
const READS_TYPESCRIPT = Boolean(process.versions.bun ?? Reflect.get(process.versions, "deno"));

/**
 * @param {string} [file]
 * @returns {Promise<import("..").TrainingResult>}
 */
async function runTrainer(file = DEFAULT_ENTRY) {
  const trainer = await loadTrainer(await runnable(path.resolve(file)));
  const { jobId } = await trainer.start();
  process.stdout.write(`Started job ${oneLine(jobId)}\n`);
  const result = await trainer.wait();
  process.stdout.write(
    `${oneLine(`Job ${result.job.id} finished with status=${result.job.status}`)}\n`,
  );
  return result;
}

/**
 * @param {string} entry
 * @returns {Promise<string>} the entry itself, or its bundle if it's TypeScript
 */
async function runnable(entry) {
  if (!isFile(entry)) {
    throw new Error(
      `Training entry not found: ${entry}. Provide a path or create src/arkor/index.ts.`,
    );
  }
  if (READS_TYPESCRIPT || !/\.([cm]?ts|[jt]sx)$/.test(entry)) return entry;
  const { file, notes } = await bundle(entry, packageOf(entry));
  for (const note of notes) process.emitWarning(note);
  return file;
}

/**
 * @param {string} entry
 * @returns {string} the nearest directory with a package.json or node_modules
 */
function packageOf(entry) {
  const directory = path.dirname(entry);
  const found = ancestors(directory).find((above) =>
    ["package.json", "node_modules"].some((name) => existsSync(path.join(above, name))),
  );
  return found ?? (isWithin(process.cwd(), entry) ? process.cwd() : directory);
}

module.exports = { runTrainer };
