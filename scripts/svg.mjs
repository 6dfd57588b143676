// What stands on a terminal → SVG: each run of cells of one style is a piece of text at its column.

const CELL = { width: 8.4, height: 18 };
const MARGIN = 16;
const BAR = 34;
const BACKGROUND = "#16181d";
const FOREGROUND = "#d7dae0";
/** The eight colours and their bright ones, as the terminal numbers them. */
const PALETTE = [
  "#3b4048",
  "#e06c75",
  "#98c379",
  "#e5c07b",
  "#61afef",
  "#c678dd",
  "#56b6c2",
  "#d7dae0",
  "#7f848e",
  "#e06c75",
  "#98c379",
  "#e5c07b",
  "#61afef",
  "#c678dd",
  "#56b6c2",
  "#ffffff",
];

/** @typedef {import("@xterm/headless").Terminal} Terminal */
/** @typedef {import("@xterm/headless").IBufferCell} Cell */

/**
 * @param {Terminal} terminal
 * @param {string} title of the window
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
    `<rect width="${width}" height="${height}" rx="8" fill="${BACKGROUND}"/>`,
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

/** @param {Cell} cell */
function styleOf(cell) {
  const colour = cell.isFgPalette() ? (PALETTE[cell.getFgColor()] ?? FOREGROUND) : FOREGROUND;
  const weight = cell.isBold() ? ' font-weight="bold"' : "";
  const dim = cell.isDim() ? ' fill-opacity="0.6"' : "";
  return `fill="${colour}"${weight}${dim}`;
}

/**
 * @param {{ column: number, text: string, style: string }} piece
 * @param {number} y
 */
function textAt({ column, text, style }, y) {
  const x = (MARGIN + column * CELL.width).toFixed(1);
  // As wide as its cells, whatever font the reader has.
  const length = ([...text].length * CELL.width).toFixed(1);
  return `<text x="${x}" y="${y}" textLength="${length}" ${style}>${escaped(text)}</text>`;
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
