// `arkor attach`: watches a job that was submitted before, with the callbacks of an entry. The backend
// sends its events from the first one on, so the callbacks see the whole run.

const { watch } = require("./watch.js");

/**
 * @param {string} jobId
 * @param {string | undefined} entry
 * @returns {Promise<number>} the exit code
 */
function attach(jobId, entry) {
  return watch(entry, { jobId });
}

module.exports = { attach };
