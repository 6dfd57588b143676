// The directory that `arkor init` works in. It's checked before the user is asked anything, and created after
// that.

const fs = require("node:fs");
const path = require("node:path");
const { ancestors } = require("../../lib/files.js");
const { CliError } = require("../errors.js");

/**
 * @param {string | undefined} given as given by the user; the current directory by default
 * @returns {string} its absolute path
 * @throws {CliError} if it, or one above it, isn't a directory
 */
function findDirectory(given) {
  const directory = path.resolve(given ?? ".");
  const nearest = ancestors(directory).find(isThere);
  if (nearest === undefined || isDirectory(nearest)) return directory;
  const name = nearest === directory ? given : nearest;
  throw new CliError(
    `${name} isn't a directory. Name another directory, or move it away, then run this again.`,
  );
}

/** @param {string} file exists even if it's a broken link */
function isThere(file) {
  try {
    return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // Something above the file isn't a directory, or isn't accessible.
    return false;
  }
}

/** @param {string} file */
function isDirectory(file) {
  try {
    return fs.statSync(file).isDirectory();
  } catch {
    return false;
  }
}

/**
 * @param {string} directory
 * @throws {CliError} if the system refuses
 */
function enterDirectory(directory) {
  try {
    fs.mkdirSync(directory, { recursive: true });
    process.chdir(directory);
  } catch (cause) {
    const { message } = /** @type {Error} */ (cause);
    throw new CliError(`${directory} can't be made or entered (${message}).`, { cause });
  }
}

module.exports = { enterDirectory, findDirectory };
