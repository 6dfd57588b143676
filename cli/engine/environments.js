// The environments of the torch engine in the user's cache: one for each lock file, shared by all projects.
// An environment is complete only if it has its last file, arkor.json.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { CliError } = require("../errors.js");

const MARKER = "arkor.json";
const PREFIX = "torch-";
const UV_PREFIX = "uv-";

/**
 * The content of arkor.json.
 * @typedef {object} Marker
 * @property {import("./build.js").Build} build of PyTorch
 * @property {string[]} extras
 * @property {string} python the version of Python
 * @property {Record<string, string>} packages
 * @property {string} device
 * @property {string} installedAt ISO 8601
 */

/** @typedef {{ place: string, python: string, marker: Marker }} Environment */

/** @returns {string} where engines are installed; it need not exist */
function enginesDirectory(env = process.env) {
  const windows = env.LOCALAPPDATA || path.join(os.homedir(), "AppData", "Local");
  const cache = env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache");
  return path.join(process.platform === "win32" ? windows : cache, "arkor", "engines");
}

/**
 * @param {string} hash of the lock file
 * @returns {string}
 */
function placeOf(hash) {
  return path.join(enginesDirectory(), `${PREFIX}${hash}`);
}

/**
 * @param {string} place
 * @returns {string} the Python executable of the environment
 */
function pythonOf(place) {
  return path.join(
    place,
    ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]),
  );
}

/**
 * @param {string} place
 * @returns {Environment | undefined} undefined if there's no complete environment
 */
function environmentAt(place) {
  const python = pythonOf(place);
  try {
    const marker = JSON.parse(fs.readFileSync(path.join(place, MARKER), "utf8"));
    // After an upgrade of Python, the link to the old version is broken.
    return fs.existsSync(python) ? { place, python, marker } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} place
 * @param {Marker} marker
 */
function complete(place, marker) {
  fs.writeFileSync(path.join(place, MARKER), `${JSON.stringify(marker, null, 2)}\n`);
}

/** @returns {string[]} the directories of all environments, including incomplete ones */
function places() {
  return directoriesNamed(PREFIX);
}

/**
 * @param {string} version
 * @returns {string} where uv gets installed if the user has none
 */
function ownUvPlace(version) {
  return path.join(enginesDirectory(), `${UV_PREFIX}${version}`);
}

/** @returns {string[]} */
function ownUvPlaces() {
  return directoriesNamed(UV_PREFIX);
}

/** @param {string} prefix */
function directoriesNamed(prefix) {
  const directory = enginesDirectory();
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory)
    .filter((name) => name.startsWith(prefix))
    .sort()
    .map((name) => path.join(directory, name));
}

/**
 * @template T
 * @param {() => Promise<T>} work work that must not run in two processes at once
 * @returns {Promise<T>}
 * @throws {CliError} if another process is doing it
 */
async function alone(work) {
  const lock = path.join(enginesDirectory(), "lock");
  const owner = path.join(lock, "pid");
  fs.mkdirSync(enginesDirectory(), { recursive: true });
  if (!take(lock)) {
    const pid = Number(fs.existsSync(owner) && fs.readFileSync(owner, "utf8"));
    if (pid === 0 || isAlive(pid)) {
      throw new CliError(
        `Another arkor engine command${pid ? ` (process ${pid})` : ""} is at work. Wait for it to end. If there is none, delete ${lock}`,
      );
    }
    fs.rmSync(lock, { recursive: true });
    fs.mkdirSync(lock);
  }
  try {
    fs.writeFileSync(owner, String(process.pid));
    return await work();
  } finally {
    fs.rmSync(lock, { recursive: true, force: true });
  }
}

/**
 * @param {string} lock
 * @returns {boolean} false if another process has the lock
 */
function take(lock) {
  try {
    fs.mkdirSync(lock);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "EEXIST") return false;
    throw error;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}

module.exports = {
  alone,
  complete,
  enginesDirectory,
  environmentAt,
  ownUvPlace,
  ownUvPlaces,
  placeOf,
  places,
  pythonOf,
};
