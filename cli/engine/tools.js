// Finds the tools for an installation: a Python for which PyTorch has wheels, and uv, which reads the lock
// file.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");
const { ownUvPlace, pythonOf } = require("./environments.js");
const { run } = require("./process.js");

const UV_VERSION = "0.13.9";
/** The first version that can read the lock file. */
const OLDEST_UV = [0, 7, 0];
const PYTHONS = [["python3"], ["python"], ["py", "-3"]];
const GET_UV = "https://docs.astral.sh/uv/getting-started/installation/";

/** @typedef {{ file: string, version: string, minor: number }} Python */
/** @typedef {{ program: string, env: NodeJS.ProcessEnv }} Uv */

/** @returns {Promise<Python[]>} the Pythons on the PATH */
async function pythons() {
  const found = [];
  const script = "import sys; print(*sys.version_info[:3], sep='.'); print(sys.executable)";
  for (const command of PYTHONS) {
    const { ok, stdout } = await run([...command, "-c", script]);
    const [version = "", file = ""] = stdout.split(/\r?\n/);
    const [major, minor] = version.split(".").map(Number);
    if (ok && major !== undefined && minor !== undefined && file !== "") {
      // Python 2 is older than every Python 3.
      found.push({ file, version, minor: major === 3 ? minor : -1 });
    }
  }
  return found;
}

/**
 * @param {number[]} minors the supported minor versions of Python 3
 * @param {boolean} hasUv whether uv can download a Python
 * @returns {Promise<Python | undefined>}
 * @throws {CliError} if none fits and there's no uv
 */
async function pythonFor(minors, hasUv) {
  const found = await pythons();
  const fitting = found.find(({ minor }) => minors.includes(minor));
  if (fitting || hasUv) return fitting;
  const needed = `3.${minors[0]} to 3.${minors.at(-1)}`;
  const how = `Install one from https://www.python.org/downloads/, or install uv, which gets a Python by itself: ${GET_UV}`;
  const [first] = found;
  if (first) {
    throw new CliError(
      `The torch engine needs Python ${needed}, and ${first.file} is ${first.version}. ${how}`,
    );
  }
  throw new CliError(`The torch engine needs Python ${needed}, and no Python was found. ${how}`);
}

/** @returns {Promise<Uv | undefined>} the user's own uv; undefined if it's missing or too old */
async function findUv() {
  const named = process.env.ARKOR_UV;
  const program = named || "uv";
  const { ok, stdout } = await run([program, "--version"]);
  const version = stdout
    .match(/^uv (\d+)\.(\d+)\.(\d+)/)
    ?.slice(1)
    .map(Number);
  if (ok && version && isRecent(version)) return { program, env: environment() };
  if (!named) return undefined;
  const is = version ? `is uv ${version.join(".")}, which is too old` : "isn't uv, or can't be run";
  throw new CliError(
    `ARKOR_UV names ${named}, and that ${is}. Unset it, or name uv ${OLDEST_UV.join(".")} or later.`,
  );
}

/** @param {number[]} version */
function isRecent(version) {
  const differing = OLDEST_UV.findIndex((part, index) => part !== version[index]);
  return differing === -1 || (version[differing] ?? 0) > (OLDEST_UV[differing] ?? 0);
}

/** The environment variables for uv, without those of an activated virtual environment. */
function environment() {
  const { VIRTUAL_ENV: _, CONDA_PREFIX: __, ...env } = process.env;
  return env;
}

/**
 * Installs a separate uv from PyPI.
 * @param {string} python
 * @param {{ signal: AbortSignal, onLine: (line: string) => void }} options
 * @returns {Promise<{ uv: Uv } | { failed: import("./process.js").Ended, step: string }>}
 */
async function installUv(python, options) {
  const place = ownUvPlace(UV_VERSION);
  const program = path.join(path.dirname(pythonOf(place)), "uv");
  // Its cache is in the same directory, so that removing the engine removes both.
  const env = { UV_CACHE_DIR: path.join(place, "cache"), ...environment() };
  const uv = { program, env };
  if ((await run([program, "--version"])).ok) return { uv };
  fs.rmSync(place, { recursive: true, force: true });
  const steps = [
    [python, "-m", "venv", place],
    [pythonOf(place), "-m", "pip", "install", "--disable-pip-version-check", `uv==${UV_VERSION}`],
  ];
  try {
    for (const command of steps) {
      const failed = await run(command, { ...options, env: environment() });
      if (failed.ok) continue;
      fs.rmSync(place, { recursive: true, force: true });
      return { failed, step: command.slice(1).join(" ") };
    }
  } catch (error) {
    fs.rmSync(place, { recursive: true, force: true });
    throw error;
  }
  return { uv };
}

module.exports = { UV_VERSION, findUv, installUv, pythonFor };
