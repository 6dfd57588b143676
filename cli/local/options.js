// The flags of a local backend, which `arkor start`, `arkor dev` and `arkor local` share: their declarations,
// and checks for combinations that contradict each other.

const path = require("node:path");
const { InvalidArgumentError, Option } = require("commander");
const { CliError } = require("../errors.js");

const ENGINES = ["auto", "cpu", "torch"];

/**
 * @typedef {object} LocalOptions
 * @property {string} [baseModel] a model directory
 * @property {boolean} [strictModel] whether to refuse a job if another model would stand in for its own
 * @property {string} [engine]
 * @property {string} [memory] the CPU engine's memory limit, such as 4GB
 * @property {string} [python]
 * @property {number} [workers]
 * @property {string | true} [ray] the cluster's address; true means RAY_ADDRESS
 * @property {number} [maxFailures]
 * @property {string} [vllm]
 */

/** @type {[keyof LocalOptions, string][]} */
const FLAGS = [
  ["baseModel", "--base-model"],
  ["strictModel", "--strict-model"],
  ["engine", "--engine"],
  ["memory", "--memory"],
  ["python", "--python"],
  ["workers", "--workers"],
  ["ray", "--ray"],
  ["maxFailures", "--max-failures"],
  ["vllm", "--vllm"],
];
/** @type {(keyof LocalOptions)[]} */
const TORCH_ONLY = ["python", "workers", "ray", "vllm"];

/**
 * Resolves a path relative to the user's directory, which may be inside the project.
 * @param {string} value
 */
function parsePath(value) {
  return path.resolve(value);
}

/** @param {number} least */
function parseCount(least) {
  return (/** @type {string} */ value) => {
    if (/^\d+$/.test(value) && Number(value) >= least) return Number(value);
    throw new InvalidArgumentError(`It must be a whole number, at least ${least}.`);
  };
}

/** @param {string} value */
function parseSize(value) {
  if (/^\d+(\.\d+)? ?(b|[mg](i?b)?)?$/i.test(value) && Number.parseFloat(value) > 0) return value;
  throw new InvalidArgumentError("It must be a size such as 4GB or 800MB.");
}

/** @param {string} value */
function parseRay(value) {
  if (/^[\w.-]+:\d+$|^\[[\da-f:]+\]:\d+$|^auto$/.test(value)) return value;
  // A `ray://` client shares no files with the cluster, but a run needs shared files.
  throw new InvalidArgumentError(
    "It must be HOST:PORT of a cluster that this machine is part of, or auto.",
  );
}

/** @param {string} value */
function parseUrl(value) {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError("It must be a URL like http://127.0.0.1:8000.");
  }
  if (!url.username && !url.password) return value;
  // Don't let Commander report this error, because its message would repeat the value.
  throw new CliError("--vllm has a user name or a password in it. Set VLLM_API_KEY instead.");
}

/**
 * @param {import("commander").Command} command
 * @param {{ always?: boolean }} [options] `always`: the command always uses a local backend, even without --local
 * @returns {import("commander").Command}
 */
function addLocalOptions(command, { always = false } = {}) {
  const help = (/** @type {string} */ text) => (always ? text : `with --local: ${text}`);
  return command
    .option("--base-model <path>", help("a model directory or a GGUF file to train on"), parsePath)
    .option(
      "--strict-model",
      help("fail if the model can't be trained here (default: if CI is set)"),
    )
    .option("--no-strict-model", help("train arkor-tiny instead, and warn (default)"))
    .addOption(
      new Option(
        "--engine <engine>",
        help("what trains (default: ARKOR_ENGINE, else auto)"),
      ).choices(ENGINES),
    )
    .option("--memory <size>", help("the most that the CPU engine may take for a run"), parseSize)
    .option("--python <file>", help("a Python of your own for the torch engine"), parsePath)
    .option("--workers <number>", help("train with this many processes"), parseCount(1))
    .option("--ray [address]", help("train on a Ray cluster (default: RAY_ADDRESS)"), parseRay)
    .option(
      "--max-failures <number>",
      help("how many times a lost run starts again"),
      parseCount(0),
    )
    .option("--vllm <url>", help("a vLLM server that answers chats"), parseUrl);
}

/**
 * @param {LocalOptions} options
 * @param {Record<string, unknown>} [more] other flags that only a local backend has
 * @returns {string | undefined} the first flag that was given
 */
function givenFlag(options, more = {}) {
  // --no-strict-model doesn't require anything that only a local backend can do.
  const given = { ...options, strictModel: options.strictModel || undefined };
  const own = FLAGS.map(([name, flag]) => /** @type {const} */ ([flag, given[name]]));
  return [...own, ...Object.entries(more)].find(([, value]) => value !== undefined)?.[0];
}

/**
 * @param {LocalOptions & { local?: boolean }} options
 * @param {Record<string, unknown>} [more] other flags that only a local backend has
 * @throws {CliError} if the flags contradict each other
 */
function checkLocalOptions(options, more) {
  const flag = givenFlag(options, more);
  if (!options.local) {
    if (flag !== undefined) throw new CliError(`${flag} is for the local backend; add --local.`);
    return;
  }
  engineOf(options, process.env);
  if (options.ray) rayAddress(options.ray, process.env);
}

/**
 * @param {LocalOptions} options
 * @param {NodeJS.ProcessEnv} env
 * @returns {boolean} whether no other model may stand in; true in CI, where nobody would read the warning
 */
function isStrict({ strictModel }, env) {
  return strictModel ?? !["", "0", "false"].includes(env.CI ?? "");
}

/**
 * @param {LocalOptions} options
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 * @throws {CliError} if the flags contradict each other
 */
function engineOf(options, env) {
  const { engine = env.ARKOR_ENGINE || "auto" } = options;
  if (!ENGINES.includes(engine)) {
    throw new CliError(
      `ARKOR_ENGINE is "${engine}"; it must be ${ENGINES.join(", ").replace(/, (?=\w+$)/, " or ")}.`,
    );
  }
  const [, flag] =
    FLAGS.find(([name]) => TORCH_ONLY.includes(name) && options[name] !== undefined) ?? [];
  if (options.memory !== undefined && (engine === "torch" || flag !== undefined)) {
    throw new CliError(
      "--memory is for the CPU engine, and this run is the torch engine's. Leave it out.",
    );
  }
  if (flag === undefined) return engine;
  if (engine !== "cpu") return "torch";
  const chosen = options.engine === undefined ? "ARKOR_ENGINE=cpu" : "--engine cpu";
  throw new CliError(
    `${flag} is for the torch engine, but ${chosen} chooses the CPU engine. Leave one of them out.`,
  );
}

/**
 * @param {string | true} ray
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 */
function rayAddress(ray, env) {
  const address = ray === true ? env.RAY_ADDRESS : ray;
  if (address) return address;
  throw new CliError(
    "--ray doesn't say which cluster to join, and RAY_ADDRESS isn't set. Give its address: --ray=HOST:PORT",
  );
}

module.exports = {
  addLocalOptions,
  checkLocalOptions,
  engineOf,
  givenFlag,
  isStrict,
  parseCount,
  parsePath,
  rayAddress,
};
