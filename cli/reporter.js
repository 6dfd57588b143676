// Shows the user a run's state besides the callbacks' own output: what is trained and where, the progress (a
// live block on a terminal, plain lines elsewhere), and a summary. All of this goes to stderr, so that stdout
// stays readable for scripts.

const { oneLine } = require("../lib/printable.js");
const { describe } = require("./errors.js");
const { INDENT, facts, wrap } = require("./facts.js");
const { LiveBlock } = require("./live-block.js");
const { print, say, sayError } = require("./output.js");
const { painter } = require("./paint.js");
const { Progress } = require("./progress.js");
const {
  Failures,
  endedFacts,
  leftOutNotice,
  standInNotice,
  startedFacts,
} = require("./run-facts.js");

/** The shortest time between lines of progress, so that the log of a long run stays readable. */
const PLAIN_MS = 1000;

/**
 * Most terminals rewrap their lines when they are resized; xterm and the Linux console cut them off.
 * @param {NodeJS.ProcessEnv} env
 */
function rewraps(env) {
  return env.XTERM_VERSION === undefined && env.TERM !== "linux";
}

class Reporter {
  #stdout;
  #stderr;
  #now;
  #progress = new Progress();
  /** @type {LiveBlock | undefined} */ #live;
  #printedAt = Number.NEGATIVE_INFINITY;
  #lastPrinted = "";
  #paint;
  #begunAt;
  #failures = new Failures();
  #isIntroduced = false;
  #isObserving = false;

  /**
   * @param {object} [options]
   * @param {NodeJS.WriteStream} [options.stdout]
   * @param {NodeJS.WriteStream} [options.stderr]
   * @param {NodeJS.ProcessEnv} [options.env]
   * @param {() => number} [options.now] in ms
   */
  constructor({
    stdout = process.stdout,
    stderr = process.stderr,
    env = process.env,
    now = () => performance.now(),
  } = {}) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#now = now;
    this.#begunAt = now();
    this.#paint = painter(stderr);
    if (!stderr.isTTY || env.TERM === "dumb") return;
    this.#live = new LiveBlock({
      terminal: stderr,
      streams: stdout.isTTY ? [stdout, stderr] : [stderr],
      render: (columns) => this.#progress.block(columns, this.#paint),
      wraps: rewraps(env),
      now,
    });
  }

  /**
   * The observer for a trainer's internals.
   * @param {object} [options]
   * @param {boolean} [options.replayed] whether the run's past events arrive first
   * @param {string} [options.where] the backend's host, if it isn't this machine
   * @returns {import("./internals.js").RunObserver}
   */
  observer({ replayed = false, where } = {}) {
    this.#progress = new Progress({ replayed });
    this.#begunAt = this.#now();
    this.#isObserving = true;
    return {
      onEvent: (name, context, meta) => {
        if (name === "onStarted") this.#introduce(context.job, meta, where);
        this.#onEvent(name, context, meta);
      },
      onCallbackError: (failure) => this.#failures.add(failure),
      onUnknown: (event) => this.#onUnknown(event),
      onReconnect: ({ attempt, delayMs, error }) => {
        if (error !== undefined) this.#progress.reconnects += 1;
        const seconds = (delayMs / 1000).toFixed(1);
        // Without an error, the stream ended cleanly, which doesn't count as an attempt.
        const why =
          error === undefined
            ? ": the stream ended"
            : ` (attempt ${attempt + 1}): ${describe(error)}`;
        this.say(`reconnecting in ${seconds} s${why}`);
      },
    };
  }

  /**
   * Prints once what is trained and where, whether another model stands in for the named one, and which rows
   * are left out.
   * @param {any} job
   * @param {any} meta
   * @param {string | undefined} where
   */
  #introduce(job, meta, where) {
    if (this.#isIntroduced) return;
    this.#isIntroduced = true;
    for (const notice of [standInNotice(meta), leftOutNotice(meta)]) {
      for (const [index, text] of notice.entries())
        this.#sayWrapped(text, index === 0 ? "" : INDENT);
    }
    const name = typeof job?.name === "string" ? ` ${job.name}` : "";
    this.#sayFacts(`Training${name}`, startedFacts(job, meta, where));
  }

  /**
   * Prints text with its continuation lines indented.
   * @param {string} text
   * @param {string} [indent] the indent of the first line
   */
  #sayWrapped(text, indent = "") {
    const lines = wrap(text, this.#width - 1 - INDENT.length);
    for (const [index, line] of lines.entries()) this.say((index === 0 ? indent : INDENT) + line);
  }

  /**
   * @param {string} title
   * @param {import("./facts.js").Fact[]} rows
   */
  #sayFacts(title, rows) {
    const lines = [this.#paint("bold", oneLine(title)), ...facts(rows, this.#paint, this.#width)];
    this.#stderr.write(`${lines.join("\n")}\n`);
  }

  get #width() {
    return this.#stderr.isTTY ? this.#stderr.columns : Number.POSITIVE_INFINITY;
  }

  /**
   * Prints the outcome of the run, if it was observed.
   * @param {any} job
   * @param {import("./facts.js").Fact[]} next the suggested next commands
   */
  summarize(job, next) {
    if (!this.#isObserving) return;
    const tookMs = this.#now() - this.#begunAt;
    const rows = endedFacts({ job, tookMs, progress: this.#progress, failures: this.#failures });
    if (rows.length > 1 || next.length > 0) this.#sayFacts("Summary", rows);
    if (next.length > 0) this.#sayFacts("Next", next);
  }

  /** @type {NonNullable<import("./internals.js").RunObserver["onEvent"]>} */
  #onEvent(name, context, meta) {
    const now = this.#now();
    this.#progress.prepared();
    if (name === "onStarted") this.#progress.started(context, meta);
    if (name === "onLog") this.#progress.logged(context, now);
    const { step, jobId } = /** @type {any} */ (meta?.resumedFrom ?? {});
    if (name === "onStarted") this.#sayResumed(step, ` of job ${jobId}`);
    if (this.#live) this.#live.update();
    else this.#plain(name, context, now);
  }

  /** @param {any} event an event that has no callback; only the local backend sends such events */
  #onUnknown(event) {
    const now = this.#now();
    if (event.type === "training.progress") {
      this.#progress.prepares(event, now);
      const line = this.#live ? undefined : this.#progress.preparation();
      if (line !== undefined && now - this.#printedAt >= PLAIN_MS) this.#sayProgress(line, now);
    } else if (event.type === "training.resumed") {
      this.#progress.resumed(event);
      this.#sayResumed(event.step);
    }
    this.#live?.update();
  }

  /**
   * @param {unknown} step
   * @param {string} [whose]
   */
  #sayResumed(step, whose = "") {
    if (typeof step !== "number" || this.#progress.isReplaying) return;
    this.say(step > 0 ? `resumed after step ${step}${whose}` : "resumed from the first step on");
  }

  /**
   * @param {import("./internals.js").CallbackName} name
   * @param {any} context
   * @param {number} now in ms
   */
  #plain(name, context, now) {
    if (name === "onCheckpoint") {
      this.say(`checkpoint at step ${context.step}`);
    } else if (name === "onLog") {
      const line = this.#progress.plain();
      const isDue = now - this.#printedAt >= PLAIN_MS || typeof context.evalLoss === "number";
      if (isDue) this.#sayProgress(line, now);
    } else if (name === "onCompleted" || name === "onFailed") {
      // Print the final state even if the previous line is recent.
      if (this.#progress.step !== undefined) this.#sayProgress(this.#progress.plain(), now);
    }
  }

  /**
   * @param {string} line
   * @param {number} now in ms
   */
  #sayProgress(line, now) {
    if (line === this.#lastPrinted) return;
    this.#lastPrinted = line;
    this.#printedAt = now;
    this.say(line);
  }

  /**
   * Prints a line on stderr for the user.
   * @param {string} line
   */
  say(line) {
    say(line, this.#stderr);
  }

  /** @param {unknown} error any thrown value */
  sayError(error) {
    sayError(error, this.#stderr);
  }

  /**
   * Prints a line of the result on stdout, for scripts as well.
   * @param {string} line
   */
  print(line) {
    print(line, this.#stdout);
  }

  /** Removes the live block. */
  close() {
    this.#live?.close();
  }
}

module.exports = { Reporter, rewraps };
