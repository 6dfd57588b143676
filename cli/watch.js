// Shared by `arkor start` and `arkor attach`: watches one trainer until its end. With --local, its backend is
// a child of this process or one that already serves the project; otherwise it's the cloud.

const fs = require("node:fs");
const { buildForRun } = require("./build.js");
const { endNow, endSoon } = require("./ending.js");
const { CliError, deprecationText, describe, withLocalHint } = require("./errors.js");
const { internalsOf } = require("./internals.js");
const {
  Interrupts,
  cancelLocalRun,
  endBackend,
  leaveCloudRun,
  pauseLocalRun,
} = require("./interrupts.js");
const { arkorCommand } = require("./invocation.js");
const { explained } = require("./load-error.js");
const { LocalBackend } = require("./local/backend.js");
const { howToGoOn } = require("./local/checkpoints.js");
const { backendFor, pointAt } = require("./local/join.js");
const { Reporter } = require("./reporter.js");

const COMPLETED = 0;
const FAILED = 1;
const INTERRUPTED = 130;
/** The time after which the user is told that the entry is still loading. */
const SLOW_LOAD_MS = 3000;
/** Log lines of the backend that repeat the run's events, which the reporter shows in more detail. */
const SAID_BY_EVENTS =
  /^arkor-local: (?:(?:job \S+|chat): \S+ stands in: |job \S+ is \w+$|stopping$)/;
const ENDED = new Set(["completed", "failed", "cancelled"]);

/**
 * @typedef {object} OwnOptions
 * @property {boolean} [local]
 * @property {boolean} [dryRun]
 * @property {number} [port]
 * @property {string} [jobId] a job that was submitted earlier; without it, one is submitted
 * @property {string} [resume] a job to resume as a new one, instead of submitting one
 * @property {string | undefined} [hint] the flags besides the job's id that a command needs to find the job
 * @property {RunBackend} [backend] the local backend of a job that was submitted earlier
 */

/** @typedef {Pick<import("./local/choose.js").Chosen, "isOurs" | "lost" | "stop">} RunBackend */
/** @typedef {OwnOptions & import("./local/options.js").LocalOptions} WatchOptions */

/**
 * @param {string | undefined} entry
 * @param {WatchOptions} options
 * @returns {Promise<number>} the exit code
 */
async function watch(entry, options) {
  const session = new Session(options);
  const onIdle = () => session.giveUp();
  process.once("beforeExit", onIdle);
  const code = await session.run(entry);
  process.off("beforeExit", onIdle);
  // The `wait()` of a run that the user has left is still pending and would keep the process alive. After
  // Ctrl-C, nothing in the project may do that.
  if (session.isFollowing || code === INTERRUPTED) await endNow(code);
  endSoon(code, (line) => session.say(line));
  return code;
}

class Session {
  #options;
  #reporter = new Reporter();
  #interrupts = new Interrupts();
  /** @type {RunBackend | undefined} */ #backend;
  /** Stops watching a cloud run: no callback starts after that. */
  #stop = new AbortController();
  /** @type {import("./interrupts.js").WatchedRun} */ #watched = {};
  #unobserve = () => {};
  /** @type {import("./internals.js").TrainerInternals["takeDeprecation"] | undefined} */ #takeDeprecation;
  /** Whether the trainer's `start()` or `wait()` is pending. */
  isFollowing = false;

  /** @param {WatchOptions} options */
  constructor(options) {
    this.#options = options;
    this.#backend = options.backend;
  }

  /**
   * @param {string | undefined} entry
   * @returns {Promise<number>}
   */
  async run(entry) {
    const work = this.#work(entry).catch((error) => {
      // After Ctrl-C, errors are only its consequences: a backend that is gone, or a run that was cut off.
      if (this.#interrupts.count > 0) return INTERRUPTED;
      this.#stopReporting();
      const { local, jobId } = this.#options;
      this.#reporter.sayError(local || jobId !== undefined ? error : withLocalHint(error));
      return FAILED;
    });
    try {
      const code = await Promise.race([work, this.#interrupts.pressed(1).then(() => INTERRUPTED)]);
      if (this.#interrupts.count === 0) return code;
      this.#stopReporting();
      const say = (/** @type {string} */ line) => this.say(line);
      if (!this.#options.local) this.#stop.abort(new CliError("Stopped by Ctrl-C."));
      await this.#leave(this.#watched, this.#interrupts, say);
      return INTERRUPTED;
    } finally {
      this.#stopReporting();
      const deprecation = this.#takeDeprecation?.();
      if (deprecation) this.say(deprecationText(deprecation));
      if (this.#backend) await endBackend(this.#backend, this.#interrupts);
      this.#interrupts.close();
    }
  }

  /** The handler that decides what Ctrl-C does to the run. */
  get #leave() {
    if (this.#options.local) return cancelLocalRun;
    return this.#backend?.isOurs ? pauseLocalRun : leaveCloudRun;
  }

  /** Called when nothing can settle the entry's promise any more, and the process is about to end. */
  giveUp() {
    this.#stopReporting();
    this.say("error: the entry waits for a promise that nothing can settle any more.");
    process.exitCode = FAILED;
  }

  /** @param {string} line */
  say(line) {
    this.#reporter.say(line);
  }

  #stopReporting() {
    this.#unobserve();
    this.#reporter.close();
  }

  /**
   * @param {string | undefined} entry
   * @returns {Promise<number>}
   */
  async #work(entry) {
    const { file, notes } = await buildForRun(entry);
    for (const note of notes) this.say(`warning: ${note}`);
    if (this.#options.local) await this.#startBackend();
    if (this.#interrupts.count > 0) return INTERRUPTED;

    process.setSourceMapsEnabled(true);
    const trainer = await this.#load(file);
    const run = this.#follow(trainer, internalsOf(trainer));
    return this.#backend ? Promise.race([run, this.#backend.lost]) : run;
  }

  /**
   * Imports the entry. Its top-level code may run forever, or end the process.
   * @param {string} file
   */
  async #load(file) {
    const { loadTrainer } = require("../lib/entry.js");
    const timer = setTimeout(() => {
      this.say("The entry is still loading: it awaits something at its top level.");
    }, SLOW_LOAD_MS);
    timer.unref();
    const onExit = (/** @type {number} */ code) => {
      if (code !== COMPLETED) return;
      this.say("error: the entry ended the process before it exported a trainer.");
      process.exitCode = FAILED;
    };
    process.once("exit", onExit);
    try {
      return await loadTrainer(file);
    } catch (error) {
      throw await explained(error, file);
    } finally {
      clearTimeout(timer);
      process.off("exit", onExit);
    }
  }

  async #startBackend() {
    const say = (/** @type {string} */ line) => {
      if (!SAID_BY_EVENTS.test(line)) this.say(line);
    };
    const backend = await backendFor(process.cwd(), this.#options, say);
    if (this.#interrupts.count > 0) return;
    this.#backend = backend;
    // Do this before loading the project's code, because its trainer reads the URL when it starts.
    pointAt(await backend.start());
  }

  /**
   * @param {import("..").Trainer} trainer
   * @param {import("./internals.js").TrainerInternals | undefined} internals
   * @returns {Promise<number>}
   */
  async #follow(trainer, internals) {
    const { dryRun, jobId, resume, hint } = this.#options;
    if (!internals && (dryRun || jobId !== undefined || resume !== undefined)) {
      const what = dryRun ? "--dry-run" : resume === undefined ? "arkor attach" : "--resume";
      throw new CliError(`${what} needs a trainer made by createTrainer.`);
    }
    if (dryRun) internals?.setDryRun(true);
    internals?.stopOn(this.#stop.signal);
    if (internals) {
      const replayed = jobId !== undefined;
      const where = process.env.ARKOR_LOCAL_TOKEN ? undefined : await cloudHost();
      this.#unobserve = internals.observe(
        this.#reporter.observer({ replayed, ...(where !== undefined && { where }) }),
      );
    }
    this.#takeDeprecation = internals?.takeDeprecation;
    if (this.#interrupts.count > 0) return INTERRUPTED;
    this.#watched = { trainer, jobId, hint };
    this.isFollowing = true;
    try {
      await this.#begin(trainer, internals);
      return this.#interrupts.count > 0 ? INTERRUPTED : await this.#end(trainer);
    } finally {
      this.isFollowing = false;
    }
  }

  /**
   * @param {import("..").Trainer} trainer
   * @param {import("./internals.js").TrainerInternals | undefined} internals
   */
  async #begin(trainer, internals) {
    const { jobId, resume } = this.#options;
    if (internals && jobId !== undefined) {
      await internals.attach(jobId);
      this.#reporter.print(`Watching job ${jobId}`);
      return;
    }
    const started = await (internals && resume !== undefined
      ? this.#resume(trainer, internals, resume)
      : trainer.start());
    this.#watched.jobId = started.jobId;
    this.#reporter.print(`Started job ${started.jobId}`);
  }

  /**
   * @param {import("..").Trainer} trainer
   * @param {import("./internals.js").TrainerInternals} internals
   * @param {string} from the job to resume
   */
  #resume(trainer, internals, from) {
    const { resumeJob } = require("../lib/account.js");
    const started = resumeJob(process.cwd(), from).then((id) => internals.attach(id));
    // A Ctrl-C before the response cancels the new job, too.
    const cancel = () => started.catch(() => {}).then(() => trainer.cancel());
    this.#watched.trainer = { cancel };
    return started;
  }

  /**
   * @param {import("..").Trainer} trainer
   * @returns {Promise<number>}
   */
  async #end(trainer) {
    const waiting = trainer.wait();
    this.#watched.waiting = waiting;
    const { job } = await waiting;
    const { jobId = job.id } = this.#watched;
    this.#reporter.close();
    // A second Ctrl-C cut it off: the job's last known state isn't its final one.
    if (this.#interrupts.count > 0 && !ENDED.has(job.status)) return INTERRUPTED;
    if (job.status === "failed") {
      this.say(`error: the run failed: ${describe(job.error)}`);
    }
    this.#reporter.print(`Job ${jobId} finished with status=${job.status}`);
    const isLocal = Boolean(process.env.ARKOR_LOCAL_TOKEN);
    const adapter = LocalBackend.jobPath(jobId, "adapter");
    const isCompleted = job.status === "completed";
    const hasAdapter = this.#backend !== undefined || (isLocal && fs.existsSync(adapter));
    if (isCompleted && hasAdapter) this.#reporter.print(`Adapter: ${adapter}`);
    if (this.#interrupts.count > 0) return isCompleted ? COMPLETED : FAILED;
    const next = isCompleted ? nextCommands(jobId, isLocal) : [];
    this.#reporter.summarize(job, next);
    if (isCompleted) return COMPLETED;
    const how = isLocal ? howToGoOn(jobId) : undefined;
    if (how !== undefined) this.say(how);
    return FAILED;
  }
}

/** @returns {Promise<string>} the host of the cloud */
async function cloudHost() {
  const { defaultArkorCloudApiUrl, readCredentials } = require("../lib/credentials.js");
  // Ignore errors here: the request will report them.
  try {
    return new URL(defaultArkorCloudApiUrl(await readCredentials())).host;
  } catch {
    return "the cloud";
  }
}

/**
 * @param {string} jobId the id of a completed run
 * @param {boolean} isLocal
 * @returns {import("./facts.js").Fact[]}
 */
function nextCommands(jobId, isLocal) {
  const { credentialsPath } = require("../lib/credentials.js");
  // With a login, a command for a local run needs the flag.
  const flag = isLocal && fs.existsSync(credentialsPath()) ? " --local" : "";
  const commands = [
    ["ask it", arkorCommand(`chat ${jobId}${flag}`)],
    ...(isLocal ? [["use it", arkorCommand(`export ${jobId} --to model --format ollama`)]] : []),
    ["all runs", arkorCommand(`jobs${flag}`)],
  ];
  return commands.map(([label = "", value = ""]) => ({ label, value, style: "cyan", whole: true }));
}

module.exports = { watch };
