// Handles Ctrl-C while a run is watched. A cloud run continues without this process; a local run lives in a
// child process and ends with this one.

const { setTimeout: delay } = require("node:timers/promises");
const { describe } = require("./errors.js");
const { arkorCommand } = require("./invocation.js");
const { howToGoOn } = require("./local/checkpoints.js");

/** How long after the first Ctrl-C a second one cancels a cloud run, in milliseconds. */
const SECOND_PRESS_MS = 3000;

/**
 * The known state of the run.
 * @typedef {object} WatchedRun
 * @property {Pick<import("..").Trainer, "cancel">} [trainer]
 * @property {string | undefined} [jobId] undefined until the backend has responded
 * @property {Promise<unknown>} [waiting] the promise that `wait()` returned
 * @property {string | undefined} [hint] the flags besides the job's id that a command needs to find the job
 */

/** Counts presses of Ctrl-C. While it listens, they don't end the process. */
class Interrupts {
  #count = 0;
  /** @type {(() => void)[]} */ #waiters = [];
  /** Catches Ctrl-C even while a callback blocks this thread. */
  #watch;
  #onPress = () => {
    this.#watch.heard();
    this.#count += 1;
    for (const wake of this.#waiters.splice(0)) wake();
  };

  constructor() {
    process.on("SIGINT", this.#onPress);
    // Loaded here because most commands don't need the addon.
    const { binding } = require("../lib/addon.js");
    this.#watch = new binding.InterruptWatch();
  }

  get count() {
    return this.#count;
  }

  /**
   * @param {number} count
   * @returns {Promise<void>} resolves once Ctrl-C has been pressed `count` times
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
 * Runs after the first Ctrl-C on a cloud run: stops watching. A second Ctrl-C within a few seconds cancels
 * the run.
 * @param {WatchedRun} run
 * @param {Interrupts} interrupts
 * @param {(line: string) => void} say
 * @param {number} [secondPressMs]
 * @returns {Promise<void>} resolves when the process may end
 */
async function leaveCloudRun(run, interrupts, say, secondPressMs = SECOND_PRESS_MS) {
  const { trainer, jobId, hint = "" } = run;
  if (!trainer) return;
  if (jobId === undefined) {
    // There's no job id yet: if the process ended now, nobody could find or cancel the run.
    say("Cancelling the submission.");
    await Promise.race([cancel(trainer, say), interrupts.pressed(2)]);
    return;
  }
  const seconds = secondPressMs / 1000;
  say(
    `Stopped watching; job ${jobId} continues. To watch it again: ${arkorCommand(`attach ${jobId}${hint}`)}. ` +
      `To cancel it: Ctrl-C again within ${seconds} s, or ${arkorCommand(`cancel ${jobId}${hint}`)}.`,
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
 * Runs after the first Ctrl-C on a local run: cancels it and keeps its results. A second Ctrl-C ends it at
 * once.
 * @param {WatchedRun} run
 * @param {Interrupts} interrupts
 * @param {(line: string) => void} say
 * @returns {Promise<void>} resolves when the backend may be stopped
 */
async function cancelLocalRun(run, interrupts, say) {
  const { trainer } = run;
  if (!trainer) return;
  say("Cancelling the run. Press Ctrl-C again to end it at once.");
  // After a second Ctrl-C the backend is gone, so a failure to reach it isn't worth reporting.
  const sayInTime = (/** @type {string} */ line) => {
    if (interrupts.count < 2) say(line);
  };
  let isCancelled = false;
  const cancelled = cancel(trainer, sayInTime).then((success) => {
    isCancelled = success;
    return run.waiting?.catch(() => {});
  });
  await Promise.race([cancelled, interrupts.pressed(2)]);
  const { jobId } = run;
  if (jobId === undefined) return;
  if (isCancelled) say(howToGoOn(jobId) ?? "It hadn't saved a checkpoint yet.");
  else say(`Job ${jobId} may go on. To cancel it: ${arkorCommand(`cancel ${jobId} --local`)}`);
}

/**
 * Runs after Ctrl-C on a run whose backend this command started to watch it: both stop, but the run isn't
 * cancelled.
 * @param {WatchedRun} run
 * @param {Interrupts} _interrupts
 * @param {(line: string) => void} say
 * @returns {Promise<void>} resolves when the backend may be stopped
 */
async function pauseLocalRun({ jobId }, _interrupts, say) {
  if (jobId === undefined) return;
  say(
    `Stopped watching; job ${jobId} stops with its local backend and goes on from its last checkpoint with the next one. ` +
      `To watch it again: ${arkorCommand(`attach ${jobId} --local`)}. To cancel it: ${arkorCommand(`cancel ${jobId} --local`)}.`,
  );
}

/**
 * Stops a local backend, which first saves its state. A second Ctrl-C kills it.
 * @param {{ stop: (options: { atOnce: boolean }) => Promise<void> }} backend
 * @param {Interrupts} interrupts
 * @returns {Promise<void>}
 */
async function endBackend(backend, interrupts) {
  const inTime = backend.stop({ atOnce: interrupts.count > 1 });
  const atOnce = interrupts.pressed(2).then(() => backend.stop({ atOnce: true }));
  await Promise.race([inTime, atOnce]);
}

/**
 * @param {Pick<import("..").Trainer, "cancel">} trainer
 * @param {(line: string) => void} say
 * @param {string} [success]
 * @returns {Promise<boolean>} whether the job was cancelled
 */
async function cancel(trainer, say, success) {
  try {
    await trainer.cancel();
    if (success) say(success);
    return true;
  } catch (error) {
    say(`error: the run couldn't be cancelled: ${describe(error)}`);
    return false;
  }
}

module.exports = { Interrupts, cancelLocalRun, endBackend, leaveCloudRun, pauseLocalRun };
