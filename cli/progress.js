// Shows a run's progress as text: a block for a terminal, or a line for a log. Pure: the time is an argument,
// and nothing is written here.

const { flow, flowWithBar } = require("./cells.js");
const {
  formatDuration,
  formatLearningRate,
  formatMetric,
  formatSpeed,
  isNumber,
} = require("./format.js");
const { goOn, partsOf } = require("./preparation.js");

/** How many losses are kept for the sparkline; beyond that, neighbours are averaged in pairs. */
const MAX_LOSSES = 256;
const SPARK_WIDTH = 16;
const SPARKS = "▁▂▃▄▅▆▇█";
/** Beyond this, the remaining time isn't shown as a number. */
const MAX_ETA_MS = 1000 * 24 * 3600 * 1000;
/** Replayed events arrive in a burst; after a pause this long, the next event is live. */
const LIVE_PAUSE_MS = 150;
/** A run that logs more often than that counts as live after this time. */
const MAX_REPLAY_MS = 5000;

/**
 * Draws the values as bars one character high, averaged down to `width`.
 * @param {number[]} values finite
 * @param {number} width
 * @returns {string}
 */
function sparkline(values, width) {
  const count = Math.min(width, values.length);
  const means = Array.from({ length: count }, (_, index) => {
    const from = Math.floor((index * values.length) / count);
    const to = Math.floor(((index + 1) * values.length) / count);
    const slice = values.slice(from, to);
    // Divide and halve before adding, so that neither this sum nor the span below overflows.
    return slice.reduce((sum, value) => sum + value / 2 / slice.length, 0);
  });
  const low = Math.min(...means);
  const span = Math.max(...means) - low;
  return means
    .map((mean) => SPARKS[span > 0 ? Math.round(((mean - low) / span) * (SPARKS.length - 1)) : 0])
    .join("");
}

class Progress {
  /** @type {number | undefined} */ step;
  /** @type {number | undefined} */ total;
  /** @type {number | undefined} */ loss;
  /** @type {number | undefined} */ evalLoss;
  /** @type {number | undefined} */ firstLoss;
  /** @type {number | undefined} */ firstEvalLoss;
  /** @type {number | undefined} */ learningRate;
  /** @type {number | undefined} */ samplesPerSecond;
  /** How often the stream was reopened after a failure. */
  reconnects = 0;
  /** @type {number[]} */ #losses = [];
  /**
   * The start of the pace measurement. It isn't the run's start, because loading time doesn't count.
   * @type {{ step: number, at: number } | undefined}
   */
  #from;
  #last = 0;
  /** When the first and the last replayed event arrived. @type {{ first: number, last: number } | undefined} */
  #replayed;
  /** Whether past events are still arriving, all at once. */
  isReplaying;
  #hasStarted = false;
  /** @type {import("./preparation.js").Preparation | undefined} */ #preparation;

  /** @param {{ replayed?: boolean }} [options] `replayed`: past events arrive first, all at once */
  constructor({ replayed = false } = {}) {
    this.isReplaying = replayed;
  }

  /**
   * @param {any} context the context of `onStarted`
   * @param {Record<string, unknown> | undefined} meta
   */
  started(context, meta) {
    this.#begin(meta?.totalSteps ?? context?.job?.config?.maxSteps);
  }

  /** @param {any} event `training.resumed` */
  resumed({ step, metadata }) {
    this.#begin(metadata?.totalSteps);
    if (isNumber(step)) this.step = step;
    // The time that it took to resume doesn't count.
    this.#from = undefined;
  }

  /** @param {unknown} total */
  #begin(total) {
    if (isNumber(total) && total > 0) this.total = total;
    this.#hasStarted = true;
    this.prepared();
  }

  /**
   * @param {any} event `training.progress`; a past one isn't shown
   * @param {number} now in ms
   */
  prepares(event, now) {
    this.#hear(now);
    this.#preparation = this.isReplaying ? undefined : goOn(this.#preparation, event, now);
  }

  /** Preparation is over. */
  prepared() {
    this.#preparation = undefined;
  }

  /**
   * @param {any} context the context of `onLog`; a metric that is null keeps its last value
   * @param {number} now in ms
   */
  logged(context, now) {
    if (isNumber(context.step)) this.step = context.step;
    // NaN and Infinity are shown, because they mean that the run has diverged.
    if (typeof context.loss === "number") this.loss = context.loss;
    if (isNumber(context.loss)) this.#remember(context.loss);
    if (typeof context.evalLoss === "number") this.evalLoss = context.evalLoss;
    this.firstLoss ??= this.loss;
    this.firstEvalLoss ??= this.evalLoss;
    if (typeof context.learningRate === "number") this.learningRate = context.learningRate;
    const speed = context.samplesPerSecond;
    if (isNumber(speed) && speed >= 0) this.samplesPerSecond = speed;
    this.#hasStarted = true;
    this.#measureFrom(this.step ?? 0, now);
    this.#last = now;
  }

  /**
   * Sets where the pace is measured from: the first live step, because replayed steps took no time here. It's
   * set again when the run has gone back to a checkpoint.
   * @param {number} step
   * @param {number} now in ms
   */
  #measureFrom(step, now) {
    const wasReplaying = this.isReplaying;
    this.#hear(now);
    if (wasReplaying || !this.#from || step < this.#from.step) this.#from = { step, at: now };
  }

  /**
   * Distinguishes past events from live ones.
   * @param {number} now in ms
   */
  #hear(now) {
    const { first, last } = this.#replayed ?? { first: now, last: now };
    this.isReplaying &&= now - last < LIVE_PAUSE_MS && now - first < MAX_REPLAY_MS;
    this.#replayed = { first, last: now };
  }

  /** @param {number} loss */
  #remember(loss) {
    this.#losses.push(loss);
    if (this.#losses.length <= MAX_LOSSES) return;
    const pairs = this.#losses.length >> 1;
    this.#losses = Array.from({ length: pairs }, (_, index) => {
      const [first, second] = this.#losses.slice(index * 2, index * 2 + 2);
      return ((first ?? 0) + (second ?? 0)) / 2;
    });
  }

  /** @returns {number | undefined} the time to the last step in ms, at the mean pace so far */
  #remaining() {
    if (this.total === undefined || this.step === undefined || !this.#from) return undefined;
    const done = this.step - this.#from.step;
    const spent = this.#last - this.#from.at;
    if (this.isReplaying || done <= 0 || spent <= 0) return undefined;
    const remaining = (spent / done) * Math.max(0, this.total - this.step);
    return remaining <= MAX_ETA_MS ? remaining : undefined;
  }

  /** @returns {{ step: string, loss?: string, eval?: string, lr?: string, speed?: string, eta?: string }} */
  #parts() {
    const remaining = this.#remaining();
    const speed = this.samplesPerSecond;
    return {
      step: `${this.step ?? 0}${this.total === undefined ? "" : `/${this.total}`}`,
      ...(this.loss !== undefined && { loss: `loss ${formatMetric(this.loss)}` }),
      ...(this.evalLoss !== undefined && { eval: `eval ${formatMetric(this.evalLoss)}` }),
      ...(this.learningRate !== undefined && { lr: `lr ${formatLearningRate(this.learningRate)}` }),
      ...(speed !== undefined && { speed: `${formatSpeed(speed)} samples/s` }),
      ...(remaining !== undefined && { eta: `eta ${formatDuration(remaining)}` }),
    };
  }

  /** @returns {string | undefined} a line for a log; undefined if nothing is being prepared */
  preparation() {
    return this.#preparation && Object.values(partsOf(this.#preparation)).join("  ");
  }

  /** @returns {string} a line for a log */
  plain() {
    const { step, ...rest } = this.#parts();
    return [`step ${step}`, ...Object.values(rest)].join("  ");
  }

  /**
   * The lines for a terminal, at most `columns - 1` wide.
   * @param {number} columns
   * @param {import("./cells.js").Paint} paint
   * @returns {import("./live-block.js").Line[]}
   */
  block(columns, paint) {
    const width = columns - 1;
    const lines = this.#preparationLines(width, paint);
    return this.#hasStarted ? [...lines, ...this.#steps(width, paint)] : lines;
  }

  /**
   * @param {number} width
   * @param {import("./cells.js").Paint} paint
   */
  #preparationLines(width, paint) {
    if (!this.#preparation) return [];
    const { what, amount, percent, speed, left } = partsOf(this.#preparation);
    const { done, total } = this.#preparation;
    /** @type {import("./cells.js").Cell[]} */
    const cells = [
      [what, "bold"],
      [amount, undefined],
      [percent, undefined],
      [speed, "dim"],
      [left, "dim"],
    ];
    return flowWithBar(percent === undefined ? undefined : done / total, cells, width, paint);
  }

  /**
   * @param {number} width
   * @param {import("./cells.js").Paint} paint
   */
  #steps(width, paint) {
    const { step, loss, eval: evalLoss, lr, speed, eta } = this.#parts();
    const spark = sparkline(this.#losses, SPARK_WIDTH);
    const again = this.reconnects === 1 ? "1 reconnect" : `${this.reconnects} reconnects`;
    /** @type {import("./cells.js").Cell[]} */
    const head = [
      [step, "bold"],
      [eta, "dim"],
    ];
    /** @type {import("./cells.js").Cell[]} */
    const numbers = [
      [loss, undefined],
      [spark, "green"],
      [evalLoss, undefined],
      [lr, "dim"],
      [speed, "dim"],
      [this.reconnects > 0 ? again : undefined, "yellow"],
    ];
    const share = this.total === undefined ? undefined : (this.step ?? 0) / this.total;
    return [...flowWithBar(share, head, width, paint), ...flow(numbers, width, paint)];
  }
}

module.exports = { Progress, sparkline };
