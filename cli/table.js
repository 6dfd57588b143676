// Rows → lines with aligned columns. Pure: how wide the terminal is comes in as an argument.

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {boolean} [shrinks] cut to make the table fit
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
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => lengthOf(row[index] ?? ""))),
  );
  const total = widths.reduce((sum, one) => sum + one + GAP, -GAP);
  let excess = total - width;
  for (const [index, { shrinks }] of columns.entries()) {
    if (!shrinks || excess <= 0) continue;
    const cut = Math.min(excess, Math.max(0, (widths[index] ?? 0) - MIN_WIDTH));
    widths[index] = (widths[index] ?? 0) - cut;
    excess -= cut;
  }
  const line = (/** @type {string[]} */ cells, /** @type {boolean} */ isHead) =>
    columns
      .map(({ paint }, index) => {
        const text = cut(cells[index] ?? "", widths[index] ?? 0);
        const padding = index === columns.length - 1 ? 0 : (widths[index] ?? 0) - lengthOf(text);
        const padded = text + " ".repeat(padding);
        return paint && !isHead ? paint(text, padded) : padded;
      })
      .join(" ".repeat(GAP))
      .trimEnd();
  const titles = columns.map(({ title }) => title);
  return [line(titles, true), ...rows.map((row) => line(row, false))];
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
