// Ctrl-C while a run is watched. What it means differs: a cloud run goes on without us, a local run
// lives in a child of this process and ends with it.

const fs = require("node:fs");
const { setTimeout: delay } = require("node:timers/promises");
const { describe } = require("./errors.js");
const { LocalBackend } = require("./local/backend.js");

/** Time for the second Ctrl-C, which cancels a cloud run. */
const SECOND_PRESS_MS = 3000;

/**
 * The run as far as it has come.
 * @typedef {object} WatchedRun
 * @property {import("..").Trainer} [trainer]
 * @property {string | undefined} [jobId] once the backend has answered
 * @property {Promise<unknown>} [waiting] what `wait()` gave
 */

/** Counts the presses of Ctrl-C; while it listens, they don't end the process. */
class Interrupts {
  #count = 0;
  /** @type {(() => void)[]} */ #waiters = [];
  /** For what this process can't hear while a callback does not return. */
  #watch;
  #onPress = () => {
    this.#watch.heard();
    this.#count += 1;
    for (const wake of this.#waiters.splice(0)) wake();
  };

  constructor() {
    process.on("SIGINT", this.#onPress);
    // Loaded here: most commands have no use for it.
    const { binding } = require("../lib/addon.js");
    this.#watch = new binding.InterruptWatch();
  }

  get count() {
    return this.#count;
  }

  /**
   * @param {number} count
   * @returns {Promise<void>} resolves once Ctrl-C has been pressed that often
   */
  async pressed(count) {
    while (this.#count < count) {
      await new Promise((/** @type {(value: void) => void} */ resolve) => {
        this.#waiters.push(resolve);
      });
    }
  }

  close() {
    this.#watch.close();
    process.off("SIGINT", this.#onPress);
  }
}

/**
 * After the first Ctrl-C on a cloud run: stop watching; a second one within a few seconds cancels.
 * @param {WatchedRun} run
 * @param {Interrupts} interrupts
 * @param {(line: string) => void} say
 * @param {number} [secondPressMs]
 * @returns {Promise<void>} when the process may end
 */
async function leaveCloudRun(run, interrupts, say, secondPressMs = SECOND_PRESS_MS) {
  const { trainer, jobId } = run;
  if (!trainer) return;
  if (jobId === undefined) {
    // Nobody has seen an id yet: leaving now would leave a run that can't be named.
    say("Cancelling the submission.");
    await Promise.race([cancel(trainer, say), interrupts.pressed(2)]);
    return;
  }
  const seconds = secondPressMs / 1000;
  say(
    `Stopped watching; job ${jobId} goes on. To watch it again: arkor attach ${jobId}. ` +
      `To cancel it: Ctrl-C again within ${seconds} s, or arkor cancel ${jobId}.`,
  );
  const again = await Promise.race([
    interrupts.pressed(2).then(() => true),
    delay(secondPressMs, false),
  ]);
  if (!again) return;
  say(`Cancelling job ${jobId}.`);
  await Promise.race([cancel(trainer, say, `Job ${jobId} is cancelled.`), interrupts.pressed(3)]);
}

/**
 * After the first Ctrl-C on a local run: cancel it and keep what it has; a second one ends at once.
 * @param {WatchedRun} run
 * @param {Interrupts} interrupts
 * @param {(line: string) => void} say
 * @returns {Promise<void>} when the backend may be stopped
 */
async function cancelLocalRun(run, interrupts, say) {
  const { trainer } = run;
  if (!trainer) return;
  say("Cancelling the run. Ctrl-C again ends it at once.");
  // After a second press the backend is gone, so that it can't be reached either.
  const sayInTime = (/** @type {string} */ line) => {
    if (interrupts.count < 2) say(line);
  };
  const cancelled = cancel(trainer, sayInTime).then(() => run.waiting?.catch(() => {}));
  await Promise.race([cancelled, interrupts.pressed(2)]);
  if (run.jobId === undefined) return;
  const checkpoints = LocalBackend.jobPath(run.jobId, "checkpoints");
  say(
    fs.existsSync(checkpoints)
      ? `Its checkpoints are kept in ${checkpoints}`
      : "It had saved no checkpoint yet.",
  );
}

/**
 * Ends a local backend, which saves what it has; a second Ctrl-C waits for nothing.
 * @param {LocalBackend} backend
 * @param {Interrupts} interrupts
 * @returns {Promise<void>}
 */
async function endBackend(backend, interrupts) {
  const inTime = backend.stop({ atOnce: interrupts.count > 1 });
  const atOnce = interrupts.pressed(2).then(() => backend.stop({ atOnce: true }));
  await Promise.race([inTime, atOnce]);
}

/**
 * @param {import("..").Trainer} trainer
 * @param {(line: string) => void} say
 * @param {string} [success]
 */
async function cancel(trainer, say, success) {
  try {
    await trainer.cancel();
    if (success) say(success);
  } catch (error) {
    say(`error: the run could not be cancelled: ${describe(error)}`);
  }
}

module.exports = { Interrupts, cancelLocalRun, endBackend, leaveCloudRun };
