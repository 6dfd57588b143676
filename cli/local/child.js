// One process of the local backend, from its start until it ends. It's ready once it prints a JSON line on
// stdout. Its stderr is passed on line by line.

const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");
const { CliError } = require("../errors.js");

/** How many lines of stderr an error message about a failed start contains. */
const KEPT_LINES = 5;

/**
 * @typedef {object} ReadyLine
 * @property {string} url
 * @property {string} token
 * @property {unknown} [version]
 */

/**
 * @typedef {object} ChildOptions
 * @property {string[]} command the program and its arguments
 * @property {string} cwd
 * @property {NodeJS.ProcessEnv} env
 * @property {number} startTimeoutMs
 * @property {(line: string) => void} log gets each line of the backend's stderr
 */

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null }} Ending */

class BackendChild {
  #process;
  #log;
  #isReady = false;
  /** @type {string[]} */ #held = [];
  /** @type {Promise<ReadyLine>} rejects if the process ends or times out first */
  ready;
  /** @type {Promise<Ending>} resolves when the process has ended and all its output was read; never rejects */
  ended;

  /** @param {ChildOptions} options */
  constructor({ command: [program = "", ...args], cwd, env, startTimeoutMs, log }) {
    this.#log = log;
    this.#process = spawn(program, args, {
      cwd,
      env,
      // When stdin closes, the backend knows that this process is gone, even after a crash.
      stdio: ["pipe", "pipe", "pipe"],
      // In a separate process group, so that Ctrl-C reaches only this command, which decides what happens to
      // the run.
      detached: true,
      windowsHide: true,
    });
    // If the backend dies during a write to its stdin, its exit is reported instead of the EPIPE.
    this.#process.stdin.on("error", () => {});
    createInterface(this.#process.stderr).on("line", (line) => this.#onStderr(line));

    const child = this.#process;
    /** @type {Promise<Error>} */
    const unstartable = new Promise((resolve) => child.once("error", resolve));
    /** @type {Promise<Ending>} */
    const closed = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve({ code, signal }));
    });
    this.ended = Promise.race([closed, unstartable.then(() => ({ code: null, signal: null }))]);
    this.ready = this.#whenReady(unstartable, startTimeoutMs);
    // Prevents an unhandled rejection in case `ready` rejects before the caller awaits it.
    this.ready.catch(() => {});
  }

  get pid() {
    return this.#process.pid;
  }

  /**
   * @param {Promise<Error>} unstartable
   * @param {number} startTimeoutMs
   * @returns {Promise<ReadyLine>}
   */
  async #whenReady(unstartable, startTimeoutMs) {
    /** @type {NodeJS.Timeout | undefined} */ let timer;
    try {
      const ready = await Promise.race([
        this.#readyLine(),
        unstartable.then((error) => {
          throw new CliError(`arkor-local can't be started: ${error.message}`, { cause: error });
        }),
        this.ended.then((ending) => {
          throw new CliError(
            `arkor-local ${howItEnded(ending)} before it was ready${this.#lastOutput()}`,
          );
        }),
        new Promise((_, reject) => {
          timer = setTimeout(() => {
            const seconds = startTimeoutMs / 1000;
            reject(
              new CliError(`arkor-local was not ready after ${seconds} s${this.#lastOutput()}`),
            );
          }, startTimeoutMs);
        }),
      ]);
      this.#isReady = true;
      for (const line of this.#held.splice(0)) this.#log(line);
      return ready;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns {Promise<any>} */
  #readyLine() {
    return new Promise((resolve) => {
      createInterface(this.#process.stdout).on("line", (line) => {
        const ready = parseReadyLine(line);
        if (ready) resolve(ready);
        else this.#onStderr(line);
      });
    });
  }

  /** @param {string} line */
  #onStderr(line) {
    if (this.#isReady) this.#log(line);
    else this.#held.push(line);
  }

  /** @returns {string} the last output of a backend that didn't become ready, for an error message */
  #lastOutput() {
    const lines = this.#held
      .map((line) => line.replace(/^arkor-local: /, "").trim())
      .filter((line) => line !== "")
      .slice(-KEPT_LINES);
    return lines.length > 0 ? `. It said: ${lines.join(" | ")}` : "";
  }

  /**
   * Asks the process to end, so that it saves its state first.
   * @param {number} graceMs the time after which it's killed
   * @returns {Promise<void>}
   */
  async stop(graceMs) {
    this.#process.stdin.end();
    // On Windows every signal kills at once, so only the pipe is closed there.
    if (process.platform !== "win32") this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  kill() {
    this.#process.kill("SIGKILL");
  }
}

/**
 * @param {string} line
 * @returns {ReadyLine | undefined}
 */
function parseReadyLine(line) {
  try {
    const ready = JSON.parse(line);
    const fits = typeof ready?.url === "string" && typeof ready?.token === "string";
    return fits ? ready : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {Ending} ending
 * @returns {string}
 */
function howItEnded({ code, signal }) {
  return signal ? `was ended by ${signal}` : `ended with code ${code}`;
}

module.exports = { BackendChild, howItEnded };
