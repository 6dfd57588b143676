// A conversation at a terminal. Prompts and notes go to stderr, and only the model's responses to stdout.

const readline = require("node:readline");
const { say, sayError } = require("../output.js");
const { answerTo, noteOn } = require("./answer.js");

const PROMPT = "> ";
const HISTORY = 100;
const LEFT = 0;
const INTERRUPTED = 130;

/** @typedef {import("./answer.js").Message} Message */

/** @returns {boolean} whether a person is at the terminal */
function canConverse() {
  return Boolean(process.stdin.isTTY);
}

/**
 * @param {import("./answer.js").Asking} asking
 * @param {{ system: string | undefined, signal: AbortSignal }} options `signal` ends the conversation
 * @returns {Promise<number>} the exit code
 */
async function converse(asking, { system, signal }) {
  const start = system === undefined ? [] : [{ role: "system", content: system }];
  const reader = new Reader(signal);
  let messages = [...start];
  say("/reset starts over, /exit or Ctrl-D leaves, Ctrl-C stops an answer.");
  for (;;) {
    const text = await reader.read();
    if (text === undefined || text === "/exit") return LEFT;
    if (text === "") continue;
    if (text === "/reset") {
      messages = [...start];
      say("The conversation starts over.");
    } else if (/^\/\w+$/.test(text)) {
      say(`There is no ${text}, only /reset and /exit.`);
    } else {
      const turn = [...messages, { role: "user", content: text }];
      const answer = await answerOrError(asking, turn);
      if (answer.presses > 1) return INTERRUPTED;
      // A message without a response isn't part of the conversation.
      if (answer.text) messages = [...turn, { role: "assistant", content: answer.text }];
    }
  }
}

/**
 * @param {import("./answer.js").Asking} asking
 * @param {Message[]} messages
 * @returns {Promise<{ text: string, presses: number }>}
 */
async function answerOrError(asking, messages) {
  try {
    const answer = await answerTo(asking, messages);
    const note = noteOn(answer);
    if (note !== undefined) say(note);
    return answer;
  } catch (error) {
    sayError(error);
    return { text: "", presses: 0 };
  }
}

/**
 * Reads the user's messages. It takes over the terminal only while it reads, so that Ctrl-C is a signal at
 * other times.
 */
class Reader {
  /** @type {string[]} newest first */ #history = [];
  #signal;

  /** @param {AbortSignal} signal stops reading */
  constructor(signal) {
    this.#signal = signal;
  }

  /**
   * @returns {Promise<string | undefined>} undefined when the user leaves. Lines that were pasted together
   *   are one message.
   */
  read() {
    const { stdin, stderr } = process;
    const lines = readline.createInterface({
      input: stdin,
      output: stderr,
      prompt: PROMPT,
      terminal: Boolean(stderr.isTTY),
      history: this.#history,
      historySize: HISTORY,
      signal: this.#signal,
    });
    /** @type {string[]} */
    const pasted = [];
    return new Promise((resolve) => {
      const leave = () => {
        stderr.write("\n");
        resolve(undefined);
      };
      lines.once("close", leave);
      lines.on("SIGINT", () => lines.close());
      lines.on("history", (history) => {
        this.#history = [...history];
      });
      lines.on("line", (line) => {
        pasted.push(line);
        // The other lines of a paste are read in the same turn of the event loop; the last one may still be
        // incomplete.
        setImmediate(() => {
          if (pasted.at(-1) !== line || lines.line !== "") return;
          lines.off("close", leave);
          lines.close();
          resolve(pasted.join("\n").trim());
        });
      });
      lines.prompt();
    });
  }
}

module.exports = { canConverse, converse };
