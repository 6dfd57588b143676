// A run's checkpoints on this machine, and how to resume from them.

const fs = require("node:fs");
const { LocalBackend } = require("./backend.js");

/**
 * @param {string} jobId of a run that failed or was cancelled
 * @returns {string | undefined} undefined when it hasn't saved a checkpoint
 */
function howToGoOn(jobId) {
  const checkpoints = LocalBackend.jobPath(jobId, "checkpoints");
  if (!namesIn(checkpoints).some((name) => /^checkpoint-\d+$/.test(name))) return undefined;
  return `Its checkpoints are in ${checkpoints}. To go on from the last one: arkor start --local --resume ${jobId}`;
}

/** @param {string} directory */
function namesIn(directory) {
  try {
    return fs.readdirSync(directory);
  } catch {
    return [];
  }
}

module.exports = { howToGoOn };
