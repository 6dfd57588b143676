// Labels and values below each other, wrapped to the terminal. Pure: its width is an argument.

const { oneLine } = require("../lib/printable.js");
const { widthOf } = require("./text-width.js");

const INDENT = "  ";
const GAP = 2;

/**
 * @typedef {object} Fact
 * @property {string} label
 * @property {string} value
 * @property {import("./cells.js").Style} [style] of the value
 * @property {boolean} [whole] it's never broken into lines: a command to copy
 */

/**
 * @param {Fact[]} rows
 * @param {import("./cells.js").Paint} paint
 * @param {number} [width] of the terminal; without one nothing is wrapped
 * @returns {string[]}
 */
function facts(rows, paint, width = Number.POSITIVE_INFINITY) {
  const size = Math.max(...rows.map(({ label }) => widthOf(label))) + GAP;
  const room = width - 1 - INDENT.length - size;
  return rows.flatMap(({ label, value, style, whole }) => {
    const text = oneLine(value);
    const lines = whole ? [text] : wrap(text, room);
    return lines.map((line, index) => {
      const head = index === 0 ? label : "";
      const padded = paint("dim", head + " ".repeat(size - widthOf(head)));
      return INDENT + padded + (style === undefined ? line : paint(style, line));
    });
  });
}

/**
 * @param {string} text one line
 * @param {number} width columns; a longer word stays whole, for the terminal to break
 * @returns {string[]}
 */
function wrap(text, width) {
  if (widthOf(text) <= width) return [text];
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(`${last} ${word}`) <= width)
      lines.push(`${lines.pop()} ${word}`);
    else lines.push(word);
  }
  return lines;
}

module.exports = { INDENT, facts, wrap };
