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

module.exports = { listen };
