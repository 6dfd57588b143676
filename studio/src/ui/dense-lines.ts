import uPlot from "uplot";

/** The fraction of pixels with a value from which a line is drawn as bars. */
const DENSE = 0.5;
/** The minimum thickness of a line, in CSS pixels. */
const THICKNESS = 1.25;

const asLine = uPlot.paths.linear?.();
const byPixel = new WeakSet<uPlot>();

/** Records whether a chart's data has the minimum and maximum of each pixel, see `decimate`. */
export function setByPixel(chart: uPlot, isByPixel: boolean): void {
  if (isByPixel) byPixel.add(chart);
  else byPixel.delete(chart);
}

/** No path for a line that `drawDense` draws instead. */
export const sparsePaths: uPlot.Series.PathBuilder = (chart, seriesIndex, from, to) =>
  isDense(chart, seriesIndex) ? null : (asLine?.(chart, seriesIndex, from, to) ?? null);

/**
 * Draws a dense line as one bar per pixel. It looks like a line that goes up and down a thousand times, but
 * without a GPU a browser draws it many times faster.
 */
export function drawDense(chart: uPlot, seriesIndex: number): void {
  const series = chart.series[seriesIndex];
  if (seriesIndex === 0 || !series?.show || !isDense(chart, seriesIndex)) return;
  const steps = chart.data[0];
  const values = chart.data[seriesIndex] ?? [];
  const { ctx, bbox } = chart;
  const bar = Math.max(1, Math.round((bbox.width / values.length) * 2));
  const thick = Math.max(1, Math.round(THICKNESS * uPlot.pxRatio));
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = (series as { _stroke?: string })._stroke ?? "";
  // The bar of the previous pixel, so that there's no gap between two bars that don't overlap.
  let before: [top: number, bottom: number] | undefined;
  for (let at = 0; at + 1 < values.length; at += 2) {
    const [first, second] = [values[at], values[at + 1]];
    if (typeof first !== "number" || typeof second !== "number") {
      if (first === null) before = undefined;
      continue;
    }
    const top = Math.round(chart.valToPos(Math.max(first, second), "y", true));
    const bottom = Math.round(chart.valToPos(Math.min(first, second), "y", true));
    const x = Math.round(chart.valToPos(steps[at] ?? 0, "x", true));
    const upper = before ? Math.min(top, before[1]) : top;
    const lower = Math.max(bottom, before ? before[0] : bottom, upper + thick);
    ctx.fillRect(x, upper, bar, lower - upper);
    before = [top, bottom];
  }
  ctx.restore();
}

function isDense(chart: uPlot, seriesIndex: number): boolean {
  const values = chart.data[seriesIndex];
  if (!values || !byPixel.has(chart)) return false;
  let pairs = 0;
  for (let at = 0; at + 1 < values.length; at += 2) {
    if (values[at] !== undefined && values[at + 1] !== undefined) pairs += 1;
  }
  return pairs * 2 > values.length * DENSE;
}
