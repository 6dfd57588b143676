// Chooses the backend for a command: this project's local one, or the cloud.

const { CliError } = require("../errors.js");
const { arkorCommand } = require("../invocation.js");
const { say } = require("../output.js");
const { LocalBackend } = require("./backend.js");
const { findLocalBackend } = require("./find.js");
const { backendFlags } = require("./flags.js");
const { RunningBackend, checkRuns, pointAt, runningBackend } = require("./join.js");
const { hasStore, isStored } = require("./store.js");

/**
 * @typedef {object} Wanted
 * @property {boolean | undefined} [local] the flag `--local`
 * @property {string | undefined} [jobId] the command's job; a local job selects the local backend
 * @property {boolean} [runs] whether a backend started for the command resumes unfinished jobs
 * @property {boolean} [withoutStore] whether `--local` also makes sense before the first run
 */

/**
 * @typedef {object} Chosen
 * @property {boolean} isLocal
 * @property {boolean} isOurs whether it ends with this command
 * @property {Promise<never>} lost rejects once the backend is gone for good
 * @property {(options?: { atOnce?: boolean }) => Promise<void>} stop
 */

/** @type {Omit<Chosen, "isLocal">} */
const LASTING = { isOurs: false, lost: new Promise(() => {}), stop: async () => {} };

/** Log lines that the command reports in its own way, or that nobody needs. */
const HIDDEN_LOGS = /^arkor-local: (?:stopping$|chat: )/;

/**
 * Points this process's requests at the command's backend, and prints which one that is.
 * @param {string} cwd the project
 * @param {Wanted} wanted
 * @returns {Promise<Chosen>}
 * @throws {CliError} if there is none
 */
async function chooseBackend(cwd, wanted) {
  const { ARKOR_CLOUD_API_URL: url, ARKOR_LOCAL_TOKEN: token } = process.env;
  if (!wanted.local && token) {
    say(`Using the local backend at ${url}.`);
    return { ...LASTING, isLocal: true };
  }
  if (await isInCloud(cwd, wanted)) {
    const { defaultArkorCloudApiUrl, readCredentials } = require("../../lib/credentials.js");
    // Ignore unreadable credentials here: the request that needs them reports the error.
    const credentials = await readCredentials().catch(() => null);
    say(`Using the cloud at ${defaultArkorCloudApiUrl(credentials)}.`);
    return { ...LASTING, isLocal: false };
  }
  const backend = await localBackend(cwd, wanted);
  return {
    isLocal: true,
    isOurs: backend.isOurs,
    lost: backend.lost,
    stop: (options) => backend.stop(options),
  };
}

/**
 * @param {string} cwd
 * @param {Wanted} wanted
 * @returns {Promise<boolean>}
 * @throws {CliError} if nobody is signed in, and the project has no local store
 */
async function isInCloud(cwd, { local, jobId }) {
  if (local || (jobId !== undefined && isStored(cwd, jobId))) return false;
  const { readState } = require("../../lib/credentials.js");
  if (!hasStore(cwd)) {
    if (await isSignedIn()) return true;
    throw new CliError(
      `Not signed in, and no run of this project is on this machine. Run \`${arkorCommand("login")}\` first, or train here: ${arkorCommand("start --local")}`,
    );
  }
  // Being signed in isn't enough, because that may have been for another project.
  return (await isSignedIn()) && (await readState(cwd)) !== null;
}

/** Also true for an unusable login: the request that needs it reports why. */
async function isSignedIn() {
  const { checkLogin } = require("../../lib/account.js");
  const { readCredentials } = require("../../lib/credentials.js");
  try {
    if ((await readCredentials()) !== null) return true;
    await checkLogin();
    return false;
  } catch {
    return true;
  }
}

/**
 * @param {string} cwd
 * @param {Wanted} wanted
 * @returns {Promise<LocalBackend | RunningBackend>} a backend that has already started
 */
async function localBackend(cwd, { runs = false, withoutStore = false }) {
  const running = await runningBackend(cwd);
  if (running) return joined(running, runs);
  if (!withoutStore && !hasStore(cwd)) {
    throw new CliError(
      `No run of this project is on this machine. Train here: ${arkorCommand("start --local")}`,
    );
  }
  const backend = new LocalBackend({
    command: findLocalBackend(cwd, process.env),
    cwd,
    say: (line) => {
      if (!HIDDEN_LOGS.test(line)) say(line);
    },
    flags: [...(await backendFlags(cwd, {}, say)), ...(runs ? [] : ["--no-runs"])],
  });
  try {
    pointAt(await backend.start());
  } catch (error) {
    // Another command may have started a backend in the meantime.
    const faster = await runningBackend(cwd);
    if (faster) return joined(faster, runs);
    throw error;
  }
  say("Using a local backend, started for this command.");
  return backend;
}

/**
 * @param {import("./join.js").Announced} running
 * @param {boolean} runs
 */
function joined(running, runs) {
  if (runs) checkRuns(running);
  say(`Using the local backend that runs at ${running.url}.`);
  pointAt(running);
  return new RunningBackend(running);
}

/**
 * Runs `work` with a command's backend, and stops that backend afterwards if it was started for the command.
 * @template T
 * @param {Wanted} wanted
 * @param {(backend: { isLocal: boolean, signal: AbortSignal }) => Promise<T>} work `signal` is aborted when
 *   the backend is gone for good
 * @returns {Promise<T>}
 */
async function withBackend(wanted, work) {
  const backend = await chooseBackend(process.cwd(), wanted);
  const gone = new AbortController();
  backend.lost.catch((error) => gone.abort(error));
  try {
    return await Promise.race([
      work({ isLocal: backend.isLocal, signal: gone.signal }),
      backend.lost,
    ]);
  } finally {
    await backend.stop();
  }
}

module.exports = { chooseBackend, withBackend };
