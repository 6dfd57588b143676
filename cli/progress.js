// How far a run has come, as text: a block for a terminal or a line for a log. Pure: the time is an
// argument, and nothing is written here.

/** Losses kept for the sparkline; beyond that, neighbours are averaged in pairs. */
const MAX_LOSSES = 256;
const SPARK_WIDTH = 16;
const BAR_WIDTH = 20;
/** A shorter bar shows nothing. */
const MIN_BAR_WIDTH = 6;
const GAP = "  ";
const SPARKS = "▁▂▃▄▅▆▇█";
/** Beyond this, the time left says nothing but "long". */
const MAX_ETA_MS = 1000 * 24 * 3600 * 1000;
/** Replayed events arrive in a burst; a pause this long means that the next one is live. */
const LIVE_PAUSE_MS = 150;
/** A run that logs faster than that is taken for live after this time. */
const MAX_REPLAY_MS = 5000;

/** @typedef {Parameters<typeof import("node:util").styleText>[0]} Style */
/** @typedef {(style: Style, text: string) => string} Paint */

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/**
 * @param {number} ms
 * @returns {string} `12s`, `3m05s`, `1h02m`, `4d03h`; `-` for what is no duration
 */
function formatDuration(ms) {
  if (!Number.isFinite(ms)) return "-";
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  if (minutes < 1) return `${seconds}s`;
  if (hours < 1) return `${minutes}m${two(seconds % 60)}s`;
  return hours < 100 ? `${hours}h${two(minutes % 60)}m` : `${days}d${two(hours % 24)}h`;
}

/**
 * @param {number} value a loss, or another number of any size
 * @returns {string} three decimals, or an exponent where those would hide the value or be too long
 */
function formatMetric(value) {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || value === 0) return String(value + 0);
  return size < 1e-3 || size >= 1e6 ? value.toExponential(2) : value.toFixed(3);
}

/** @param {number} value */
function formatLearningRate(value) {
  return Number.isFinite(value) && value !== 0 ? value.toExponential(1) : String(value + 0);
}

/** @param {number} value not negative */
function formatSpeed(value) {
  if (value >= 1e6 || (value > 0 && value < 0.01)) return value.toExponential(1);
  return value.toFixed(value < 0.1 ? 2 : value < 10 ? 1 : 0);
}

/**
 * The values as bars one character high, averaged down to `width`.
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
    // Divided first and halved, so that neither this sum nor the span below overflows.
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
  /** @type {number | undefined} */ learningRate;
  /** @type {number | undefined} */ samplesPerSecond;
  /** How often the stream had to be opened again after a failure. */
  reconnects = 0;
  /** @type {number[]} */ #losses = [];
  /**
   * Where the pace is measured from. Not from the start: loading says nothing about the pace.
   * @type {{ step: number, at: number } | undefined}
   */
  #from;
  #last = 0;
  /** When the first replayed event came. @type {number | undefined} */ #replayedFrom;
  #isReplaying;

  /** @param {{ replayed?: boolean }} [options] `replayed`: past events come first, all at once */
  constructor({ replayed = false } = {}) {
    this.#isReplaying = replayed;
  }

  /**
   * @param {any} context of `onStarted`
   * @param {Record<string, unknown> | undefined} meta
   */
  started(context, meta) {
    const total = meta?.totalSteps ?? context?.job?.config?.maxSteps;
    if (isNumber(total) && total > 0) this.total = total;
  }

  /**
   * @param {any} context of `onLog`; where a metric is null its last value stays
   * @param {number} now ms
   */
  logged(context, now) {
    if (isNumber(context.step)) this.step = context.step;
    // NaN and Infinity are shown: they mean that the run has diverged.
    if (typeof context.loss === "number") this.loss = context.loss;
    if (isNumber(context.loss)) this.#remember(context.loss);
    if (typeof context.evalLoss === "number") this.evalLoss = context.evalLoss;
    if (typeof context.learningRate === "number") this.learningRate = context.learningRate;
    const speed = context.samplesPerSecond;
    if (isNumber(speed) && speed >= 0) this.samplesPerSecond = speed;
    this.#measureFrom(this.step ?? 0, now);
    this.#last = now;
  }

  /**
   * Replayed steps took no time here, so the pace is measured from the first live one; and from anew
   * when the run has gone back to a checkpoint.
   * @param {number} step
   * @param {number} now ms
   */
  #measureFrom(step, now) {
    if (this.#isReplaying) {
      this.#replayedFrom ??= now;
      const isLive =
        (this.#from !== undefined && now - this.#last >= LIVE_PAUSE_MS) ||
        now - this.#replayedFrom >= MAX_REPLAY_MS;
      this.#isReplaying = !isLive;
      this.#from = { step, at: now };
    } else if (!this.#from || step < this.#from.step) {
      this.#from = { step, at: now };
    }
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

  /** @returns {number | undefined} ms to the last step, at the mean pace so far */
  #remaining() {
    if (this.total === undefined || this.step === undefined || !this.#from) return undefined;
    const done = this.step - this.#from.step;
    const spent = this.#last - this.#from.at;
    if (this.#isReplaying || done <= 0 || spent <= 0) return undefined;
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

  /** @returns {string} a line for a log */
  plain() {
    const { step, ...rest } = this.#parts();
    return [`step ${step}`, ...Object.values(rest)].join("  ");
  }

  /**
   * The lines for a terminal, none wider than `columns - 1`.
   * @param {number} columns
   * @param {Paint} paint
   * @returns {import("./live-block.js").Line[]}
   */
  block(columns, paint) {
    const { step, loss, eval: evalLoss, lr, speed, eta } = this.#parts();
    const width = columns - 1;
    const spark = sparkline(this.#losses, SPARK_WIDTH);
    const again = this.reconnects === 1 ? "1 reconnect" : `${this.reconnects} reconnects`;
    /** @type {[string | undefined, Style | undefined][]} */
    const head = [
      [step, "bold"],
      [eta, "dim"],
    ];
    /** @type {[string | undefined, Style | undefined][]} */
    const numbers = [
      [loss, undefined],
      [spark, "green"],
      [evalLoss, undefined],
      [lr, "dim"],
      [speed, "dim"],
      [this.reconnects > 0 ? again : undefined, "yellow"],
    ];
    const taken = head.reduce((sum, [text]) => sum + (text ? text.length + GAP.length : 0), 0);
    const bar = this.#bar(Math.min(BAR_WIDTH, width - taken));
    return [...flow([[bar, "cyan"], ...head], width, paint), ...flow(numbers, width, paint)];
  }

  /**
   * @param {number} width
   * @returns {string | undefined}
   */
  #bar(width) {
    if (this.total === undefined || width < MIN_BAR_WIDTH) return undefined;
    const done = Math.min(1, Math.max(0, (this.step ?? 0) / this.total));
    const full = Math.round(done * width);
    return "█".repeat(full) + "░".repeat(width - full);
  }
}

/**
 * Puts cells side by side, and on the next line where they don't fit.
 * @param {[text: string | undefined, style: Style | undefined][]} cells
 * @param {number} width
 * @param {Paint} paint
 * @returns {import("./live-block.js").Line[]}
 */
function flow(cells, width, paint) {
  /** @type {import("./live-block.js").Line[]} */
  const lines = [];
  for (const [whole, style] of cells) {
    const text = whole?.slice(0, Math.max(0, width));
    if (!text) continue;
    const painted = style === undefined ? text : paint(style, text);
    const line = lines.at(-1);
    if (line && line.width + GAP.length + text.length <= width) {
      line.text += GAP + painted;
      line.width += GAP.length + text.length;
    } else {
      lines.push({ text: painted, width: text.length });
    }
  }
  return lines;
}

module.exports = { Progress, formatDuration, sparkline };
