// The message for a single answer: from the flag, from stdin, or both.

const fs = require("node:fs");
const { text } = require("node:stream/consumers");
const { CliError } = require("../errors.js");
const { say } = require("../output.js");

/** After how long the command says what it's waiting for. */
const SLOW_MS = 2000;

/**
 * @param {string | undefined} flag
 * @returns {Promise<string>}
 * @throws {CliError} there is none
 */
async function readMessage(flag) {
  const input = hasInput() ? await readInput() : "";
  const message = [flag ?? "", input.trimEnd()].filter((part) => part.trim() !== "").join("\n\n");
  if (message !== "") return message;
  throw new CliError("There is no message. Give one with -m, or on stdin.");
}

/** @returns {boolean} whether stdin is something to read, not a terminal or `/dev/null` */
function hasInput() {
  if (process.stdin.isTTY) return false;
  try {
    return !fs.fstatSync(0).isCharacterDevice();
  } catch {
    return false;
  }
}

async function readInput() {
  const timer = setTimeout(() => say("Reading the message from stdin, until it ends."), SLOW_MS);
  try {
    return await text(process.stdin);
  } finally {
    clearTimeout(timer);
  }
}

module.exports = { readMessage };
