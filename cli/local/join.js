// The local backend of a project: the one that serves it already, else one that this command starts.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");
const { LocalBackend } = require("./backend.js");
const { findLocalBackend } = require("./find.js");
const { givenLocalFlags, localArguments } = require("./flags.js");
const { checkVersion } = require("./version.js");

const ANNOUNCED = ".arkor/local/server.json";
const ANSWER_MS = 2000;

/** @typedef {{ url: string, token: string, version?: unknown, pid?: unknown }} Announced */

/** A backend that another command has started. It stays when this one ends. */
class RunningBackend {
  isOurs = false;
  #at;
  /** @type {Promise<never>} whoever has started it looks after it */
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
 * @param {{ port?: number } & import("./flags.js").LocalFlags} options of a backend that is started
 * @param {(line: string) => void} say
 * @returns {Promise<LocalBackend | RunningBackend>} not started yet
 * @throws {CliError} one that runs can't be joined
 */
async function backendFor(cwd, { port, ...options }, say) {
  const running = await runningBackend(cwd);
  if (!running) {
    return new LocalBackend({
      command: findLocalBackend(cwd, process.env),
      cwd,
      say,
      args: localArguments(options),
      ...(port !== undefined && { port }),
    });
  }
  const given = givenLocalFlags(options).map(({ flag }) => flag);
  const [flag] = [...given, ...(port === undefined ? [] : ["--port"])];
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
 * @returns {Promise<Announced | undefined>} undefined when none answers
 * @throws {CliError} its version is another
 */
async function runningBackend(cwd) {
  const announced = readAnnounced(cwd);
  if (!announced || !(await answers(announced))) return undefined;
  await checkVersion(announced.version, { cwd, name: nameOf(announced), also: "stop that one" });
  return announced;
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
 * @returns {Promise<boolean>} false: its backend is gone, and the file was left behind
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
 * Has this process's requests go to a backend.
 * @param {{ url: string, token: string }} backend
 */
function pointAt({ url, token }) {
  process.env.ARKOR_CLOUD_API_URL = url;
  process.env.ARKOR_LOCAL_TOKEN = token;
}

/**
 * Has this process's requests go to the local backend that serves a project: with `local`, or when
 * nobody is signed in to the cloud.
 * @param {string} cwd
 * @param {{ local?: boolean | undefined }} options
 * @throws {CliError} with `local` there must be one
 */
async function joinRunning(cwd, { local }) {
  if (!local && (process.env.ARKOR_LOCAL_TOKEN || (await isSignedIn()))) return;
  const running = await runningBackend(cwd);
  if (running) pointAt(running);
  else if (local) {
    throw new CliError("No local backend serves this project. Start one: arkor local");
  }
}

async function isSignedIn() {
  const { readCredentials } = require("../../lib/credentials.js");
  // One that can't be read isn't for us to report: the request that needs it does.
  return (await readCredentials().catch(() => true)) !== null;
}

module.exports = { backendFor, pointAt, joinRunning };
