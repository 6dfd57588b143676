// Requests one response from a model and prints it as it arrives.

const { completionParts } = require("../../lib/completion-text.js");
const { asItStands } = require("../../lib/printable.js");
const { say } = require("../output.js");

/**
 * @typedef {object} Asking the settings that all messages share
 * @property {import("../dev/backend.js").Backend} backend
 * @property {Record<string, unknown>} fields of the request's body: the model, and its sampling options
 * @property {boolean} isLocal
 */

/** @typedef {{ role: string, content: string }} Message */

/**
 * @typedef {object} Answer
 * @property {string} text the text, as far as it has arrived
 * @property {unknown} model
 * @property {unknown} usage
 * @property {unknown} finishReason
 * @property {number} presses of Ctrl-C; the first one stops the response
 */

/**
 * Sends the messages, and prints the response on stdout. Ctrl-C closes the request, which also ends the work
 * on the backend.
 * @param {Asking} asking
 * @param {Message[]} messages
 * @param {{ prints?: boolean }} [options]
 * @returns {Promise<Answer>}
 */
async function answerTo(asking, messages, { prints = true } = {}) {
  const { stdout } = process;
  const interrupt = new AbortController();
  /** @type {Answer} */
  const answer = { text: "", model: null, usage: null, finishReason: null, presses: 0 };
  const onInterrupt = () => {
    answer.presses += 1;
    interrupt.abort();
  };
  process.on("SIGINT", onInterrupt);
  try {
    for await (const part of partsOf(asking, messages, interrupt.signal)) {
      answer.model ??= part.model;
      answer.usage = part.usage ?? answer.usage;
      answer.finishReason = part.finishReason ?? answer.finishReason;
      answer.text += part.text;
      if (prints) stdout.write(asItStands(part.text));
    }
  } catch (error) {
    if (answer.presses === 0) throw error;
  } finally {
    if (prints && answer.text !== "" && !answer.text.endsWith("\n")) stdout.write("\n");
    process.off("SIGINT", onInterrupt);
  }
  return answer;
}

/**
 * It always streams: otherwise the head of the response would arrive only with the whole text, which may take
 * longer than the request's timeout.
 * @param {Asking} asking
 * @param {Message[]} messages
 * @param {AbortSignal} signal
 */
async function* partsOf({ backend, fields, isLocal }, messages, signal) {
  const body = { ...fields, messages, stream: true };
  const response = await backend.call((client, scope) => client.chat({ scope, body, signal }));
  let isFirst = true;
  for await (const part of completionParts(response)) {
    if (isFirst && isLocal) warnOfStandIn(fields.baseModel, part.model);
    isFirst = false;
    yield part;
  }
}

/**
 * @param {unknown} wanted
 * @param {unknown} used
 */
function warnOfStandIn(wanted, used) {
  if (typeof wanted !== "string" || typeof used !== "string" || used === wanted) return;
  say(`warning: ${used} stands in: ${wanted} is not on this machine.`);
}

/**
 * @param {Answer} answer
 * @returns {string | undefined} a note on why the response stopped, if it isn't complete
 */
function noteOn({ presses, finishReason, text }) {
  if (presses > 0) return "(stopped)";
  if (finishReason === "length") return "(cut off: --max-tokens sets how long an answer may be)";
  return text.trim() === "" ? "(no text)" : undefined;
}

module.exports = { answerTo, noteOn };
