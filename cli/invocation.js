// How the user runs `arkor`, for messages that suggest a command.

const { execCommand, isPackageManager } = require("./init/packages.js");

/**
 * The full command line. If a package manager runs this process, `arkor` is installed in the project, where
 * the user's shell doesn't find it.
 * @param {string} words the arguments, as the user would type them
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string}
 */
function arkorCommand(words, env = process.env) {
  const command = `arkor ${words}`;
  const agent = env.npm_config_user_agent?.split("/")[0];
  if (isPackageManager(agent)) return execCommand(agent, command);
  // Some wrappers set this variable and clear the other one.
  return env.npm_execpath ? execCommand("npm", command) : command;
}

module.exports = { arkorCommand };
