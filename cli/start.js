// `arkor start`: a fresh bundle, a backend, one trainer run and watched to its end; out comes the
// exit code. With --local the backend is a child of this process, else the cloud.

const { freshBundle } = require("./build.js");
const { CliError, errorText } = require("./errors.js");
const { internalsOf } = require("./internals.js");
const { Interrupts, cancelLocalRun, leaveCloudRun } = require("./interrupts.js");
const { LocalBackend } = require("./local/backend.js");
const { findLocalBackend } = require("./local/find.js");
const { Reporter } = require("./reporter.js");

const COMPLETED = 0;
const FAILED = 1;
const INTERRUPTED = 130;

/**
 * @typedef {object} StartOptions
 * @property {boolean} [local]
 * @property {boolean} [dryRun]
 * @property {string} [baseModel]
 * @property {number} [port]
 */

/**
 * @param {string | undefined} entry
 * @param {StartOptions} options
 * @returns {Promise<number>} the exit code
 */
async function start(entry, options) {
  for (const [given, flag] of [
    [options.baseModel, "--base-model"],
    [options.port, "--port"],
  ]) {
    if (given !== undefined && !options.local) {
      throw new CliError(`${flag} is for the local backend; add --local.`);
    }
  }
  const session = new Session(options);
  const code = await session.run(entry);
  // A run that was left has a pending `wait()`, which would keep the process alive; and after
  // Ctrl-C nothing of the project's may.
  if (session.isFollowing || code === INTERRUPTED) process.exit(code);
  return code;
}

/** @param {{ message: string, sunset?: string | null }} notice what the backend says of this SDK */
function deprecationText({ message, sunset }) {
  return `warning: ${message}${sunset ? ` (it ends on ${sunset})` : ""}`;
}

class Session {
  #options;
  #reporter = new Reporter();
  #interrupts = new Interrupts();
  /** @type {LocalBackend | undefined} */ #backend;
  /** @type {import("./interrupts.js").WatchedRun} */ #watched = { submitting: false };
  #unobserve = () => {};
  /** @type {import("./internals.js").TrainerInternals["takeDeprecation"] | undefined} */ #takeDeprecation;
  /** Whether the trainer's `start()` or `wait()` is pending. */
  isFollowing = false;

  /** @param {StartOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * @param {string | undefined} entry
   * @returns {Promise<number>}
   */
  async run(entry) {
    const work = this.#work(entry).catch((error) => {
      // After Ctrl-C an error is what it caused: a backend that is gone, a run that was cut off.
      if (this.#interrupts.count > 0) return INTERRUPTED;
      this.#stopReporting();
      this.#reporter.say(errorText(error));
      return FAILED;
    });
    try {
      const code = await Promise.race([work, this.#interrupts.pressed(1).then(() => INTERRUPTED)]);
      if (this.#interrupts.count === 0) return code;
      this.#stopReporting();
      const say = (/** @type {string} */ line) => this.#reporter.say(line);
      const leave = this.#options.local ? cancelLocalRun : leaveCloudRun;
      await leave(this.#watched, this.#interrupts, say);
      return INTERRUPTED;
    } finally {
      this.#stopReporting();
      const deprecation = this.#takeDeprecation?.();
      if (deprecation) this.#reporter.say(deprecationText(deprecation));
      await this.#stopBackend();
      this.#interrupts.close();
    }
  }

  #stopReporting() {
    this.#unobserve();
    this.#reporter.close();
  }

  async #stopBackend() {
    const backend = this.#backend;
    if (!backend) return;
    const inTime = backend.stop({ atOnce: this.#interrupts.count > 1 });
    const atOnce = this.#interrupts.pressed(2).then(() => backend.stop({ atOnce: true }));
    await Promise.race([inTime, atOnce]);
  }

  /**
   * @param {string | undefined} entry
   * @returns {Promise<number>}
   */
  async #work(entry) {
    const bundle = await freshBundle(entry);
    if (bundle.note) this.#reporter.say(bundle.note);
    if (this.#options.local) await this.#startBackend();
    if (this.#interrupts.count > 0) return INTERRUPTED;

    process.setSourceMapsEnabled(true);
    const { loadTrainer } = require("../lib/run.js");
    const trainer = await loadTrainer(bundle.file);
    const internals = internalsOf(trainer);
    if (this.#options.dryRun) {
      if (!internals) throw new CliError("--dry-run needs a trainer made by createTrainer.");
      internals.setDryRun(true);
    }
    if (internals) this.#unobserve = internals.observe(this.#reporter.observer());
    this.#takeDeprecation = internals?.takeDeprecation;
    const run = this.#follow(trainer);
    return this.#backend ? Promise.race([run, this.#backend.lost]) : run;
  }

  async #startBackend() {
    const cwd = process.cwd();
    this.#backend = new LocalBackend({
      command: findLocalBackend(cwd, process.env),
      cwd,
      say: (line) => this.#reporter.say(line),
      ...(this.#options.port !== undefined && { port: this.#options.port }),
      ...(this.#options.baseModel !== undefined && { baseModel: this.#options.baseModel }),
    });
    const { url, token } = await this.#backend.start();
    // Before the project's code is loaded: its trainer reads them when it starts.
    process.env.ARKOR_CLOUD_API_URL = url;
    process.env.ARKOR_LOCAL_TOKEN = token;
  }

  /**
   * @param {import("..").Trainer} trainer
   * @returns {Promise<number>}
   */
  async #follow(trainer) {
    if (this.#interrupts.count > 0) return INTERRUPTED;
    this.#watched = { trainer, submitting: true };
    this.isFollowing = true;
    try {
      return await this.#watch(trainer);
    } finally {
      this.isFollowing = false;
    }
  }

  /**
   * @param {import("..").Trainer} trainer
   * @returns {Promise<number>}
   */
  async #watch(trainer) {
    const { jobId } = await trainer.start();
    this.#watched.jobId = jobId;
    this.#reporter.print(`Started job ${jobId}`);
    if (this.#interrupts.count > 0) return INTERRUPTED;
    const waiting = trainer.wait();
    this.#watched.waiting = waiting;
    const { job } = await waiting;
    this.#reporter.close();
    if (job.status === "failed") this.#reporter.say(`error: the run failed: ${job.error}`);
    this.#reporter.print(`Job ${jobId} finished with status=${job.status}`);
    if (job.status !== "completed") return FAILED;
    if (this.#backend) this.#reporter.print(`Adapter: ${LocalBackend.jobPath(jobId, "adapter")}`);
    return COMPLETED;
  }
}

module.exports = { start };
