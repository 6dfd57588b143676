// `arkor start`: submits the project's run and watches it.

const { CliError } = require("./errors.js");
const { watch } = require("./watch.js");

/** @typedef {Omit<import("./watch.js").WatchOptions, "jobId">} StartOptions */

/**
 * @param {string | undefined} entry
 * @param {StartOptions} options
 * @returns {Promise<number>} the exit code
 */
async function start(entry, options) {
  for (const [given, flag] of [
    [options.baseModel, "--base-model"],
    [options.port, "--port"],
  ]) {
    if (given !== undefined && !options.local) {
      throw new CliError(`${flag} is for the local backend; add --local.`);
    }
  }
  return watch(entry, options);
}

module.exports = { start };
