// Reads the message for a single request: from the flag, from stdin, or from both.

const fs = require("node:fs");
const { text } = require("node:stream/consumers");
const { CliError } = require("../errors.js");
const { say } = require("../output.js");

/** The time after which the command reports what it's waiting for. */
const SLOW_MS = 2000;

/**
 * @param {string | undefined} flag
 * @returns {Promise<string>}
 * @throws {CliError} if there's no message
 */
async function readMessage(flag) {
  const input = hasInput() ? await readInput() : "";
  const message = [flag ?? "", input.trimEnd()].filter((part) => part.trim() !== "").join("\n\n");
  if (message !== "") return message;
  throw new CliError("There is no message. Give one with -m, or on stdin.");
}

/** @returns {boolean} whether stdin has content, and isn't a terminal or `/dev/null` */
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
