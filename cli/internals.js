// How the command sees into a trainer. The user's project may resolve another copy of the package
// than the one this command came with, so the two meet at a registered symbol, not at a module.

const INTERNALS = Symbol.for("arkor.internals");

/**
 * @typedef {"onStarted" | "onLog" | "onCheckpoint" | "onCompleted" | "onFailed"} CallbackName
 */

/**
 * @typedef {object} ReconnectInfo
 * @property {number} attempt
 * @property {number} delayMs
 * @property {unknown} error
 * @property {string | null} [lastEventId]
 */

/**
 * @typedef {object} RunObserver
 * @property {(name: CallbackName, context: any, meta?: Record<string, unknown>) => void} [onEvent]
 *   called just before the user's callback, with the same context
 * @property {(info: ReconnectInfo) => void} [onReconnect]
 */

/**
 * @typedef {object} TrainerInternals
 * @property {(value: boolean) => void} setDryRun
 * @property {(signal: AbortSignal) => void} stopOn what ends `wait()` besides the user's signal
 * @property {(jobId: string) => Promise<{ jobId: string }>} attach follows a job that was submitted
 *   before, instead of `start()`
 * @property {(observer: RunObserver) => () => void} observe returns what ends the observation
 * @property {() => { message: string, sunset?: string | null } | null} takeDeprecation what the
 *   backend has said of the age of this SDK, once
 */

/**
 * @param {object} trainer
 * @returns {TrainerInternals | undefined} undefined for an object of another make
 */
function internalsOf(trainer) {
  return /** @type {Record<symbol, TrainerInternals | undefined>} */ (trainer)[INTERNALS];
}

module.exports = { internalsOf };
