// Draws the contents of a terminal as SVG. Each run of cells of the same style becomes a text element at its
// column.

const CELL = { width: 8.4, height: 18 };
const MARGIN = 16;
const BAR = 34;
/**
 * The default background and foreground, and then the eight colours and their bright variants in the
 * terminal's order.
 */
const DARK = {
  background: "#16181d",
  foreground: "#d7dae0",
  palette: [
    ...["#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0"],
    ...["#7f848e", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#ffffff"],
  ],
};
const LIGHT = {
  background: "#fafafa",
  foreground: "#383a42",
  palette: [
    ...["#383a42", "#c9372c", "#3d8b37", "#986801", "#2f6fde", "#a626a4", "#0b7c96", "#a0a1a7"],
    ...["#696c77", "#c9372c", "#3d8b37", "#986801", "#2f6fde", "#a626a4", "#0b7c96", "#d0d1d6"],
  ],
};

/** @typedef {import("@xterm/headless").Terminal} Terminal */
/** @typedef {import("@xterm/headless").IBufferCell} Cell */

/**
 * @param {Terminal} terminal
 * @param {string} title the window's title
 * @returns {string}
 */
export function toSvg(terminal, title) {
  const { active } = terminal.buffer;
  const rows = Array.from({ length: active.length }, (_, row) => pieces(active.getLine(row)));
  while (rows.length > 0 && rows.at(-1)?.length === 0) rows.pop();
  const width = Math.ceil(terminal.cols * CELL.width + 2 * MARGIN);
  const height = BAR + rows.length * CELL.height + MARGIN;
  const text = rows.flatMap((row, index) =>
    row.map((piece) => textAt(piece, BAR + (index + 1) * CELL.height - 4)),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${styles()}</style>`,
    `<rect width="${width}" height="${height}" rx="8"/>`,
    ...["#e06c75", "#e5c07b", "#98c379"].map(
      (fill, index) => `<circle cx="${20 + index * 18}" cy="17" r="5.5" fill="${fill}"/>`,
    ),
    '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">',
    ...text,
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

/**
 * @param {import("@xterm/headless").IBufferLine | undefined} line
 * @returns {{ column: number, length: number, text: string, style: string }[]}
 */
function pieces(line) {
  /** @type {{ column: number, length: number, text: string, style: string }[]} */
  const found = [];
  for (let column = 0; line && column < line.length; column += 1) {
    const cell = line.getCell(column);
    if (!cell || cell.getWidth() === 0) continue;
    const style = styleOf(cell);
    const text = cell.getChars() || " ";
    const last = found.at(-1);
    if (last && last.style === style && last.column + last.length === column) {
      last.text += text;
      last.length += 1;
    } else {
      found.push({ column, length: 1, text, style });
    }
  }
  return found
    .map((piece) => ({ ...piece, text: piece.text.trimEnd() }))
    .filter(({ text }) => text !== "");
}

/** One picture for both themes: the browser uses the colours of the reader's theme. */
function styles() {
  return `${rules(DARK)}@media (prefers-color-scheme:light){${rules(LIGHT)}}`;
}

/** @param {typeof DARK} theme */
function rules({ background, foreground, palette }) {
  const colours = palette.map((colour, index) => `.c${index}{fill:${colour}}`);
  return `rect{fill:${background}}text{fill:${foreground};white-space:pre}${colours.join("")}.b{font-weight:bold}.d{fill-opacity:.6}`;
}

/** @param {Cell} cell a cell, whose style becomes class names */
function styleOf(cell) {
  const classes = [];
  if (cell.isFgPalette() && cell.getFgColor() < 16) classes.push(`c${cell.getFgColor()}`);
  if (cell.isBold()) classes.push("b");
  if (cell.isDim()) classes.push("d");
  return classes.join(" ");
}

/**
 * @param {{ column: number, text: string, style: string }} piece
 * @param {number} y
 */
function textAt({ column, text, style }, y) {
  const x = (MARGIN + column * CELL.width).toFixed(1);
  // As wide as its cells, regardless of the reader's font.
  const length = ([...text].length * CELL.width).toFixed(1);
  return `<text x="${x}" y="${y}" textLength="${length}"${style && ` class="${style}"`}>${escaped(text)}</text>`;
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
