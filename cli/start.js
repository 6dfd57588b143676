// `arkor start`: submits the project's run, or goes on with one, and watches it.

const { CliError } = require("./errors.js");
const { watch } = require("./watch.js");

/** @typedef {Omit<import("./watch.js").WatchOptions, "jobId" | "hint">} StartOptions */

/**
 * @param {string | undefined} entry
 * @param {StartOptions} options
 * @returns {Promise<number>} the exit code
 */
async function start(entry, options) {
  for (const [given, flag] of [
    [options.baseModel, "--base-model"],
    [options.port, "--port"],
    [options.resume, "--resume"],
  ]) {
    if (given !== undefined && !options.local) {
      throw new CliError(`${flag} is for the local backend; add --local.`);
    }
  }
  if (options.resume !== undefined && options.dryRun) {
    throw new CliError(
      "--dry-run is for a job that is submitted; with --resume it goes on as it was. Leave one out.",
    );
  }
  return watch(entry, options);
}

module.exports = { start };
