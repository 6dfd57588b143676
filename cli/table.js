// Rows → lines with aligned columns. Pure: how wide the terminal is comes in as an argument.

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {boolean} [shrinks] cut to make the table fit
 * @property {number} [leavesAt] left out when cutting is not enough, the lowest first
 * @property {(text: string, padded: string) => string} [paint] gives the padded cell its colours
 */

const GAP = 2;
/** A column that shrinks stays as wide, so that it still says something. */
const MIN_WIDTH = 8;

/**
 * @param {Column[]} columns
 * @param {string[][]} rows
 * @param {number} [width] of the terminal; without one nothing is cut
 * @returns {string[]}
 */
function table(columns, rows, width = Number.POSITIVE_INFINITY) {
  const measured = columns.map((column, index) => {
    const cells = rows.map((row) => row[index] ?? "");
    return { ...column, cells, size: Math.max(...[column.title, ...cells].map(lengthOf)) };
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
 * Cuts, then leaves out, what there is no room for.
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
  return isLast ? shown : shown + " ".repeat(size - lengthOf(shown));
}

/**
 * @param {string} text
 * @returns {number} in characters: an emoji of two code units is one
 */
function lengthOf(text) {
  return [...text].length;
}

/**
 * @param {string} text
 * @param {number} width
 */
function cut(text, width) {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join("")}…`;
}

module.exports = { table };
