// Summarises a run for the list of jobs: its last loss and its best eval loss. The job itself doesn't contain
// these, so its event stream is read. The result for a finished job is cached.

const { pastEvents } = require("../past-events.js");

const AT_ONCE = 3;

/**
 * @typedef {object} Summary
 * @property {number | null} step
 * @property {number | null} loss
 * @property {number | null} bestEvalLoss
 * @property {number | null} bestEvalStep
 */

class Summaries {
  #open;
  /** @type {Map<string, Promise<Summary>>} */ #finished = new Map();
  #running = 0;
  /** @type {(() => void)[]} */ #waiting = [];

  /** @param {(jobId: string, signal: AbortSignal) => Promise<Response>} open opens a job's stream */
  constructor(open) {
    this.#open = open;
  }

  /**
   * @param {string} jobId
   * @param {boolean} isFinished
   * @returns {Promise<Summary>}
   */
  async of(jobId, isFinished) {
    if (!isFinished) return this.#read(jobId);
    const known = this.#finished.get(jobId);
    if (known) return known;
    const reading = this.#read(jobId);
    this.#finished.set(jobId, reading);
    reading.catch(() => this.#finished.delete(jobId));
    return reading;
  }

  /** @param {string} jobId */
  async #read(jobId) {
    if (this.#running >= AT_ONCE) {
      await new Promise((resolve) => this.#waiting.push(() => resolve(undefined)));
    }
    this.#running += 1;
    try {
      return await summarize((signal) => this.#open(jobId, signal));
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }
}

/**
 * @param {(signal: AbortSignal) => Promise<Response>} open
 * @returns {Promise<Summary>}
 */
async function summarize(open) {
  /** @type {Summary} */
  const summary = { step: null, loss: null, bestEvalLoss: null, bestEvalStep: null };
  await pastEvents(open, (data) => {
    if (data.type !== "training.log") return;
    const { step, loss, evalLoss } = data;
    if (typeof step === "number") summary.step = step;
    if (typeof loss === "number") summary.loss = loss;
    if (typeof evalLoss !== "number") return;
    if (summary.bestEvalLoss !== null && evalLoss >= summary.bestEvalLoss) return;
    summary.bestEvalLoss = evalLoss;
    summary.bestEvalStep = summary.step;
  });
  return summary;
}

module.exports = { Summaries };
