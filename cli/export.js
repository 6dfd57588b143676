// `arkor export`: writes a local job's trained model to a folder, for use in other programs. `arkor-local
// export` does the work.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("./errors.js");
const { Exporter } = require("./export/exporter.js");
const { howToLoad } = require("./export/how-to-load.js");
const { formatSize } = require("./format.js");
const { arkorCommand } = require("./invocation.js");
const { findLocalBackend } = require("./local/find.js");
const { STORE, hasStore, readStored, storedJobs } = require("./local/store.js");
const { newestCompleted } = require("./newest-job.js");
const { print, say } = require("./output.js");

const DONE = 0;
const INTERRUPTED = 130;
const DEFAULT_TYPE = "q8_0";

/**
 * @typedef {object} ExportOptions
 * @property {string} to
 * @property {import("./export/how-to-load.js").Format} format
 * @property {string} [quantize]
 * @property {number} [checkpoint]
 * @property {string} [baseModel]
 * @property {boolean} [force]
 */

/**
 * @param {string | undefined} target a job's id, or `<job>/<step>`
 * @param {ExportOptions} options
 * @returns {Promise<number>} the exit code
 */
async function exportJob(target, options) {
  const cwd = process.cwd();
  const { to, format, baseModel, force = false } = options;
  const quantizes = format === "gguf" || format === "ollama";
  if (options.quantize !== undefined && !quantizes) {
    throw new CliError(
      `--quantize is for --format gguf and ollama, not for ${format}. Leave it out.`,
    );
  }
  const { jobId, checkpoint, notice } =
    target === undefined
      ? { ...newestJob(cwd), checkpoint: options.checkpoint }
      : { ...partsOf(target, options.checkpoint), notice: undefined };
  const job = readStored(cwd, jobId);
  if (!job) throw new CliError(await whyNot(cwd, jobId));
  checkFolder(to, force);
  if (notice !== undefined) say(notice);
  const exporter = new Exporter([
    ...findLocalBackend(cwd, process.env),
    ...["export", "--store", path.join(cwd, STORE), "--job", jobId, "--to", to, "--format", format],
    ...(quantizes ? ["--quantize", options.quantize ?? DEFAULT_TYPE] : []),
    ...(checkpoint === undefined ? [] : ["--checkpoint", String(checkpoint)]),
    ...(baseModel === undefined ? [] : ["--base-model", baseModel]),
    ...(force ? ["--force"] : []),
  ]);
  const result = await exporter.run();
  if (result === undefined) {
    say("Stopped. What was written so far may be incomplete.");
    return INTERRUPTED;
  }
  report(result, { to, format, name: String(job.name ?? jobId) });
  return DONE;
}

/**
 * @param {string} cwd
 * @returns {{ jobId: string, notice: string }}
 * @throws {CliError} if no local job is completed
 */
function newestJob(cwd) {
  const jobs = storedJobs(cwd);
  const newest = newestCompleted(jobs, "is exported");
  if (newest) return { jobId: newest.job.id, notice: newest.notice };
  throw new CliError(
    jobs.length === 0
      ? `No run of this project is on this machine. Train here: ${arkorCommand("start --local")}`
      : `No local job of this project is completed. Name a checkpoint of one: ${arkorCommand("export <job>/<step>")}`,
  );
}

/**
 * @param {string} target
 * @param {number | undefined} flag
 */
function partsOf(target, flag) {
  const [, jobId = target, step] = /^([^/]+)\/(?:checkpoint-)?(\d+)$/.exec(target) ?? [];
  if (step !== undefined && flag !== undefined) {
    throw new CliError(`${target} names a checkpoint already. Leave --checkpoint out.`);
  }
  return { jobId, checkpoint: step === undefined ? flag : Number(step) };
}

/**
 * @param {string} cwd
 * @param {string} jobId
 * @returns {Promise<string>} why there's nothing to export
 */
async function whyNot(cwd, jobId) {
  const { readState } = require("../lib/credentials.js");
  const hint = hasStore(cwd)
    ? `To list the local jobs: ${arkorCommand("jobs --local")}`
    : `Train here: ${arkorCommand("start --local")}`;
  const isInCloud = (await readState(cwd)) !== null;
  const cloud = isInCloud ? " A job in the cloud can't be exported: its adapter stays there." : "";
  return `There is no job ${jobId} on this machine.${cloud} ${hint}`;
}

/**
 * @param {string} to
 * @param {boolean} force
 * @throws {CliError} if writing to the folder would overwrite something
 */
function checkFolder(to, force) {
  const found = fs.statSync(to, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isDirectory()) throw new CliError(`--to: ${to} is a file. Name a folder.`);
  if (force || fs.readdirSync(to).length === 0) return;
  throw new CliError(
    `--to: ${to} isn't empty. Name another folder, or add --force to replace files in it.`,
  );
}

/**
 * @param {import("./export/exporter.js").Exported} result
 * @param {{ to: string, format: import("./export/how-to-load.js").Format, name: string }} options
 */
function report({ files, base, notes }, { to, format, name }) {
  // Relative if that's how a user would type the path.
  const relative = path.relative(process.cwd(), to);
  const shown = relative === "" || relative.startsWith("..") ? to : relative;
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  print(`Exported to ${shown} (${formatSize(total)}):`);
  for (const { path: file, bytes } of files) print(`  ${nameIn(to, file)}  ${formatSize(bytes)}`);
  for (const note of notes) say(note);
  const gguf = files.find(({ path: file }) => file.endsWith(".gguf"));
  const { title, lines } = howToLoad(format, {
    folder: shown,
    base,
    name,
    gguf: gguf && path.join(shown, nameIn(to, gguf.path)),
  });
  print("");
  print(title);
  for (const line of lines) print(line === "" ? "" : `  ${line}`);
}

/**
 * @param {string} folder
 * @param {string} file absolute, or relative to the folder
 */
function nameIn(folder, file) {
  return path.relative(folder, path.resolve(folder, file));
}

module.exports = { exportJob };
