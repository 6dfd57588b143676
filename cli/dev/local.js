// The local backend behind Studio: the one that serves this project already, else one of its own.

const fs = require("node:fs");
const path = require("node:path");
const { LocalBackend } = require("../local/backend.js");
const { findLocalBackend } = require("../local/find.js");

const ANNOUNCED = ".arkor/local/server.json";
const ANSWER_MS = 2000;

/**
 * @typedef {object} Joined
 * @property {string} url
 * @property {string} token
 * @property {Promise<never>} lost
 * @property {(options?: { atOnce?: boolean }) => Promise<void>} stop
 * @property {boolean} isOurs whether it ends with us
 */

/**
 * @param {string} cwd
 * @param {{ baseModel?: string }} options
 * @param {(line: string) => void} say
 * @returns {Promise<Joined>}
 */
async function joinLocal(cwd, { baseModel }, say) {
  const running = await runningBackend(cwd);
  if (running) {
    say(`Using the local backend that runs at ${running.url}.`);
    const never = new Promise(() => {});
    return {
      ...running,
      lost: /** @type {Promise<never>} */ (never),
      stop: async () => {},
      isOurs: false,
    };
  }
  const backend = new LocalBackend({
    command: findLocalBackend(cwd, process.env),
    cwd,
    say,
    ...(baseModel !== undefined && { baseModel }),
  });
  const { url, token } = await backend.start();
  const stop = (/** @type {{ atOnce?: boolean }} */ options = {}) => backend.stop(options);
  return { url, token, lost: backend.lost, stop, isOurs: true };
}

/**
 * @param {string} cwd
 * @returns {Promise<{ url: string, token: string } | undefined>} undefined when none answers
 */
async function runningBackend(cwd) {
  try {
    const { url, token } = JSON.parse(fs.readFileSync(path.join(cwd, ANNOUNCED), "utf8"));
    if (!/^http:\/\/127\.0\.0\.1:\d+$/.test(url) || typeof token !== "string") return undefined;
    const headers = { authorization: `Bearer ${token}` };
    const signal = AbortSignal.timeout(ANSWER_MS);
    const { ok } = await fetch(`${url}/v1/me`, { headers, signal });
    return ok ? { url, token } : undefined;
  } catch {
    // There is no file, or it's stale: its backend is gone.
    return undefined;
  }
}

module.exports = { joinLocal };
