// `arkor chat`: sends one message to a model, or holds a conversation with it at a terminal.

const { printableJson } = require("../lib/printable.js");
const { answerTo, noteOn } = require("./chat/answer.js");
const { canConverse, converse } = require("./chat/conversation.js");
const { readMessage } = require("./chat/message.js");
const { findTarget } = require("./chat/target.js");
const { Backend } = require("./dev/backend.js");
const { CliError } = require("./errors.js");
const { withBackend } = require("./local/choose.js");
const { isStored } = require("./local/store.js");
const { say } = require("./output.js");

const ANSWERED = 0;
const INTERRUPTED = 130;

/**
 * @typedef {object} ChatOptions
 * @property {string} [message]
 * @property {string} [system]
 * @property {number} [temperature]
 * @property {number} [maxTokens]
 * @property {boolean} [json]
 * @property {boolean} [local]
 */

/**
 * @param {string | undefined} target
 * @param {ChatOptions} options
 * @returns {Promise<number>} the exit code
 */
async function chat(target, options) {
  const talks = options.message === undefined && canConverse();
  if (talks && options.json) {
    throw new CliError("--json is for one answer. Give the message with -m or on stdin.");
  }
  const message = talks ? undefined : await readMessage(options.message);
  const cwd = process.cwd();
  const jobId = target?.split("/")[0];
  // A chat with a base model doesn't need any job in this project.
  const withoutStore = target !== undefined && !isStored(cwd, jobId ?? "");
  return withBackend({ local: options.local, jobId, withoutStore }, async ({ isLocal, signal }) => {
    const backend = new Backend(cwd);
    const found = await findTarget(backend, target);
    if (found.notice !== undefined) say(found.notice);
    const { system, temperature, maxTokens, json } = options;
    const fields = {
      ...found.fields,
      ...(temperature !== undefined && { temperature }),
      ...(maxTokens !== undefined && { maxTokens }),
    };
    const asking = { backend, fields, isLocal };
    if (message === undefined) return converse(asking, { system, signal });
    return answerOnce(asking, { system, message, json });
  });
}

/**
 * @param {import("./chat/answer.js").Asking} asking
 * @param {{ system: string | undefined, message: string, json: boolean | undefined }} question
 * @returns {Promise<number>} the exit code
 */
async function answerOnce(asking, { system, message, json }) {
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: message },
  ];
  const answer = await answerTo(asking, messages, { prints: !json });
  if (answer.presses > 0) return INTERRUPTED;
  if (json) {
    const { text, model, usage, finishReason } = answer;
    process.stdout.write(`${printableJson({ answer: text, model, usage, finishReason })}\n`);
  } else {
    const note = noteOn(answer);
    if (note !== undefined) say(note);
  }
  return ANSWERED;
}

module.exports = { chat };
