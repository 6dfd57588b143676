// `arkor attach`: watches a job that was submitted earlier, with the callbacks of an entry. The backend
// replays its events from the first one, so the callbacks see the whole run.

const { chooseBackend } = require("./local/choose.js");
const { readStored } = require("./local/store.js");
const { watch } = require("./watch.js");

/**
 * @param {string} jobId
 * @param {string | undefined} entry
 * @param {{ local?: boolean }} options
 * @returns {Promise<number>} the exit code
 */
async function attach(jobId, entry, { local }) {
  const cwd = process.cwd();
  const { status } = readStored(cwd, jobId) ?? {};
  // An interrupted job resumes while it's watched. To watch a finished job, the backend must not run any
  // other.
  const runs = status === "queued" || status === "running";
  const backend = await chooseBackend(cwd, { local, jobId, runs });
  const hint = local ? " --local" : undefined;
  return watch(entry, { jobId, hint, ...(backend.isLocal && { backend }) });
}

module.exports = { attach };
