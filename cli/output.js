// The command's output functions. Every line is made safe for a terminal. Only coloured output (a table, the
// live block) bypasses them; its cells are made safe one by one.

const { oneLine } = require("../lib/printable.js");
const { errorText } = require("./errors.js");
const { paintMark, painter } = require("./paint.js");

/**
 * Prints a line of the result on stdout, for scripts as well.
 * @param {string} line
 * @param {NodeJS.WritableStream} [stream]
 */
function print(line, stream = process.stdout) {
  stream.write(`${oneLine(line)}\n`);
}

/**
 * Prints a line on stderr for the user. `error:` and `warning:` are coloured.
 * @param {string} line
 * @param {NodeJS.WritableStream} [stream]
 */
function say(line, stream = process.stderr) {
  stream.write(`${paintMark(oneLine(line), painter(stream))}\n`);
}

/**
 * Prints an error on stderr: one line, with code frames if the bundle failed, and the stack with
 * ARKOR_DEBUG=1.
 * @param {unknown} error any thrown value
 * @param {NodeJS.WritableStream} [stream]
 */
function sayError(error, stream = process.stderr) {
  stream.write(`${paintMark(errorText(error), painter(stream))}\n`);
}

module.exports = { print, say, sayError };
