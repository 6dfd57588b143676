// Colours, if the terminal supports them.

const { styleText } = require("node:util");

/**
 * @param {NodeJS.WritableStream} stream
 * @returns {import("./cells.js").Paint} honours NO_COLOR, FORCE_COLOR and TERM=dumb
 */
function painter(stream) {
  const { isTTY } = /** @type {Partial<NodeJS.WriteStream>} */ (stream);
  const colours = isTTY && /** @type {NodeJS.WriteStream} */ (stream).hasColors();
  return (style, text) => (colours ? styleText(style, text, { validateStream: false }) : text);
}

/** @type {[RegExp, import("./cells.js").Style][]} */
const MARKS = [
  [/^error:/, ["bold", "red"]],
  [/^warning:/, ["bold", "yellow"]],
];

/**
 * Colours the word that marks a line as an error or a warning.
 * @param {string} line
 * @param {import("./cells.js").Paint} paint
 */
function paintMark(line, paint) {
  const [mark, style] = MARKS.find(([word]) => word.test(line)) ?? [];
  return mark && style ? line.replace(mark, (word) => paint(style, word)) : line;
}

module.exports = { paintMark, painter };
