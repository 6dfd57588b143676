// Checks the version of the local backend. It's released together with this package, and only equal versions
// are tested together.

const { version } = require("../../package.json");
const { CliError } = require("../errors.js");
const { addCommand, packageManagerOf } = require("../init/packages.js");

/**
 * @param {unknown} found the version that the backend reports, if any
 * @param {object} options
 * @param {string} options.cwd the project
 * @param {string} [options.name] the backend's name in messages
 * @param {string} [options.also] another possible remedy
 * @throws {CliError} if it isn't this package's version
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
