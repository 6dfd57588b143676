import { ABSENT, type Column, lowerBound } from "./column.ts";

/** A line to draw: values over steps, which never decrease. */
export interface Line {
  x: Column;
  y: Column;
}

/** The data format of uPlot: `null` is a gap in a line, `undefined` a position where the line has no point. */
export type Aligned = [x: number[], ...ys: (number | null | undefined)[][]];

export interface Decimated {
  data: Aligned;
  /** Whether each pair of positions is one pixel, with its minimum and maximum. */
  isByPixel: boolean;
}

export interface View {
  from: number;
  to: number;
  /** The width of the view in pixels. */
  width: number;
}

/**
 * The points to draw so that the lines look as if every point were drawn: all points if there are few, else
 * the minimum and maximum of every pixel.
 */
export function decimate(lines: Line[], view: View): Decimated {
  const ranges = lines.map(({ x }) => visible(x, view));
  const most = Math.max(0, ...ranges.map(([from, to]) => to - from));
  return most <= view.width * 2
    ? { data: exact(lines, ranges), isByPixel: false }
    : { data: byPixel(lines, ranges, view), isByPixel: true };
}

/** The points in view and one more on each side, so that lines continue to the edges. */
function visible(x: Column, { from, to }: View): [number, number] {
  const first = Math.max(0, lowerBound(x, from) - 1);
  let last = lowerBound(x, to);
  while (last < x.length && x.at(last) <= to) last += 1;
  return [first, Math.min(x.length, last + 1)];
}

function exact(lines: Line[], ranges: [number, number][]): Aligned {
  const steps = new Set<number>();
  lines.forEach(({ x }, index) => {
    const [from, to] = ranges[index] ?? [0, 0];
    for (let at = from; at < to; at++) steps.add(x.at(at));
  });
  const xs = [...steps].sort((a, b) => a - b);
  const places = new Map(xs.map((x, place) => [x, place]));
  const ys = lines.map(({ x, y }, index) => {
    const out = new Array<number | null | undefined>(xs.length).fill(undefined);
    const [from, to] = ranges[index] ?? [0, 0];
    for (let at = from; at < to; at++) {
      const value = y.at(at);
      if (value === ABSENT) continue;
      const place = places.get(x.at(at));
      if (place !== undefined) out[place] = Number.isNaN(value) ? null : value;
    }
    return out;
  });
  return [xs, ...ys];
}

function byPixel(lines: Line[], ranges: [number, number][], view: View): Aligned {
  const pixels = Math.max(1, Math.floor(view.width));
  const span = (view.to - view.from) / pixels;
  const xs: number[] = [];
  for (let pixel = 0; pixel < pixels; pixel++) {
    xs.push(view.from + pixel * span, view.from + (pixel + 0.5) * span);
  }
  const ys = lines.map(({ x, y }, index) => {
    const out = new Array<number | null | undefined>(xs.length).fill(undefined);
    let [at] = ranges[index] ?? [0];
    const found = { least: 0, most: 0 };
    let last: number | undefined;
    for (let pixel = 0; pixel < pixels; pixel++) {
      const end = pixel === pixels - 1 ? view.to : view.from + (pixel + 1) * span;
      const to = boundFrom(x, at, end);
      if (to === at) continue;
      if (y.extremes(at, to, found)) {
        // In the order that's closer to the previous value.
        const up =
          last === undefined || Math.abs(found.least - last) <= Math.abs(found.most - last);
        out[pixel * 2] = up ? found.least : found.most;
        out[pixel * 2 + 1] = up ? found.most : found.least;
        last = out[pixel * 2 + 1] ?? undefined;
      } else if (Number.isNaN(y.at(at))) {
        out[pixel * 2] = null;
      }
      at = to;
    }
    return out;
  });
  return [xs, ...ys];
}

/** Like `lowerBound`, but starts at an index that's known to be below, because steps are mostly evenly spaced. */
function boundFrom(x: Column, start: number, wanted: number): number {
  let size = 1;
  let low = start;
  while (low + size < x.length && x.at(low + size) < wanted) size *= 2;
  let high = Math.min(x.length, low + size);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (x.at(middle) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of the line's point that is nearest to a step, or -1. */
export function nearest({ x, y }: Line, step: number): number {
  let above = lowerBound(x, step);
  let below = above - 1;
  while (above < x.length && y.at(above) === ABSENT) above += 1;
  while (below >= 0 && y.at(below) === ABSENT) below -= 1;
  if (above >= x.length) return below;
  if (below < 0) return above;
  return x.at(above) - step < step - x.at(below) ? above : below;
}
