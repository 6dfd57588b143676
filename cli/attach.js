// `arkor attach`: watches a job that was submitted before, with the callbacks of an entry. The backend
// sends its events from the first one on, so the callbacks see the whole run.

const { joinRunning } = require("./local/join.js");
const { watch } = require("./watch.js");

/**
 * @param {string} jobId
 * @param {string | undefined} entry
 * @param {{ local?: boolean }} options
 * @returns {Promise<number>} the exit code
 */
async function attach(jobId, entry, { local }) {
  await joinRunning(process.cwd(), { local });
  return watch(entry, { jobId, ...(local && { hint: " --local" }) });
}

module.exports = { attach };
