// The command's access to a trainer. The user's project may resolve another copy of the package than
// this command's, so the two meet at a registered symbol instead of a module.

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
 * @property {(event: any) => void} [onUnknown] called with an event whose type runs no callback, if the
 *   observer was there before `wait()`
 * @property {(info: ReconnectInfo) => void} [onReconnect]
 * @property {(failure: CallbackFailure) => void} [onCallbackError] called with what a callback threw that the
 *   run goes on from
 */

/**
 * @typedef {object} TrainerInternals
 * @property {(value: boolean) => void} setDryRun
 * @property {(signal: AbortSignal) => void} stopOn ends `wait()` besides the user's own signal
 * @property {(jobId: string) => Promise<{ jobId: string }>} attach follows a job that was submitted
 *   earlier; called instead of `start()`
 * @property {(observer: RunObserver) => () => void} observe returns a function that stops it
 * @property {() => Record<string, unknown>} config the job's config, as `start()` would submit it
 * @property {() => { message: string, sunset?: string | null } | null} takeDeprecation the
 *   backend's notice about this version, once
 */

/**
 * @param {object} trainer
 * @returns {TrainerInternals | undefined} undefined when `createTrainer` didn't make it
 */
function internalsOf(trainer) {
  return /** @type {Record<symbol, TrainerInternals | undefined>} */ (trainer)[INTERNALS];
}

module.exports = { internalsOf };
