// Listening to the user's abort signals.
"use strict";

const { defaultMaxListeners, getMaxListeners, setMaxListeners } = require("node:events");

/**
 * Listens for an abort, once.
 * @param {AbortSignal} signal
 * @param {() => void} onAbort
 */
function listen(signal, onAbort) {
  try {
    // Any number of runs and requests may share a signal, so this isn't a leak to warn about. Keeps a limit
    // that the user set.
    if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(0, signal);
  } catch {
    // Not Node's own kind of signal, so there's no such warning either.
  }
  signal.addEventListener("abort", onAbort, { once: true });
}

/**
 * An abort stops waiting for the promise, not the work behind it (T28, T29).
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
async function unlessAborted(promise, signal) {
  if (!signal) return promise;
  if (signal.aborted) {
    promise.catch(() => {});
    throw signal.reason;
  }
  /** @type {() => void} */
  let onAbort = () => {};
  const aborted = new Promise((_, reject) => {
    onAbort = () => reject(signal.reason);
    listen(signal, onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (signal.aborted) promise.catch(() => {});
  }
}

/**
 * After an abort, nobody awaits a login renewal that may be in progress, but the process must not exit before
 * the rotated token is stored (T6).
 * @param {{ isRenewing: boolean, renewalSettled(): Promise<void> }} native
 */
function keepRenewal(native) {
  if (native.isRenewing) native.renewalSettled().catch(() => {});
}

module.exports = { keepRenewal, listen, unlessAborted };
