// How the user calls `arkor`, for the commands that messages tell him to run.

const { execCommand, isPackageManager } = require("./init/packages.js");

/**
 * A package manager that runs this command finds `arkor` in the project, where the user's shell doesn't.
 * @param {string} words the arguments, as they're typed
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 */
function arkorCommand(words, env = process.env) {
  const command = `arkor ${words}`;
  const agent = env.npm_config_user_agent?.split("/")[0];
  if (isPackageManager(agent)) return execCommand(agent, command);
  // Set by some wrappers that clear the other.
  return env.npm_execpath ? execCommand("npm", command) : command;
}

module.exports = { arkorCommand };
