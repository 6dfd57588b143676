// Finds the local backend's binary: named by the environment, installed as a package, or built in a checkout
// of this repository.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");

const IN_CHECKOUT = path.join(__dirname, "../../local/index.js");
const HOW_TO_GET_IT =
  "Install it with `npm install @arkor/local`, or in a checkout of arkor build it with `npm run build`.";

/**
 * Returns the command that starts the local backend.
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[]} the program and its first arguments
 * @throws {CliError} if there's none; the message says how to get one
 */
function findLocalBackend(cwd, env) {
  if (env.ARKOR_LOCAL_BIN) {
    const named = path.resolve(cwd, env.ARKOR_LOCAL_BIN);
    if (!fs.existsSync(named)) {
      throw new CliError(`ARKOR_LOCAL_BIN names a file that does not exist: ${named}`);
    }
    return commandFor(named);
  }
  const own = installed(cwd);
  for (const candidate of [own, IN_CHECKOUT]) {
    const binary = candidate && binaryOf(candidate);
    if (binary) return commandFor(binary);
  }
  const reason = own && whyNot(own);
  throw new CliError(
    reason ?? `The local backend, arkor-local, is not installed. ${HOW_TO_GET_IT}`,
  );
}

/**
 * @param {string} cwd
 * @returns {string | undefined} the folder of the torch engine's worker, which is part of the local backend's package
 */
function findTorchWorker(cwd) {
  for (const file of [installed(cwd), IN_CHECKOUT]) {
    const worker = file && path.join(path.dirname(file), "torch");
    if (worker && fs.existsSync(path.join(worker, "uv.lock"))) return worker;
  }
  return undefined;
}

/**
 * @param {string} cwd
 * @returns {string}
 * @throws {CliError} if there's none
 */
function torchWorker(cwd) {
  const worker = findTorchWorker(cwd);
  if (worker !== undefined) return worker;
  throw new CliError(
    `The torch engine comes with @arkor/local, which is not installed. ${HOW_TO_GET_IT}`,
  );
}

/**
 * @param {string} file the file of an installed `@arkor/local`
 * @returns {string | undefined} why it has no binary for this machine, in the package's own words
 */
function whyNot(file) {
  try {
    require(file).binaryPath();
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  return undefined;
}

/**
 * @param {string} cwd
 * @returns {string | undefined} the file of the `@arkor/local` package
 */
function installed(cwd) {
  try {
    return require.resolve("@arkor/local", { paths: [cwd, __dirname] });
  } catch {
    return undefined;
  }
}

/**
 * @param {string} file a module that exports `binaryPath()`
 * @returns {string | undefined} undefined if the package has no binary for this platform
 */
function binaryOf(file) {
  if (!fs.existsSync(file)) return undefined;
  try {
    const binary = require(file).binaryPath();
    return typeof binary === "string" && fs.existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} file
 * @returns {string[]}
 */
function commandFor(file) {
  return /\.[cm]?js$/.test(file) ? [process.execPath, file] : [file];
}

module.exports = { findLocalBackend, findTorchWorker, torchWorker };
