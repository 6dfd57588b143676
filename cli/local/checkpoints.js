// Tells the user how to resume a run from its checkpoints on this machine.

const { arkorCommand } = require("../invocation.js");
const { LocalBackend } = require("./backend.js");
const { namesIn } = require("./store.js");

/**
 * @param {string} jobId of a run that failed or was cancelled
 * @returns {string | undefined} undefined if it has saved no checkpoint
 */
function howToGoOn(jobId) {
  const checkpoints = LocalBackend.jobPath(jobId, "checkpoints");
  if (!namesIn(checkpoints).some((name) => /^checkpoint-\d+$/.test(name))) return undefined;
  return `Its checkpoints are in ${checkpoints}. To go on from the last one: ${arkorCommand(`start --local --resume ${jobId}`)}`;
}

module.exports = { howToGoOn };
