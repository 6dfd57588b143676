// `arkor dev`: runs Studio's server until a signal stops it.

const { randomBytes } = require("node:crypto");
const os = require("node:os");
const { arkorCommand } = require("../invocation.js");
const { LocalBackend } = require("../local/backend.js");
const { backendFor, pointAt } = require("../local/join.js");
const { checkLocalOptions } = require("../local/options.js");
const { print, say } = require("../output.js");
const { listener } = require("./adapter.js");
const { createApp } = require("./app.js");
const { Backend } = require("./backend.js");
const { listen } = require("./listen.js");
const { Manifests } = require("./manifest.js");
const { readPage } = require("./page.js");
const { Runs } = require("./runs.js");
const { removeToken, writeToken } = require("./token-file.js");

const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
/** How long a local backend has to save its state. The whole shutdown takes less than 5 s. */
const SAVE_MS = 3500;

/**
 * @typedef {object} OwnOptions
 * @property {number} [port]
 * @property {boolean} [open]
 * @property {boolean} [local]
 */

/** @typedef {OwnOptions & import("../local/options.js").LocalOptions} DevOptions */

/**
 * @param {DevOptions} options
 * @returns {Promise<number>} the exit code
 */
async function dev(options) {
  checkLocalOptions(options);
  const cwd = process.cwd();
  const page = readPage();
  const signalled = firstSignal();
  const token = randomBytes(32).toString("base64url");
  const runs = new Runs(cwd);
  /** @type {(() => Promise<void> | void)[]} */
  const ending = [];
  let left = goesOn;
  try {
    // `--port` is for Studio itself.
    const local = options.local
      ? await backendFor(cwd, { ...options, port: undefined }, say)
      : undefined;
    if (local) {
      left = local.isOurs ? stopped : goesOnHere;
      ending.push(() => stopInTime(local));
      // Applies to this process and to the runs that it starts.
      pointAt(await local.start());
    }
    const port = await serve({ cwd, token, page, runs, wanted: options.port, ending });
    const link = `http://localhost:${port}/#token=${token}`;
    print(`Arkor Studio running on ${link}`);
    if (options.open) await openLink(link);
    const signal = await Promise.race([signalled, ...(local ? [local.lost] : [])]);
    return 128 + os.constants.signals[signal];
  } finally {
    await end(runs, left, ending);
  }
}

/**
 * @param {object} parts
 * @param {string} parts.cwd
 * @param {string} parts.token
 * @param {ReturnType<typeof readPage>} parts.page
 * @param {Runs} parts.runs
 * @param {number | undefined} parts.wanted
 * @param {(() => Promise<void> | void)[]} parts.ending collects the functions that close it
 * @returns {Promise<number>} the port
 */
async function serve({ cwd, token, page, runs, wanted, ending }) {
  let port = 0;
  const backend = new Backend(cwd);
  const manifests = new Manifests(cwd, () => process.env);
  ending.push(() => manifests.end());
  const app = createApp({ cwd, token, port: () => port, page, backend, runs, manifests });
  const listening = await listen(wanted, listener(app.fetch), say);
  port = listening.port;
  ending.push(() => {
    for (const server of listening.servers) {
      server.close();
      server.closeAllConnections();
    }
  });
  const file = writeToken(token);
  ending.push(() => removeToken(file, token));
  return port;
}

/**
 * @param {Runs} runs
 * @param {(jobId: string) => string} left the message about a run that is no longer watched
 * @param {(() => Promise<void> | void)[]} ending
 */
async function end(runs, left, ending) {
  for (const jobId of await runs.end()) say(left(jobId));
  for (const step of ending.reverse()) await step();
}

/** @param {string} jobId */
function goesOn(jobId) {
  return (
    `Job ${jobId} goes on in the cloud. To watch it again: ${arkorCommand(`attach ${jobId}`)}. ` +
    `To cancel it: ${arkorCommand(`cancel ${jobId}`)}.`
  );
}

/** @param {string} jobId */
function goesOnHere(jobId) {
  return (
    `Job ${jobId} goes on with the local backend. To watch it again: ${arkorCommand(`attach ${jobId} --local`)}. ` +
    `To cancel it: ${arkorCommand(`cancel ${jobId} --local`)}.`
  );
}

/** @param {string} jobId */
function stopped(jobId) {
  const kept = LocalBackend.jobPath(jobId);
  return `Job ${jobId} stopped with the local backend and goes on with the next one. What it has saved is in ${kept}`;
}

/** @param {Awaited<ReturnType<typeof backendFor>>} local */
async function stopInTime(local) {
  const timer = setTimeout(() => void local.stop({ atOnce: true }), SAVE_MS);
  await local.stop();
  clearTimeout(timer);
}

/** @returns {Promise<typeof SIGNALS[number]>} */
function firstSignal() {
  return new Promise((resolve) => {
    for (const signal of SIGNALS) process.on(signal, () => resolve(signal));
  });
}

/** @param {string} link */
async function openLink(link) {
  const { openBrowser } = require("../login/browser.js");
  if (!(await openBrowser(link))) say("No browser could be opened. Open the link above yourself.");
}

module.exports = { dev };
