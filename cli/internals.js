// Gives the command access to a trainer. The user's project may load another copy of the package than this
// command, so they share a registered symbol instead of a module.

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

/** @typedef {{ name: CallbackName, step: number | undefined, error: unknown }} CallbackFailure */

/**
 * @typedef {object} RunObserver
 * @property {(name: CallbackName, context: any, meta?: Record<string, unknown>) => void} [onEvent]
 *   called just before the user's callback, with the same context
 * @property {(event: any) => void} [onUnknown] called with an event that has no callback, if the observer was
 *   added before `wait()`
 * @property {(info: ReconnectInfo) => void} [onReconnect]
 * @property {(failure: CallbackFailure) => void} [onCallbackError] called with a callback's error that
 *   doesn't end the run
 */

/**
 * @typedef {object} TrainerInternals
 * @property {(value: boolean) => void} setDryRun
 * @property {(signal: AbortSignal) => void} stopOn a signal that ends `wait()`, in addition to the user's own
 * @property {(jobId: string) => Promise<{ jobId: string }>} attach follows a job that was submitted earlier;
 *   called instead of `start()`
 * @property {(observer: RunObserver) => () => void} observe returns a function that removes the observer
 * @property {() => Record<string, unknown>} config the job's config, as `start()` would submit it
 * @property {() => { message: string, sunset?: string | null } | null} takeDeprecation returns the backend's
 *   notice about this version, only once
 */

/**
 * @param {object} trainer
 * @returns {TrainerInternals | undefined} undefined if `createTrainer` didn't create it
 */
function internalsOf(trainer) {
  return /** @type {Record<symbol, TrainerInternals | undefined>} */ (trainer)[INTERNALS];
}

module.exports = { internalsOf };
