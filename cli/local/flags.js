// Builds the flags for `arkor-local`: the chosen engine, and the worker of the torch engine.

const path = require("node:path");
const { checkOwn } = require("../engine/check.js");
const { environmentAt, placeOf, places } = require("../engine/environments.js");
const { readLock } = require("../engine/lock.js");
const { CliError } = require("../errors.js");
const { findTorchWorker, torchWorker } = require("./find.js");
const { engineOf, isStrict, rayAddress } = require("./options.js");

const INSTALL = "arkor engine install torch";
/** How often a run on several processes or machines may be restarted before it fails. */
const MAX_FAILURES = 3;

/** @typedef {import("./options.js").LocalOptions} LocalOptions */

/**
 * Returns the flags for a local backend.
 * @param {string} cwd the project
 * @param {LocalOptions} options
 * @param {(line: string) => void} say
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<string[]>}
 * @throws {CliError} if the torch engine is needed but missing
 */
async function backendFlags(cwd, options, say, env = process.env) {
  const { baseModel, memory, workers = 1, ray, maxFailures } = options;
  const engine = engineOf(options, env);
  const failures = maxFailures ?? (workers > 1 || ray ? MAX_FAILURES : undefined);
  return [
    ...(baseModel === undefined ? [] : ["--base-model", baseModel]),
    ...(isStrict(options, env) ? ["--strict-model"] : []),
    ...["--engine", engine],
    ...(memory === undefined ? [] : ["--memory", memory]),
    ...(failures === undefined ? [] : ["--max-failures", String(failures)]),
    ...(engine === "cpu" ? [] : await workerFlags(cwd, options, { engine, say, env })),
  ];
}

/**
 * @param {string} cwd
 * @param {LocalOptions} options
 * @param {{ engine: string, say: (line: string) => void, env: NodeJS.ProcessEnv }} context
 * @returns {Promise<string[]>} empty if the torch engine is missing and not needed
 */
async function workerFlags(cwd, options, { engine, say, env }) {
  const own = options.python ?? (env.ARKOR_PYTHON && path.resolve(cwd, env.ARKOR_PYTHON));
  const isNeeded = engine === "torch" || own !== undefined;
  const worker = isNeeded ? torchWorker(cwd) : findTorchWorker(cwd);
  if (worker === undefined) return [];
  if (own) {
    const named = options.python ? "--python" : "ARKOR_PYTHON";
    await checkOwn(own, worker, { named, ray: options.ray !== undefined }, say);
  }
  const python = own || installedPython(worker, options, { engine, say });
  if (python === undefined) return [];
  const { workers, ray, vllm } = options;
  const args = [
    worker,
    ...(workers === undefined ? [] : ["--workers", String(workers)]),
    ...(ray === undefined ? [] : ["--ray", rayAddress(ray, env)]),
    ...(vllm === undefined ? [] : ["--vllm", vllm]),
  ];
  return ["--worker", python, ...args.map((arg) => `--worker-arg=${arg}`)];
}

/**
 * @param {string} worker
 * @param {LocalOptions} options
 * @param {{ engine: string, say: (line: string) => void }} context
 * @returns {string | undefined} undefined if it's neither installed nor needed
 */
function installedPython(worker, { ray }, { engine, say }) {
  const installed = environmentAt(placeOf(readLock(worker).hash));
  if (installed && ray && !installed.marker.extras.includes("ray")) {
    throw new CliError(`The torch engine is installed without Ray. Add it with: ${INSTALL} --ray`);
  }
  if (installed) return installed.python;
  const isOutdated = places().some((place) => environmentAt(place));
  const problem = isOutdated
    ? `The torch engine that is installed is another version's. Install this one's with: ${INSTALL}`
    : `The torch engine isn't installed. Install it with: ${INSTALL}`;
  if (engine === "torch") throw new CliError(problem);
  if (isOutdated) say(`warning: ${problem}`);
  return undefined;
}

module.exports = { backendFlags };
