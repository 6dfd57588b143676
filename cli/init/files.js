// Checks the files of a project before `arkor init` writes the first one, so that it writes either all files
// or none.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");

/**
 * @param {string} file
 * @returns {string | undefined} its text; undefined if it doesn't exist
 * @throws {CliError} if it can't be read, or isn't UTF-8
 */
function readIfPresent(file) {
  if (!isThere(file)) return undefined;
  const name = path.basename(file);
  checkKind(file, name);
  const bytes = attempt(name, () => fs.readFileSync(file));
  const text = bytes.toString("utf8");
  // Writing it back would turn every byte that isn't UTF-8 into a replacement character.
  if (Buffer.from(text).equals(bytes)) return text;
  throw new CliError(`${name} isn't UTF-8. Save it as UTF-8, then run this again.`);
}

/**
 * Checks that a file can be written, or already exists as one.
 * @param {string} cwd
 * @param {string} file relative, with `/`
 * @throws {CliError} if something else is in its place
 */
function checkTarget(cwd, file) {
  const parts = file.split("/");
  /** The directory in which the next part would be created. */
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
 * Checks that an existing file can be replaced with a new version.
 * @param {string} file
 */
function checkReplaceable(file) {
  const real = fs.realpathSync(file);
  // It's replaced by a rename, so its directory has to be writable.
  checkWritable(path.dirname(real), path.dirname(real));
}

/**
 * @param {string} directory
 * @param {string} name the name for the message
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

/** @param {string} file exists even if it's a broken link */
function isThere(file) {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

/**
 * @param {string} file
 * @param {string} name the name for the message
 * @throws {CliError} if it isn't a regular file: reading a FIFO, for example, could block forever
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
 * @throws {CliError} if the system refuses, because of a loop of links or missing permissions
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
