// `arkor engine install torch`: creates a Python environment with the packages of the torch engine's lock
// file.

const fs = require("node:fs");
const { CliError, Cancelled } = require("../errors.js");
const { formatDuration } = require("../format.js");
const { torchWorker } = require("../local/find.js");
const { print, say } = require("../output.js");
const { canAsk, confirm } = require("../prompt.js");
const { BUILD_NAMES, buildFor, machineOf } = require("./build.js");
const { check } = require("./check.js");
const { alone, complete, environmentAt, placeOf, pythonOf } = require("./environments.js");
const { failureOf } = require("./failure.js");
const { pythonsFor, readLock } = require("./lock.js");
const { introduction, planOf, stepsOf } = require("./plan.js");
const { run } = require("./process.js");
const { checkSpace } = require("./space.js");
const { UV_VERSION, findUv, installUv, pythonFor } = require("./tools.js");

const PROGRESS = /^ *(Downloading|Downloaded|Prepared|Installed|warning:) /;
const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/**
 * @typedef {object} InstallOptions
 * @property {boolean} [ray]
 * @property {boolean} [cpu]
 * @property {boolean} [cuda]
 * @property {boolean} [yes]
 */

/**
 * @typedef {object} Tools
 * @property {import("./tools.js").Uv | undefined} uv the user's own uv
 * @property {import("./tools.js").Python | undefined} python undefined if uv downloads one
 * @property {string} versions of Python that fit, in uv's syntax
 */

/** @typedef {import("./plan.js").Plan} Plan */
/** @typedef {import("./environments.js").Environment} Environment */

/**
 * @param {InstallOptions} options
 * @returns {Promise<void>}
 */
async function installTorch(options) {
  const worker = torchWorker(process.cwd());
  const machine = machineOf();
  const { hash, packages } = readLock(worker);
  const place = placeOf(hash);
  const installed = environmentAt(place);
  const had = installed?.marker.extras ?? [];
  const extras = [...new Set([...had, ...(options.ray ? ["ray"] : [])])];
  const build = await chosenBuild(machine, options, installed);
  if (installed && extras.length === had.length) {
    print(`The torch engine is installed already, in ${place}`);
    return;
  }
  const minors = pythonsFor(packages, machine, extras);
  const uv = await findUv();
  const python = await pythonFor(minors, uv !== undefined || installed !== undefined);
  const version = installed?.marker.python ?? python?.version;
  const plan = planOf({
    place,
    worker,
    packages,
    machine,
    minor: Number(version?.split(".")[1] ?? minors[0]),
    extras,
    installed: installed && had,
    build,
  });
  const free = await checkSpace(place, plan.disk);
  for (const line of introduction(plan, free)) say(line);
  if (!options.yes && canAsk() && !(await confirm("Install it?", false))) {
    print("Nothing was installed.");
    return;
  }
  const versions = `>=3.${minors[0]},<3.${Number(minors.at(-1)) + 1}`;
  await alone(() => interruptible((signal) => install(plan, { uv, python, versions }, signal)));
}

/**
 * @param {import("./build.js").Machine} machine
 * @param {InstallOptions} options
 * @param {Environment | undefined} installed
 * @returns {Promise<import("./build.js").Build>}
 * @throws {CliError} if another build is already installed
 */
async function chosenBuild(machine, options, installed) {
  const isChosen = options.cpu || options.cuda;
  if (installed && !isChosen) return installed.marker.build;
  const build = await buildFor(machine, options);
  if (!installed || installed.marker.build === build) return build;
  throw new CliError(
    `The torch engine is installed with PyTorch's ${BUILD_NAMES[installed.marker.build]} build. To replace it, run this first: arkor engine remove torch`,
  );
}

/**
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} work ends soon after the signal, with everything cleaned up
 * @returns {Promise<T>}
 */
async function interruptible(work) {
  const stop = new AbortController();
  const onSignal = () => stop.abort(new Cancelled("Interrupted. Nothing was installed."));
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await work(stop.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/**
 * @param {Plan} plan
 * @param {Tools} tools
 * @param {AbortSignal} signal
 */
async function install(plan, tools, signal) {
  const { place } = plan;
  const started = Date.now();
  const isNew = !environmentAt(place);
  try {
    // An incomplete environment: its installation was killed.
    if (isNew) fs.rmSync(place, { recursive: true, force: true });
    const uv = tools.uv ?? (await ownUv(plan, tools.python, signal));
    const python = tools.python?.file ?? tools.versions;
    const env = { ...uv.env, UV_PROJECT_ENVIRONMENT: place };
    for (const { says, args, index } of stepsOf(plan, python, isNew)) {
      say(says);
      const ended = await run([uv.program, ...args], { env, signal, onLine: relay });
      if (!ended.ok) throw failureOf(ended, { ...plan, what: `uv ${args[0]}`, index });
    }
    say("Checking it.");
    const found = await check(pythonOf(place), plan.worker, {
      ray: plan.extras.includes("ray"),
      signal,
    });
    if ("problem" in found) {
      throw new CliError(`The torch engine was installed, but doesn't work: ${found.problem}`);
    }
    const { python: version, packages, device, deviceName = device } = found;
    const { build, extras } = plan;
    const installedAt = new Date().toISOString();
    complete(place, { build, extras, python: version, packages, device, installedAt });
    print(`The torch engine is installed in ${place} (${formatDuration(Date.now() - started)})`);
    print(`Python ${version}, torch ${packages.torch}, on ${deviceName}`);
  } catch (error) {
    if (isNew) fs.rmSync(place, { recursive: true, force: true });
    throw error;
  }
}

/**
 * @param {Plan} plan
 * @param {import("./tools.js").Python | undefined} python
 * @param {AbortSignal} signal
 */
async function ownUv(plan, python, signal) {
  const file = python?.file ?? pythonOf(plan.place);
  say(`Getting uv ${UV_VERSION}, which installs the packages.`);
  const got = await installUv(file, { signal, onLine: relay });
  if ("uv" in got) return got.uv;
  throw failureOf(got.failed, { ...plan, what: got.step });
}

/**
 * Prints the lines that show progress. Errors are reported at the end.
 * @param {string} line from the stderr of uv or pip
 */
function relay(line) {
  if (PROGRESS.test(line)) say(`  ${line.trim()}`);
}

module.exports = { installTorch };
