// The directory that `arkor init` works in: what is in the way of it, before anything is asked, and
// making it, after that.

const fs = require("node:fs");
const path = require("node:path");
const { ancestors } = require("../../lib/files.js");
const { CliError } = require("../errors.js");

/**
 * @param {string | undefined} given as the user named it; none is the current directory
 * @returns {string} its absolute path
 * @throws {CliError} it, or one above it, isn't a directory
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

/** @param {string} file also a link that leads nowhere is there */
function isThere(file) {
  try {
    return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // Something above it isn't a directory, or may not be looked into.
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
 * @throws {CliError} the system refuses
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
