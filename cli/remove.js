// `arkor jobs rm`: deletes a local job with its files.

const fs = require("node:fs/promises");
const path = require("node:path");
const { Backend } = require("./dev/backend.js");
const { CliError } = require("./errors.js");
const { formatSize } = require("./format.js");
const { arkorCommand } = require("./invocation.js");
const { LocalBackend } = require("./local/backend.js");
const { withBackend } = require("./local/choose.js");
const { print } = require("./output.js");
const { canAsk, confirm } = require("./prompt.js");

/**
 * @param {string} jobId
 * @param {{ yes?: boolean }} options
 * @returns {Promise<void>}
 */
async function removeJob(jobId, { yes }) {
  if (!yes && !canAsk()) {
    throw new CliError(
      "Can't ask for confirmation: not a terminal. Add -y to delete without asking.",
    );
  }
  const cwd = process.cwd();
  await withBackend({ local: true, jobId }, async () => {
    const backend = new Backend(cwd);
    const { job } = await backend.askLocal("GET", at(jobId)).catch((error) => {
      if (error.status !== 404) throw error;
      throw new CliError(
        `There is no job ${jobId} on this machine. To list them: ${arkorCommand("jobs --local")}`,
        { cause: error },
      );
    });
    if (job.status === "queued" || job.status === "running") {
      throw new CliError(
        `Job ${job.id} is ${job.status}. Cancel it first: ${arkorCommand(`cancel ${job.id} --local`)}`,
      );
    }
    const size = formatSize(await sizeOf(path.join(cwd, LocalBackend.jobPath(job.id))));
    const question = `Delete job ${job.id} (${job.name}) with its adapter and checkpoints, ${size}?`;
    if (!yes && !(await confirm(question, false))) {
      print("Nothing was deleted.");
      return;
    }
    await backend.askLocal("DELETE", at(job.id));
    print(`Deleted job ${job.id}, ${size}.`);
  });
}

/** @param {string} jobId */
function at(jobId) {
  return `/v1/jobs/${encodeURIComponent(jobId)}`;
}

/**
 * @param {string} directory
 * @returns {Promise<number>} the size of all files in it, in bytes; inaccessible files count as 0
 */
async function sizeOf(directory) {
  const entries = await fs
    .readdir(directory, { recursive: true, withFileTypes: true })
    .catch(() => []);
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      fs.lstat(path.join(entry.parentPath, entry.name)).then(
        ({ size }) => size,
        () => 0,
      ),
    );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

module.exports = { removeJob };
