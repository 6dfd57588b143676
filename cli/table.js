// Formats rows as lines with aligned columns. Pure: the terminal's width is an argument.

const { oneLine } = require("../lib/printable.js");
const { cut, widthOf } = require("./text-width.js");

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {boolean} [shrinks] whether it may be cut to make the table fit
 * @property {number} [leavesAt] the order in which columns are dropped when cutting isn't enough, lowest first
 * @property {(text: string, padded: string) => string} [paint] colours the padded cell
 */

const GAP = 2;
/** A column never gets narrower than this, because shorter text would be useless. */
const MIN_WIDTH = 8;

/**
 * @param {Column[]} columns
 * @param {string[][]} rows the cells' text; control characters in it are replaced
 * @param {number} [width] of the terminal; nothing is cut without it
 * @returns {string[]}
 */
function table(columns, rows, width = Number.POSITIVE_INFINITY) {
  const measured = columns.map((column, index) => {
    const cells = rows.map((row) => oneLine(row[index] ?? ""));
    // Don't use `Math.max(...)`: spreading a long list overflows the stack.
    const widest = (/** @type {number} */ most, /** @type {string} */ cell) =>
      Math.max(most, widthOf(cell));
    return { ...column, cells, size: cells.reduce(widest, widthOf(column.title)) };
  });
  const shown = fitted(measured, width);
  const titles = shown.map(({ title, size }, index) =>
    pad(title, size, index === shown.length - 1),
  );
  const lines = rows.map((_, row) =>
    shown.map(({ cells, size, paint }, index) => {
      const text = cells[row] ?? "";
      const padded = pad(text, size, index === shown.length - 1);
      return paint ? paint(text, padded) : padded;
    }),
  );
  return [titles, ...lines].map((cells) => cells.join(" ".repeat(GAP)).trimEnd());
}

/**
 * Cuts columns, and then drops some, until the rest fits.
 * @template {Column & { size: number }} T
 * @param {T[]} columns
 * @param {number} width
 * @returns {T[]}
 */
function fitted(columns, width) {
  const total = columns.reduce((sum, { size }) => sum + size + GAP, -GAP);
  const excess = total - width;
  if (excess <= 0) return columns;
  const room = columns.reduce((sum, { size, shrinks }) => sum + (shrinks ? slack(size) : 0), 0);
  if (room >= excess) {
    let left = excess;
    return columns.map((column) => {
      const less = column.shrinks ? Math.min(left, slack(column.size)) : 0;
      left -= less;
      return { ...column, size: column.size - less };
    });
  }
  const [first] = columns
    .filter(({ leavesAt }) => leavesAt !== undefined)
    .sort((a, b) => (a.leavesAt ?? 0) - (b.leavesAt ?? 0));
  return first
    ? fitted(
        columns.filter((column) => column !== first),
        width,
      )
    : columns;
}

/** @param {number} size */
function slack(size) {
  return Math.max(0, size - MIN_WIDTH);
}

/**
 * @param {string} text
 * @param {number} size
 * @param {boolean} isLast
 */
function pad(text, size, isLast) {
  const shown = cut(text, size);
  return isLast ? shown : shown + " ".repeat(size - widthOf(shown));
}

module.exports = { table };
