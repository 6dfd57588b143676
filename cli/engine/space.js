// Checks whether there's enough disk space for an installation, and measures the size of one.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");
const { formatSize } = require("../format.js");

/**
 * @param {string} place a directory that need not exist
 * @param {number} needed in bytes
 * @param {(directory: string) => Promise<{ bavail: number, bsize: number }>} [statfs]
 * @returns {Promise<number>} the free bytes there
 * @throws {CliError} if that isn't enough
 */
async function checkSpace(place, needed, statfs = fs.promises.statfs) {
  let directory = place;
  while (!fs.existsSync(directory)) directory = path.dirname(directory);
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= needed) return free;
  throw new CliError(
    `The torch engine needs about ${formatSize(needed)} in ${place}, and only ${formatSize(free)} are free there. ` +
      "Free some space, or have XDG_CACHE_HOME name a directory on another disk.",
  );
}

/**
 * The disk usage of directories. uv hard-links an environment's files to its cache, so deleting the
 * environment doesn't free files that are also in the cache.
 * @param {string[]} directories
 * @returns {{ bytes: number, shared: number }} `shared`: how many of these bytes deleting the directories wouldn't
 *   free
 */
function measure(directories) {
  /** @type {Map<number, { bytes: number, links: number }>} */
  const files = new Map();
  for (const directory of directories) {
    for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const { ino, size, nlink } = fs.statSync(path.join(entry.parentPath, entry.name));
      const known = files.get(ino);
      if (known) known.links -= 1;
      else files.set(ino, { bytes: size, links: nlink - 1 });
    }
  }
  let [bytes, shared] = [0, 0];
  for (const file of files.values()) {
    bytes += file.bytes;
    if (file.links > 0) shared += file.bytes;
  }
  return { bytes, shared };
}

module.exports = { checkSpace, measure };
