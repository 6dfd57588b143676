// Formats labels and values as lines, wrapped to the terminal. Pure: the width is an argument.

const { oneLine } = require("../lib/printable.js");
const { widthOf } = require("./text-width.js");

const INDENT = "  ";
const GAP = 2;

/**
 * @typedef {object} Fact
 * @property {string} label
 * @property {string} value
 * @property {import("./cells.js").Style} [style] of the value
 * @property {boolean} [whole] whether the value is never wrapped, because it's a command to copy
 */

/**
 * @param {Fact[]} rows
 * @param {import("./cells.js").Paint} paint
 * @param {number} [width] of the terminal; nothing is wrapped without it
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
 * @param {number} width in columns; a longer word isn't broken here, but by the terminal
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
