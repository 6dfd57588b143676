// `arkor start`: submits the project's run, or resumes one, and watches it.

const { CliError } = require("./errors.js");
const { checkLocalOptions } = require("./local/options.js");
const { watch } = require("./watch.js");

/** @typedef {Omit<import("./watch.js").WatchOptions, "jobId" | "hint">} StartOptions */

/**
 * @param {string | undefined} entry
 * @param {StartOptions} options
 * @returns {Promise<number>} the exit code
 */
async function start(entry, options) {
  checkLocalOptions(options, { "--port": options.port, "--resume": options.resume });
  if (options.resume !== undefined && options.dryRun) {
    throw new CliError(
      "--dry-run is for a job that is submitted; with --resume it goes on as it was. Leave one out.",
    );
  }
  return watch(entry, options);
}

module.exports = { start };
