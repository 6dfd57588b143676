// Listens to the user's abort signals.
"use strict";

const { defaultMaxListeners, getMaxListeners, setMaxListeners } = require("node:events");

/**
 * Calls `onAbort` once, on an abort.
 * @param {AbortSignal} signal
 * @param {() => void} onAbort
 */
function listen(signal, onAbort) {
  try {
    // Any number of runs and requests may share a signal, so many listeners aren't a leak to warn about. A
    // limit that the user set stays.
    if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(0, signal);
  } catch {
    // It isn't Node's own kind of signal, which has no such warning either.
  }
  signal.addEventListener("abort", onAbort, { once: true });
}

/**
 * Rejects after an abort. That stops waiting for the promise, but not the work behind it (T28, T29).
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
 * Keeps the process alive until a login renewal in progress has finished, so that the rotated token is stored
 * (T6). After an abort, nothing else waits for it.
 * @param {{ isRenewing: boolean, renewalSettled(): Promise<void> }} native
 */
function keepRenewal(native) {
  if (native.isRenewing) native.renewalSettled().catch(() => {});
}

module.exports = { keepRenewal, listen, unlessAborted };
