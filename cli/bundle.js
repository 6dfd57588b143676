// Whether the bundle on disk is what its sources would give now. Beside the bundle lies a record of
// the digests of everything that went into it; content counts, never a clock, so that a checkout, a
// copy or a restored backup can't make a stale bundle look fresh.

const { createHash, randomBytes } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

/**
 * @typedef {object} BuildRecord
 * @property {1} format
 * @property {string} arkor the version that built it
 * @property {string} entry relative to the project, with `/`
 * @property {string} bundle digest of the bundle itself
 * @property {Record<string, string>} sources digest by path: files, their directories' listings, and
 *   the settings files (also absent ones) that steer how they are read
 */

const ABSENT = "absent";

/**
 * The digest of a file's content, or of a directory's list of names: a new `trainer.ts` next to
 * `trainer/` changes what `./trainer` means although no file that was read has changed.
 * @param {string} file
 * @returns {string}
 */
function digest(file) {
  try {
    const stat = fs.statSync(file);
    const content = stat.isDirectory()
      ? fs.readdirSync(file).sort().join("\n")
      : fs.readFileSync(file);
    return createHash("sha256").update(content).digest("hex");
  } catch (error) {
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    if (code === "ENOENT" || code === "ENOTDIR") return ABSENT;
    throw error;
  }
}

/**
 * Everything that decides what a bundle of these files contains.
 * @param {string} cwd
 * @param {string[]} inputs absolute paths of the files that were read
 * @returns {Record<string, string>}
 */
function digestSources(cwd, inputs) {
  const files = new Set(inputs);
  for (const input of inputs) {
    files.add(path.dirname(input));
    for (const directory of ancestors(input)) {
      files.add(path.join(directory, "package.json"));
      addSettings(files, path.join(directory, "tsconfig.json"));
    }
  }
  return Object.fromEntries([...files].sort().map((file) => [portable(cwd, file), digest(file)]));
}

/**
 * @param {string} file
 * @returns {string[]} its directory and all above, where esbuild looks for settings
 */
function ancestors(file) {
  const directory = path.dirname(file);
  return directory === file ? [] : [directory, ...ancestors(directory)];
}

/**
 * Adds a tsconfig.json, also an absent one, and the files of the project that it extends.
 * @param {Set<string>} files
 * @param {string} file
 */
function addSettings(files, file) {
  if (files.has(file)) return;
  files.add(file);
  if (!fs.existsSync(file)) return;
  const [, bases = ""] =
    fs.readFileSync(file, "utf8").match(/"extends"\s*:\s*("[^"]*"|\[[^\]]*\])/) ?? [];
  for (const [, base = ""] of bases.matchAll(/"(\.[^"]*)"/g)) {
    const extended = path.resolve(path.dirname(file), base);
    addSettings(files, extended.endsWith(".json") ? extended : `${extended}.json`);
  }
}

/**
 * A path relative to the project with `/`, so that a record can be read on another machine.
 * @param {string} cwd
 * @param {string} file
 * @returns {string}
 */
function portable(cwd, file) {
  return path.relative(cwd, file).split(path.sep).join("/") || ".";
}

/**
 * @param {string} file
 * @returns {BuildRecord | undefined} undefined when there is none that this version can use
 */
function readRecord(file) {
  try {
    const record = JSON.parse(fs.readFileSync(file, "utf8"));
    const usable =
      record?.format === 1 && typeof record.entry === "string" && record.sources !== null;
    return usable && typeof record.sources === "object" ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} cwd
 * @param {BuildRecord} record
 * @returns {boolean}
 */
function isUnchanged(cwd, record) {
  return Object.entries(record.sources).every(
    ([file, known]) => digest(path.resolve(cwd, file)) === known,
  );
}

/**
 * A reader sees the old content or the new one, never half of it.
 * @param {string} file
 * @param {string | Uint8Array} content
 * @param {number} [mode] the permissions; without them the usual ones
 */
function writeAtomically(file, content, mode) {
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    fs.writeFileSync(temporary, content, { flag: "wx", ...(mode !== undefined && { mode }) });
    // What the umask has taken away.
    if (mode !== undefined) fs.chmodSync(temporary, mode);
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

module.exports = {
  ABSENT,
  digest,
  digestSources,
  isUnchanged,
  portable,
  readRecord,
  writeAtomically,
};
