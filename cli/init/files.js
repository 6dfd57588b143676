// Looks at the files of a project before `arkor init` writes the first one, so that a project is made
// whole or not at all.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");

/**
 * @param {string} file
 * @returns {string | undefined} its text; undefined when it isn't there
 * @throws {CliError} it can't be read, or not without losing something of it
 */
function readIfPresent(file) {
  if (!isThere(file)) return undefined;
  const name = path.basename(file);
  checkKind(file, name);
  const bytes = attempt(name, () => fs.readFileSync(file));
  const text = bytes.toString("utf8");
  // Written back, every byte that isn't UTF-8 would be a replacement character.
  if (Buffer.from(text).equals(bytes)) return text;
  throw new CliError(`${name} isn't UTF-8. Save it as UTF-8, then run this again.`);
}

/**
 * Checks that a file can be written, or is there as one.
 * @param {string} cwd
 * @param {string} file relative, with `/`
 * @throws {CliError} something else is in its place
 */
function checkTarget(cwd, file) {
  const parts = file.split("/");
  /** The directory in which something will be made. */
  let parent = cwd;
  for (const [index] of parts.entries()) {
    const part = parts.slice(0, index + 1).join("/");
    const at = path.join(cwd, part);
    if (!isThere(at)) break;
    if (index === parts.length - 1) return checkKind(at, part);
    const isDirectory = fs.statSync(at, { throwIfNoEntry: false })?.isDirectory() ?? false;
    if (!isDirectory) {
      throw new CliError(
        `${part} isn't a directory, which ${file} needs. Move it away, then run this again.`,
      );
    }
    parent = at;
  }
  checkWritable(parent, path.relative(cwd, parent) || "This directory");
}

/**
 * Checks that a file that is there can be replaced by a new version.
 * @param {string} file
 */
function checkReplaceable(file) {
  const real = fs.realpathSync(file);
  // Replaced by a rename, so it's the directory that has to allow it.
  checkWritable(path.dirname(real), path.dirname(real));
}

/**
 * @param {string} directory
 * @param {string} name as the user knows it
 */
function checkWritable(directory, name) {
  try {
    fs.accessSync(directory, fs.constants.W_OK);
  } catch (cause) {
    throw new CliError(
      `${name} can't be written to. Change its permissions, then run this again.`,
      {
        cause,
      },
    );
  }
}

/** @param {string} file also a link that leads nowhere is there */
function isThere(file) {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

/**
 * @param {string} file
 * @param {string} name as the user knows it
 * @throws {CliError} it isn't a file: reading a FIFO, for one, would wait for ever
 */
function checkKind(file, name) {
  const stat = attempt(name, () => fs.statSync(file, { throwIfNoEntry: false }));
  if (!stat) {
    throw new CliError(
      `${name} is a link to a file that doesn't exist. Fix the link or remove it, then run this again.`,
    );
  }
  if (stat.isFile()) return;
  const kind = stat.isDirectory() ? "a directory" : stat.isFIFO() ? "a FIFO" : "a special file";
  throw new CliError(
    `${name} is ${kind}, but has to be a file. Move it away, then run this again.`,
  );
}

/**
 * @template T
 * @param {string} name
 * @param {() => T} look
 * @returns {T}
 * @throws {CliError} the system refuses: a loop of links, missing permission
 */
function attempt(name, look) {
  try {
    return look();
  } catch (cause) {
    const { message } = /** @type {Error} */ (cause);
    throw new CliError(`${name} can't be read (${message}).`, { cause });
  }
}

module.exports = { checkReplaceable, checkTarget, readIfPresent };
