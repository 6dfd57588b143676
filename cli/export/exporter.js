// Runs `arkor-local export` as a child process: shows its progress on the terminal, and returns its result or
// its error message.

const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");
const { oneLine } = require("../../lib/printable.js");
const { flowWithBar } = require("../cells.js");
const { CliError } = require("../errors.js");
const { formatBytes, formatSize, isNumber } = require("../format.js");
const { LiveBlock } = require("../live-block.js");
const { howItEnded } = require("../local/child.js");
const { say } = require("../output.js");
const { painter } = require("../paint.js");
const { rewraps } = require("../reporter.js");

/**
 * @typedef {object} Exported
 * @property {{ path: string, bytes: number }[]} files
 * @property {string} base
 * @property {string[]} notes
 */

/** @typedef {{ done: number, total: number, file: string }} Progress */

class Exporter {
  #command;
  /** @type {Exported | undefined} */ #result;
  /** @type {Progress | undefined} */ #progress;
  #errors = "";

  /** @param {string[]} command the program and its arguments */
  constructor(command) {
    this.#command = command;
  }

  /**
   * @returns {Promise<Exported | undefined>} undefined if Ctrl-C ended it
   * @throws {CliError} if it failed
   */
  async run() {
    const [program = "", ...args] = this.#command;
    // Ctrl-C at a terminal also reaches the child. A signal that was sent only to this process is passed on.
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], windowsHide: true });
    let isStopped = false;
    const onInterrupt = () => {
      isStopped = true;
      child.kill("SIGINT");
    };
    process.on("SIGINT", onInterrupt);
    const block = this.#block();
    createInterface(child.stdout).on("line", (line) => {
      this.#onLine(line);
      block?.update();
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#errors += text;
    });
    try {
      const ending = await new Promise((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (code, signal) => resolve({ code, signal }));
      });
      if (isStopped) return undefined;
      if (ending.code === 0 && this.#result) return this.#result;
      throw new CliError(this.#reason(howItEnded(ending)));
    } catch (error) {
      if (error instanceof CliError) throw error;
      const { message } = /** @type {Error} */ (error);
      throw new CliError(`arkor-local can't be started: ${message}`, { cause: error });
    } finally {
      block?.close();
      process.off("SIGINT", onInterrupt);
    }
  }

  /** @param {string} how how the child ended */
  #reason(how) {
    const words = this.#errors.replace(/^(arkor-local|error): /, "").trim();
    return words === "" ? `arkor-local export ${how} and said nothing.` : words;
  }

  /** @param {string} line */
  #onLine(line) {
    const event = parse(line);
    if (event.type === "progress" && isNumber(event.done) && isNumber(event.total)) {
      this.#progress = {
        done: event.done,
        total: event.total,
        file: oneLine(String(event.file ?? "")),
      };
    } else if (event.type === "done") {
      const { files, base, notes } = event;
      this.#result = {
        files: (Array.isArray(files) ? files : []).map((/** @type {any} */ one) => ({
          path: String(one?.path),
          bytes: Number(one?.bytes) || 0,
        })),
        base: String(base ?? ""),
        notes: (Array.isArray(notes) ? notes : []).map(String),
      };
    }
  }

  /** @returns {LiveBlock | undefined} undefined without a terminal */
  #block() {
    const { stderr, stdout, env } = process;
    if (!stderr.isTTY || env.TERM === "dumb") {
      say("Exporting. This may take a while.");
      return undefined;
    }
    const paint = painter(stderr);
    const streams = stdout.isTTY ? [stderr, stdout] : [stderr];
    const render = (/** @type {number} */ columns) => this.#lines(columns - 1, paint);
    return new LiveBlock({ terminal: stderr, streams, render, wraps: rewraps(env) });
  }

  /**
   * @param {number} width
   * @param {import("../cells.js").Paint} paint
   */
  #lines(width, paint) {
    if (!this.#progress) return [];
    const { done, total, file } = this.#progress;
    const share = total > 0 ? Math.min(1, done / total) : undefined;
    /** @type {import("../cells.js").Cell[]} */
    const cells = [
      [file, "bold"],
      [`${formatBytes(done, total)}/${formatSize(total)}`, undefined],
      [share === undefined ? undefined : `${Math.floor(share * 100)}%`, undefined],
    ];
    return flowWithBar(share, cells, width, paint);
  }
}

/**
 * @param {string} line
 * @returns {Record<string, unknown>} empty if the line isn't a JSON object
 */
function parse(line) {
  try {
    const event = JSON.parse(line);
    return typeof event === "object" && event !== null ? event : {};
  } catch {
    return {};
  }
}

module.exports = { Exporter };
