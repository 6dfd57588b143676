// Lays out text cells for the live block.

const { cut, widthOf } = require("./text-width.js");

const GAP = "  ";
const BAR_WIDTH = 20;
/** A bar shorter than this isn't shown. */
const MIN_BAR_WIDTH = 6;

/** @typedef {Parameters<typeof import("node:util").styleText>[0]} Style */
/** @typedef {(style: Style, text: string) => string} Paint */
/** @typedef {[text: string | undefined, style: Style | undefined]} Cell a cell without text isn't shown */

/**
 * Puts cells side by side, and continues on the next line when one doesn't fit.
 * @param {Cell[]} cells
 * @param {number} width
 * @param {Paint} paint
 * @returns {import("./live-block.js").Line[]}
 */
function flow(cells, width, paint) {
  /** @type {import("./live-block.js").Line[]} */
  const lines = [];
  if (width < 1) return lines;
  for (const [whole, style] of cells) {
    if (!whole) continue;
    const text = cut(whole, width);
    const taken = widthOf(text);
    const painted = style === undefined ? text : paint(style, text);
    const line = lines.at(-1);
    if (line && line.width + GAP.length + taken <= width) {
      line.text += GAP + painted;
      line.width += GAP.length + taken;
    } else {
      lines.push({ text: painted, width: taken });
    }
  }
  return lines;
}

/**
 * Like `flow`, but puts a bar before the cells, in the space that they leave on the first line.
 * @param {number | undefined} share the filled part of the bar, from 0 to 1; without it there's no bar
 * @param {Cell[]} cells
 * @param {number} width
 * @param {Paint} paint
 * @returns {import("./live-block.js").Line[]}
 */
function flowWithBar(share, cells, width, paint) {
  const texts = cells.flatMap(([text]) => (text ? [widthOf(text) + GAP.length] : []));
  const room = Math.min(BAR_WIDTH, width - texts.reduce((sum, taken) => sum + taken, 0));
  const shown = share === undefined || room < MIN_BAR_WIDTH ? undefined : bar(share, room);
  return flow([[shown, "cyan"], ...cells], width, paint);
}

/**
 * @param {number} share
 * @param {number} width
 */
function bar(share, width) {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return "█".repeat(full) + "░".repeat(width - full);
}

module.exports = { flow, flowWithBar };
