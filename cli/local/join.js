// The local backend of a project: one that already serves it, or one that this command starts.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");
const { LocalBackend } = require("./backend.js");
const { findLocalBackend } = require("./find.js");
const { backendFlags } = require("./flags.js");
const { givenFlag } = require("./options.js");
const { checkVersion } = require("./version.js");

const ANNOUNCED = ".arkor/local/server.json";
const ANSWER_MS = 2000;

/** @typedef {{ url: string, token: string, version?: unknown, pid?: unknown, runs?: unknown }} Announced */

/** A backend that another command started. It keeps running when this command ends. */
class RunningBackend {
  isOurs = false;
  #at;
  /** @type {Promise<never>} never settles: the command that started the backend restarts it */
  lost = new Promise(() => {});

  /** @param {Announced} at */
  constructor(at) {
    this.#at = at;
  }

  async start() {
    return this.#at;
  }

  async stop() {}
}

/**
 * @param {string} cwd the project
 * @param {import("./options.js").LocalOptions & { port?: number | undefined }} options the options for a backend
 *   that this command starts
 * @param {(line: string) => void} say
 * @returns {Promise<LocalBackend | RunningBackend>} a backend whose `start` wasn't called yet
 * @throws {CliError} if a running backend can't be used with these options
 */
async function backendFor(cwd, options, say) {
  const { port } = options;
  const running = await runningBackend(cwd);
  if (!running) {
    return new LocalBackend({
      command: findLocalBackend(cwd, process.env),
      cwd,
      say,
      flags: await backendFlags(cwd, options, say),
      ...(port !== undefined && { port }),
    });
  }
  checkRuns(running);
  const flag = givenFlag(options, { "--port": port });
  if (flag !== undefined) {
    throw new CliError(
      `${flag} is for a local backend that starts now, but ${nameOf(running)} serves this project already. Stop that one first, or leave ${flag} out.`,
    );
  }
  say(`Using the local backend that runs at ${running.url}.`);
  return new RunningBackend(running);
}

/**
 * @param {string} cwd the project
 * @returns {Promise<Announced | undefined>} undefined if none responds
 * @throws {CliError} if it has another version
 */
async function runningBackend(cwd) {
  const announced = readAnnounced(cwd);
  if (!announced || !(await answers(announced))) return undefined;
  await checkVersion(announced.version, { cwd, name: nameOf(announced), also: "stop that one" });
  return announced;
}

/**
 * @param {Announced} running
 * @throws {CliError} if it runs no jobs
 */
function checkRuns(running) {
  if (running.runs !== false) return;
  throw new CliError(
    `${nameOf(running)} runs no jobs: another command, such as arkor chat, has started it for itself. End that command first.`,
  );
}

/**
 * @param {string} cwd
 * @returns {Announced | undefined}
 */
function readAnnounced(cwd) {
  try {
    const announced = JSON.parse(fs.readFileSync(path.join(cwd, ANNOUNCED), "utf8"));
    const { url, token } = announced;
    const fits = /^http:\/\/127\.0\.0\.1:\d+$/.test(url) && typeof token === "string";
    return fits ? announced : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {Announced} announced
 * @returns {Promise<boolean>} false if the backend is gone and left its file behind
 */
async function answers({ url, token }) {
  try {
    const headers = { authorization: `Bearer ${token}` };
    const signal = AbortSignal.timeout(ANSWER_MS);
    return (await fetch(`${url}/v1/me`, { headers, signal })).ok;
  } catch {
    return false;
  }
}

/** @param {Announced} announced */
function nameOf({ url, pid }) {
  return `the local backend at ${url} (process ${pid})`;
}

/**
 * Points this process's requests at a backend.
 * @param {{ url: string, token: string }} backend
 */
function pointAt({ url, token }) {
  process.env.ARKOR_CLOUD_API_URL = url;
  process.env.ARKOR_LOCAL_TOKEN = token;
}

module.exports = { RunningBackend, backendFor, checkRuns, pointAt, runningBackend };
