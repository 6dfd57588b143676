// Where a run stands: the trainer's events in, text out, a block for a terminal or a line for a log.
// Pure: the time comes in as an argument, nothing is written here.

/** Losses kept for the sparkline; older ones are merged two by two. */
const MAX_LOSSES = 256;
const SPARK_WIDTH = 16;
const BAR_WIDTH = 20;
/** A shorter bar says nothing. */
const MIN_BAR_WIDTH = 6;
const GAP = "  ";
const SPARKS = "▁▂▃▄▅▆▇█";

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
 * @returns {string} `12s`, `3m05s`, `1h02m`
 */
function formatDuration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${two(Math.floor((seconds % 3600) / 60))}m`;
}

/**
 * The values as bars one character high, averaged down to `width`.
 * @param {number[]} values
 * @param {number} width
 * @returns {string}
 */
function sparkline(values, width) {
  const count = Math.min(width, values.length);
  const means = Array.from({ length: count }, (_, index) => {
    const from = Math.floor((index * values.length) / count);
    const to = Math.floor(((index + 1) * values.length) / count);
    const slice = values.slice(from, to);
    return slice.reduce((sum, value) => sum + value, 0) / slice.length;
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
  /** The first step that was seen: what came before it, such as loading, says nothing of the pace.
   * @type {{ step: number, at: number } | undefined} */
  #from;
  #last = 0;

  /**
   * @param {any} context of `onStarted`
   * @param {Record<string, unknown> | undefined} meta
   */
  started(context, meta) {
    const total = meta?.totalSteps ?? context?.job?.config?.maxSteps;
    if (isNumber(total) && total > 0) this.total = total;
  }

  /**
   * @param {any} context of `onLog`: a metric that is null keeps its last value
   * @param {number} now ms
   */
  logged(context, now) {
    if (isNumber(context.step)) this.step = context.step;
    // A diverged loss (NaN, Infinity) is shown as it is.
    if (typeof context.loss === "number") this.loss = context.loss;
    if (isNumber(context.loss)) this.#remember(context.loss);
    if (typeof context.evalLoss === "number") this.evalLoss = context.evalLoss;
    if (isNumber(context.learningRate)) this.learningRate = context.learningRate;
    if (isNumber(context.samplesPerSecond)) this.samplesPerSecond = context.samplesPerSecond;
    this.#from ??= { step: this.step ?? 0, at: now };
    this.#last = now;
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
    if (done <= 0 || spent <= 0) return undefined;
    return (spent / done) * Math.max(0, this.total - this.step);
  }

  /** @returns {{ step: string, loss?: string, eval?: string, lr?: string, speed?: string, eta?: string }} */
  #parts() {
    const remaining = this.#remaining();
    const speed = this.samplesPerSecond;
    return {
      step: `${this.step ?? 0}${this.total === undefined ? "" : `/${this.total}`}`,
      ...(this.loss !== undefined && { loss: `loss ${this.loss.toFixed(3)}` }),
      ...(this.evalLoss !== undefined && { eval: `eval ${this.evalLoss.toFixed(3)}` }),
      ...(this.learningRate !== undefined && { lr: `lr ${this.learningRate.toExponential(1)}` }),
      ...(speed !== undefined && { speed: `${speed.toFixed(speed < 10 ? 1 : 0)} samples/s` }),
      ...(remaining !== undefined && { eta: `eta ${formatDuration(remaining)}` }),
    };
  }

  /** @returns {string} one line of a log */
  plain() {
    const { step, ...rest } = this.#parts();
    return [`step ${step}`, ...Object.values(rest)].join("  ");
  }

  /**
   * The lines of a terminal, none of them wider than `columns - 1`.
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
    const done = Math.min(1, (this.step ?? 0) / this.total);
    const full = Math.round(done * width);
    return "█".repeat(full) + "░".repeat(width - full);
  }
}

/**
 * Puts cells side by side, and on to a next line where they don't fit.
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
