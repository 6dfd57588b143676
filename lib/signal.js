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
    // Any number of runs and requests may share a signal: no leak to warn of. A limit that the user set
    // stays.
    if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(0, signal);
  } catch {
    // Not Node's own kind of signal: then there is no such warning either.
  }
  signal.addEventListener("abort", onAbort, { once: true });
}

/**
 * The abort ends the wait for a promise, not what it stands for (T28, T29).
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
 * After an abort: nobody waits for the renewal of the login that may be under way, but the process must
 * not end before the rotated token is stored (T6).
 * @param {{ isRenewing: boolean, renewalSettled(): Promise<void> }} native
 */
function keepRenewal(native) {
  if (native.isRenewing) native.renewalSettled().catch(() => {});
}

module.exports = { keepRenewal, listen, unlessAborted };
