// Describes the run that the project's entry would start. The entry is rebuilt only when a source has
// changed, so that a page can poll every second.

const { fork } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const TIME_LIMIT_MS = 30_000;
const SOURCE = /\.([cm]?[jt]sx?|json)$/;
/** The maximum number of source files to check for changes. A project with more is rebuilt on every request. */
const MOST_FILES = 5000;
const DEFAULT_ENTRY = "src/arkor/index.ts";

/**
 * @typedef {object} Manifest
 * @property {{ name: string, config: Record<string, unknown> } | null} trainer
 * @property {string} entry
 * @property {string} [error]
 * @property {{ file: string, line: number, column: number, text?: string }} [location]
 */

class Manifests {
  #cwd;
  #env;
  /** @type {{ signature: string, manifest: Promise<Manifest> } | undefined} */ #known;
  #ended = new AbortController();

  /**
   * @param {string} cwd
   * @param {() => NodeJS.ProcessEnv} env
   */
  constructor(cwd, env) {
    this.#cwd = cwd;
    this.#env = env;
  }

  /** @returns {Promise<Manifest>} */
  current() {
    const signature = signatureOf(this.#cwd);
    if (signature === undefined || this.#known?.signature !== signature) {
      const manifest = describe(this.#cwd, this.#env(), this.#ended.signal);
      this.#known = { signature: signature ?? "", manifest };
    }
    return this.#known.manifest;
  }

  /** Stops a pending import. Resolves once its process is gone. */
  async end() {
    this.#ended.abort();
    await this.#known?.manifest;
  }
}

/**
 * @param {string} cwd
 * @returns {string | undefined} the names, times and sizes of the sources; undefined if there are too many
 */
function signatureOf(cwd) {
  /** @type {string[]} */ const found = [];
  const open = [cwd];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    for (const entry of readDirectory(directory)) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) open.push(file);
      else if (SOURCE.test(entry.name)) {
        const stat = fs.statSync(file, { throwIfNoEntry: false });
        found.push(`${file}:${stat?.mtimeMs}:${stat?.size}`);
      }
      if (found.length + open.length > MOST_FILES) return undefined;
    }
  }
  return found.sort().join("\n");
}

/** @param {string} directory */
function readDirectory(directory) {
  try {
    return fs.readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

/**
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} ended
 * @returns {Promise<Manifest>} resolves once the process that imports it is gone
 */
function describe(cwd, env, ended) {
  const child = fork(path.join(__dirname, "manifest-child.js"), {
    cwd,
    env,
    execArgv: ["--enable-source-maps"],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  /** @type {Omit<Manifest, "entry"> | undefined} */ let result;
  const settle = (/** @type {Omit<Manifest, "entry">} */ manifest) => {
    result ??= manifest;
    child.kill("SIGKILL");
  };
  const failed = (/** @type {string} */ error) => settle({ trainer: null, error });
  const end = () => failed("Studio is ending.");
  const timer = setTimeout(() => {
    failed(`Importing the entry took longer than ${TIME_LIMIT_MS / 1000} s.`);
  }, TIME_LIMIT_MS);
  if (ended.aborted) end();
  ended.addEventListener("abort", end);
  child.once("message", (message) => settle(/** @type {Manifest} */ (message)));
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      ended.removeEventListener("abort", end);
      const { exitCode } = child;
      result ??= {
        trainer: null,
        error: `Importing the entry ended its process, with ${exitCode}.`,
      };
      resolve({ ...withSource(result, cwd), entry: DEFAULT_ENTRY });
    };
    child.once("exit", finish);
    child.once("error", (error) => {
      failed(`The entry can't be imported: ${error.message}`);
      if (child.pid === undefined) finish();
    });
  });
}

/**
 * @param {Omit<Manifest, "entry">} result
 * @param {string} cwd
 * @returns {Omit<Manifest, "entry">} with the source line of the error
 */
function withSource(result, cwd) {
  if (!result.location) return result;
  try {
    const lines = fs.readFileSync(path.join(cwd, result.location.file), "utf8").split("\n");
    const text = lines[result.location.line - 1];
    return text === undefined ? result : { ...result, location: { ...result.location, text } };
  } catch {
    return result;
  }
}

module.exports = { Manifests };
