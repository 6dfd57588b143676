// One process of the local backend, from spawn through ready (one JSON line on its stdout) to its end.
// Its stderr is passed on line by line.

const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");
const { CliError } = require("../errors.js");

/** How many lines of stderr are kept to explain a failed start. */
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
  /** @type {Promise<Ending>} resolves when it has ended and all its output was read; never rejects */
  ended;

  /** @param {ChildOptions} options */
  constructor({ command: [program = "", ...args], cwd, env, startTimeoutMs, log }) {
    this.#log = log;
    this.#process = spawn(program, args, {
      cwd,
      env,
      // When stdin closes, the backend knows that we're gone, even if we crashed.
      stdio: ["pipe", "pipe", "pipe"],
      // Outside our process group: Ctrl-C must reach only us, and we decide what happens to the run.
      detached: true,
      windowsHide: true,
    });
    // If the backend dies while we write to it, we report its exit, not the EPIPE.
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
    // Prevents an unhandled rejection if `ready` rejects before the caller awaits it.
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

  /** @returns {string} the last output of a backend that didn't get ready, for an error message */
  #lastOutput() {
    const lines = this.#held
      .map((line) => line.replace(/^arkor-local: /, "").trim())
      .filter((line) => line !== "")
      .slice(-KEPT_LINES);
    return lines.length > 0 ? `. It said: ${lines.join(" | ")}` : "";
  }

  /**
   * Asks it to end, so that it saves its state first.
   * @param {number} graceMs after which it is killed
   * @returns {Promise<void>}
   */
  async stop(graceMs) {
    this.#process.stdin.end();
    // On Windows every signal kills at once, so there we only close the pipe.
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
