// The local backend of `arkor start --local`: one URL and one token for the whole run. If its process dies,
// it's started again with the same port, token and store.

const path = require("node:path");
const { CliError } = require("../errors.js");
const { BackendChild, howItEnded } = require("./child.js");
const { STORE } = require("./store.js");
const { checkVersion } = require("./version.js");

const MAX_RESTARTS = 3;
const START_TIMEOUT_MS = 30_000;
/** How long a backend has to save its state before it's killed. */
const STOP_GRACE_MS = 10_000;
const NAMED = { name: "the backend in ARKOR_LOCAL_BIN", also: "unset ARKOR_LOCAL_BIN" };

/**
 * @typedef {object} LocalBackendOptions
 * @property {string[]} command the command line of `arkor-local`, see `findLocalBackend`
 * @property {string} cwd the project, which contains the store
 * @property {(line: string) => void} say prints a line for the user
 * @property {number} [port] 0, the default, lets the system choose
 * @property {string[]} [flags] other flags to start it with
 * @property {NodeJS.ProcessEnv} [env]
 * @property {number} [startTimeoutMs]
 */

class LocalBackend {
  /** Whether it ends with the command that started it. */
  isOurs = true;
  #options;
  /** @type {BackendChild | undefined} */ #child;
  #isStopping = false;
  #restarts = 0;
  #port;
  /** @type {string | undefined} */ #token;
  /** @type {(error: Error) => void} */ #giveUp = () => {};
  /** @type {Promise<never>} rejects if the backend has died too often */
  lost;

  /** @param {LocalBackendOptions} options */
  constructor(options) {
    this.#options = options;
    this.#port = options.port ?? 0;
    this.lost = new Promise((_, reject) => {
      this.#giveUp = reject;
    });
    this.lost.catch(() => {});
  }

  /**
   * The path of a job's directory in the store, relative to the project.
   * @param {string} jobId
   * @param {string} [part]
   */
  static jobPath(jobId, part = "") {
    return path.posix.join(STORE, "jobs", jobId, part);
  }

  get pid() {
    return this.#child?.pid;
  }

  /**
   * @returns {Promise<import("./child.js").ReadyLine>}
   * @throws {CliError} if it isn't ready in time, ends before that, or has another version
   */
  async start() {
    const ready = await this.#launch();
    this.#token = ready.token;
    this.#port = Number(new URL(ready.url).port);
    return ready;
  }

  async #launch() {
    const { command, cwd, flags = [], env = process.env } = this.#options;
    const { ARKOR_LOCAL_TOKEN: _, ...rest } = env;
    const args = ["--port", String(this.#port), "--store", path.join(cwd, STORE), "--with-parent"];
    args.push(...flags);
    const child = new BackendChild({
      command: [...command, ...args],
      cwd,
      // Passed in the environment, because every user of this machine can read a process's arguments.
      env: this.#token === undefined ? rest : { ...rest, ARKOR_LOCAL_TOKEN: this.#token },
      startTimeoutMs: this.#options.startTimeoutMs ?? START_TIMEOUT_MS,
      log: this.#options.say,
    });
    this.#child = child;
    const ready = await child.ready.catch((error) => {
      child.kill();
      throw error;
    });
    try {
      await checkVersion(ready.version, { cwd, ...(env.ARKOR_LOCAL_BIN && NAMED) });
    } catch (error) {
      await child.stop(STOP_GRACE_MS);
      throw error;
    }
    child.ended.then((ending) => this.#onEnded(howItEnded(ending)));
    return ready;
  }

  /** @param {string} how */
  async #onEnded(how) {
    if (this.#isStopping) return;
    if (this.#restarts === MAX_RESTARTS) {
      const message = `arkor-local ${how}, after ${MAX_RESTARTS} restarts; giving up.`;
      this.#giveUp(new CliError(message));
      return;
    }
    this.#restarts += 1;
    this.#options.say(
      `arkor-local ${how}; starting it again on port ${this.#port} (${this.#restarts} of ${MAX_RESTARTS})`,
    );
    try {
      const ready = await this.#launch();
      if (ready.token !== this.#token) {
        this.#child?.kill();
        this.#giveUp(new CliError("arkor-local came back with another token; giving up."));
      }
    } catch (error) {
      if (!this.#isStopping) await this.#onEnded(`did not come back (${messageOf(error)})`);
    }
  }

  /**
   * Stops the backend and waits for its end.
   * @param {{ atOnce?: boolean }} [options] `atOnce`: don't give it time to save
   */
  async stop({ atOnce = false } = {}) {
    this.#isStopping = true;
    const child = this.#child;
    if (!child) return;
    if (atOnce) child.kill();
    await child.stop(STOP_GRACE_MS);
  }
}

/**
 * @param {unknown} error
 * @returns {string}
 */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

module.exports = { LocalBackend };
