// A local backend of one's own, for a test or a script: started, pointed at, ended.

const { spawn } = require("node:child_process");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const path = require("node:path");
const { createInterface } = require("node:readline");
const { binaryPath } = require("./binary.js");

const START_MS = 30_000;
/** Time to save before it's killed. */
const STOP_MS = 10_000;
/** Lines of its log that are kept to explain a failed start. */
const KEPT_LINES = 5;

/** @typedef {import("./index.js").BackendOptions} BackendOptions */

/**
 * @param {BackendOptions} [options]
 * @returns {Promise<import("./index.js").Backend>}
 */
async function startBackend(options = {}) {
  const store = options.store === undefined ? temporaryStore() : path.resolve(options.store);
  const remove = () => {
    if (options.store === undefined) rmSync(store, { recursive: true, force: true, maxRetries: 3 });
  };
  const child = start(store, options);
  const closed = new Promise((resolve) => child.once("close", resolve));
  const kill = () => child.kill("SIGKILL");
  // A process that ends without `stop()` takes it along.
  const abandon = () => {
    kill();
    remove();
  };
  process.once("exit", abandon);
  const stop = async () => {
    child.stdin.end();
    if (process.platform !== "win32") child.kill("SIGTERM");
    const timer = setTimeout(kill, STOP_MS);
    await closed;
    clearTimeout(timer);
    process.off("exit", abandon);
    remove();
  };
  try {
    const { url, token } = await whenReady(child, options);
    // It alone must not keep the process alive.
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) unref(stream);
    const env = { ARKOR_CLOUD_API_URL: url, ARKOR_LOCAL_TOKEN: token };
    /** @type {Promise<void> | undefined} */ let stopping;
    return {
      url,
      token,
      env,
      store,
      stop: () => {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    kill();
    await stop();
    throw error;
  }
}

function temporaryStore() {
  return mkdtempSync(path.join(tmpdir(), "arkor-local-"));
}

/**
 * @param {string} store
 * @param {BackendOptions} options
 */
function start(store, { port = 0, engine = "cpu", baseModel, args = [], env = process.env }) {
  const { ARKOR_LOCAL_TOKEN: _, ...rest } = env;
  const flags = ["--port", String(port), "--store", store, "--engine", engine, "--with-parent"];
  if (baseModel !== undefined) flags.push("--base-model", path.resolve(baseModel));
  return spawn(binaryPath(), [...flags, ...args], {
    env: rest,
    stdio: ["pipe", "pipe", "pipe"],
    windowsHide: true,
  });
}

/**
 * @param {import("node:child_process").ChildProcessWithoutNullStreams} child
 * @param {BackendOptions} options
 * @returns {Promise<{ url: string, token: string }>}
 */
function whenReady(child, { onLog, startTimeoutMs = START_MS }) {
  /** @type {string[]} */
  const said = [];
  let isReady = false;
  createInterface(child.stderr).on("line", (line) => {
    if (!isReady) said.push(line.replace(/^arkor-local: /, ""));
    onLog?.(line);
  });
  // A backend that has gone is noticed by its end.
  child.stdin.on("error", () => {});
  return new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ what) => {
      const words = said.slice(-KEPT_LINES).join(" | ");
      reject(new Error(`startBackend: arkor-local ${what}${words && `. It said: ${words}`}`));
    };
    const timer = setTimeout(
      () => fail(`was not ready after ${startTimeoutMs} ms`),
      startTimeoutMs,
    );
    child.once("error", (error) => fail(`can't be started: ${error.message}`));
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      fail(`ended with ${signal ?? `code ${code}`} before it was ready`);
    });
    createInterface(child.stdout).once("line", (line) => {
      clearTimeout(timer);
      isReady = true;
      try {
        resolve(JSON.parse(line));
      } catch {
        fail(`printed this instead of its address: ${line}`);
      }
    });
  });
}

/** @param {import("node:stream").Stream} stream a pipe */
function unref(stream) {
  /** @type {import("node:net").Socket} */ (stream).unref?.();
}

module.exports = { startBackend };
