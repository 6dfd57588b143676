// The local backend and this package are released together, and only the same version is tested.

const { version } = require("../../package.json");
const { CliError } = require("../errors.js");
const { addCommand, packageManagerOf } = require("../init/packages.js");

/**
 * @param {unknown} found what the backend says, if anything
 * @param {object} options
 * @param {string} options.cwd the project
 * @param {string} [options.name] the backend, as the user knows it
 * @param {string} [options.also] what else there is to do
 * @throws {CliError} it's another version than ours
 */
async function checkVersion(found, { cwd, name = "@arkor/local", also }) {
  if (found === version) return;
  const is = typeof found === "string" ? `is ${found}` : "doesn't say its version,";
  const command = addCommand(await packageManagerOf(cwd), `@arkor/local@${version}`);
  const fix =
    also === undefined ? "Run" : `${also.charAt(0).toUpperCase()}${also.slice(1)}, and run`;
  throw new CliError(
    `${name} ${is} and arkor is ${version}; they must be the same version. ${fix}: ${command}`,
  );
}

module.exports = { checkVersion };
