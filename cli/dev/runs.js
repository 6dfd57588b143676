// The runs that Studio has started. Each is a separate `arkor start` process. Its output is kept, so that
// it's still available after the page is closed.

const { spawn } = require("node:child_process");
const { randomUUID } = require("node:crypto");
const path = require("node:path");
const { setTimeout: delay } = require("node:timers/promises");

const ARKOR = path.join(__dirname, "../../bin/arkor.js");

/** How many bytes of a run's output are kept, because a callback may print endlessly. */
const KEPT_BYTES = 4 * 1024 * 1024;
/** How many finished runs are kept. */
const KEPT_RUNS = 50;
/** How long a child has to withdraw its submission. */
const WITHDRAW_MS = 2500;
const KILL_MS = 500;

/**
 * @typedef {object} RunInfo
 * @property {string} id
 * @property {string | null} jobId null until the backend has responded
 * @property {string | null} file
 * @property {boolean} dryRun
 * @property {string} startedAt ISO 8601
 * @property {string | null} endedAt
 * @property {number | null} exitCode
 */

class Run {
  id = randomUUID();
  /** @type {string | null} */ jobId = null;
  startedAt = new Date().toISOString();
  /** @type {string | null} */ endedAt = null;
  /** @type {number | null} */ exitCode = null;
  /** @type {Promise<void>} */ ended;
  #child;
  /** @type {Buffer[]} */ #output = [];
  #bytes = 0;
  #isCut = false;
  /** @type {Set<ReadableStreamDefaultController<Uint8Array>>} */ #readers = new Set();
  #line = "";

  /**
   * @param {{ cwd: string, env: NodeJS.ProcessEnv, file: string | null, dryRun: boolean }} options
   */
  constructor({ cwd, env, file, dryRun }) {
    this.file = file;
    this.dryRun = dryRun;
    const args = [ARKOR, "start", ...(dryRun ? ["--dry-run"] : []), ...(file ? ["--", file] : [])];
    this.#child = spawn(process.execPath, args, {
      cwd,
      env: { ...env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      // In a separate process group, so that Ctrl-C reaches only Studio, which decides what happens to the
      // run.
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    this.#child.stdout.on("data", (chunk) => {
      this.#findJob(chunk);
      this.#keep(chunk);
    });
    this.#child.stderr.on("data", (chunk) => this.#keep(chunk));
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#keep(Buffer.from(`error: ${error.message}\n`));
        this.#end(1);
        resolve();
      });
      this.#child.once("close", (code, signal) => {
        this.#end(code ?? (signal === "SIGKILL" ? 137 : 143));
        resolve();
      });
    });
  }

  /** @param {Buffer} chunk */
  #findJob(chunk) {
    if (this.jobId !== null) return;
    this.#line = (this.#line + chunk.toString()).slice(-4096);
    const [, id] = /^Started job (\S+)$/m.exec(this.#line) ?? [];
    if (id !== undefined) this.jobId = id;
  }

  /** @param {Buffer} chunk */
  #keep(chunk) {
    this.#output.push(chunk);
    this.#bytes += chunk.length;
    // The first chunk tells which run was started, so it's kept; the oldest chunks after it are dropped.
    while (this.#bytes > KEPT_BYTES && this.#output.length > 2) {
      const [cut] = this.#output.splice(this.#isCut ? 2 : 1, 1);
      this.#bytes -= cut?.length ?? 0;
      if (this.#isCut) continue;
      this.#isCut = true;
      this.#output.splice(1, 0, Buffer.from("\n[… output that is not kept …]\n"));
    }
    for (const reader of this.#readers) reader.enqueue(new Uint8Array(chunk));
  }

  /** @param {number} code */
  #end(code) {
    if (this.exitCode !== null) return;
    this.exitCode = code;
    this.endedAt = new Date().toISOString();
    for (const reader of this.#readers) {
      reader.enqueue(this.#last());
      reader.close();
    }
    this.#readers.clear();
  }

  #last() {
    return new TextEncoder().encode(`---\nexit=${this.exitCode}\n`);
  }

  /** The whole output, from the start to the end. A reader that stops doesn't affect the run. */
  output() {
    /** @type {ReadableStreamDefaultController<Uint8Array>} */ let own;
    return new ReadableStream({
      start: (controller) => {
        own = controller;
        for (const chunk of this.#output) controller.enqueue(new Uint8Array(chunk));
        if (this.exitCode === null) return void this.#readers.add(controller);
        controller.enqueue(this.#last());
        controller.close();
      },
      cancel: () => void this.#readers.delete(own),
    });
  }

  /** Makes the child stop watching. A pending submission is withdrawn. */
  async stopWatching() {
    if (this.exitCode !== null) return;
    this.#child.kill("SIGINT");
    const inTime = await Promise.race([
      this.ended.then(() => true),
      // A run that the backend knows continues there, so don't wait for the child.
      this.jobId === null ? delay(WITHDRAW_MS, false) : delay(0, false),
    ]);
    if (inTime) return;
    this.#child.kill("SIGTERM");
    const ended = await Promise.race([this.ended.then(() => true), delay(KILL_MS, false)]);
    if (!ended) this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** @returns {RunInfo} */
  get info() {
    const { id, jobId, file, dryRun, startedAt, endedAt, exitCode } = this;
    return { id, jobId, file, dryRun, startedAt, endedAt, exitCode };
  }
}

class Runs {
  #cwd;
  /** @type {Map<string, Run>} */ #runs = new Map();
  #isOver = false;

  /** @param {string} cwd the project */
  constructor(cwd) {
    this.#cwd = cwd;
  }

  /**
   * @param {{ file: string | null, dryRun: boolean, env: NodeJS.ProcessEnv }} options
   * @returns {Run}
   */
  start({ file, dryRun, env }) {
    if (this.#isOver) throw new Error("Studio is ending.");
    const run = new Run({ cwd: this.#cwd, env, file, dryRun });
    this.#runs.set(run.id, run);
    const over = [...this.#runs.values()].filter(({ exitCode }) => exitCode !== null);
    for (const old of over.slice(0, Math.max(0, over.length - KEPT_RUNS))) {
      this.#runs.delete(old.id);
    }
    return run;
  }

  /** Newest first. */
  get list() {
    return [...this.#runs.values()].reverse().map(({ info }) => info);
  }

  /** @param {string} id */
  get(id) {
    return this.#runs.get(id);
  }

  /**
   * Ends all children.
   * @returns {Promise<string[]>} the jobs that were being watched
   */
  async end() {
    this.#isOver = true;
    const running = [...this.#runs.values()].filter(({ exitCode }) => exitCode === null);
    await Promise.all(running.map((run) => run.stopWatching()));
    return running.flatMap(({ jobId }) => jobId ?? []);
  }
}

module.exports = { Run, Runs };
