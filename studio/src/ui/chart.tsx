import { useEffect, useLayoutEffect, useRef, useState } from "react";
import uPlot from "uplot";
import { decimate, type Line, nearest } from "../lib/decimate.ts";
import { drawDense, setByPixel, sparsePaths } from "./dense-lines.ts";
import { useThemeVersion } from "./theme.tsx";

export interface ChartLine extends Line {
  label: string;
  /** A custom property of the style sheet, such as `--line-1`. */
  color: string;
  /** Drawn faintly behind the others, and without a name in the legend. */
  isFaint?: boolean;
  hasPoints?: boolean;
  isDashed?: boolean;
}

export interface Zoom {
  from: number;
  to: number;
}

export interface ChartProps {
  title: string;
  lines: ChartLine[];
  /** Changes whenever the lines get new points. */
  version: unknown;
  format: (value: number) => string;
  isLog?: boolean;
  zoom: Zoom | undefined;
  onZoom: (zoom: Zoom | undefined) => void;
  /** The steps to mark: checkpoints. */
  marks?: number[];
  height: number;
}

const SYNC = uPlot.sync("run");

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const theme = useThemeVersion();
  const [hover, setHover] = useState<number>();
  const shape = props.lines.map((line) => `${line.label}${line.color}${line.isFaint}`).join("|");

  // biome-ignore lint/correctness/useExhaustiveDependencies: a chart is created again when its lines, axis or colours change; `refresh` adds points
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const options = optionsFor(latest, element, setHover);
    const chart = new uPlot(options, [[]] as unknown as uPlot.AlignedData, element);
    plot.current = chart;
    refresh(chart, latest.current);
    const observer = new ResizeObserver(() => {
      const width = Math.floor(element.clientWidth);
      if (width === chart.width) return;
      chart.setSize({ width, height: latest.current.height });
      refresh(chart, latest.current);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [shape, props.isLog, theme]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the version changes with the points
  useEffect(() => {
    if (plot.current) refresh(plot.current, latest.current);
  }, [props.version, props.zoom, props.marks?.length]);

  return (
    <figure className="chart">
      <figcaption>
        <span className="chart-title">{props.title}</span>
        <Legend lines={props.lines} at={hover} format={props.format} />
      </figcaption>
      <div className="chart-plot">
        {hover !== undefined && <span className="chart-step">step {Math.round(hover)}</span>}
        <div
          ref={box}
          className="chart-box"
          style={{ height: props.height }}
          role="application"
          aria-label={`${props.title}: arrows read values, plus and minus zoom, Escape shows all`}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the chart can be read and zoomed by keyboard
          tabIndex={0}
          onKeyDown={(event) => plot.current && onKey(event, plot.current, props)}
        />
      </div>
    </figure>
  );
}

/** The names of the lines, with their last values or, while the pointer is over the chart, the values there. */
function Legend(props: {
  lines: ChartLine[];
  at: number | undefined;
  format: (value: number) => string;
}) {
  const named = props.lines.filter(({ isFaint }) => !isFaint);
  return (
    <span className="legend">
      {named.map((line) => {
        const index = nearest(line, props.at ?? Number.POSITIVE_INFINITY);
        return (
          <span className="legend-item" key={line.label + line.color}>
            <svg className="legend-key" viewBox="0 0 12 4" aria-hidden="true">
              <line
                x1="0"
                y1="2"
                x2="12"
                y2="2"
                stroke={`var(${line.color})`}
                strokeWidth="2.5"
                strokeDasharray={line.isDashed ? "3 2" : undefined}
              />
            </svg>
            <span className="legend-label">{line.label}</span>
            <span className="legend-value">{index < 0 ? "–" : props.format(line.y.at(index))}</span>
          </span>
        );
      })}
    </span>
  );
}

/** The steps in view: the zoomed range, or else all. */
function viewOf({ lines, zoom }: ChartProps): Zoom {
  if (zoom) return zoom;
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const { x } of lines) {
    if (x.length === 0) continue;
    from = Math.min(from, x.at(0));
    to = Math.max(to, x.at(x.length - 1));
  }
  if (from > to) return { from: 0, to: 1 };
  return from === to ? { from: from - 0.5, to: to + 0.5 } : { from, to };
}

function refresh(chart: uPlot, props: ChartProps): void {
  const view = viewOf(props);
  const width = Math.max(50, chart.bbox.width / devicePixelRatio || chart.width - 60);
  const { data, isByPixel } = decimate(props.lines, { ...view, width });
  setByPixel(chart, isByPixel);
  chart.batch(() => {
    chart.setData(data as uPlot.AlignedData, false);
    chart.setScale("x", { min: view.from, max: view.to });
  });
}

function optionsFor(
  latest: { current: ChartProps },
  element: HTMLElement,
  onHover: (step: number | undefined) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const color = resolver(element);
  const { isLog = false, lines, height, format } = latest.current;
  const axis = {
    stroke: color("--muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color("--grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: Math.max(100, Math.floor(element.clientWidth)),
    height,
    legend: { show: false },
    padding: [8, 20, 0, 0],
    cursor: {
      sync: { key: SYNC.key, setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
      y: false,
    },
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    scales: {
      x: { time: false, auto: false },
      y: { distr: isLog ? 3 : 1, range: isLog ? logRange : linearRange },
    },
    axes: [
      {
        ...axis,
        size: 22,
        gap: 4,
        values: (_, splits) => splits.map(stepLabel),
      },
      {
        ...axis,
        size: 58,
        values: (_, splits) => splits.map((value) => (value === null ? "" : short(value, format))),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        stroke: line.isFaint ? faint(color(line.color)) : color(line.color),
        width: line.isFaint ? 1 : 1.75,
        paths: sparsePaths,
        dash: line.isDashed ? [5, 4] : undefined,
        points: { show: line.hasPoints === true, size: 5 },
      })),
    ],
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width } = chart.select;
          if (width < 4) return;
          const from = chart.posToVal(left, "x");
          const to = chart.posToVal(left + width, "x");
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (to > from) latest.current.onZoom({ from, to });
        },
      ],
      setCursor: [
        (chart) => {
          const { left } = chart.cursor;
          onHover(
            left === undefined || left === null || left < 0 ? undefined : chart.posToVal(left, "x"),
          );
        },
      ],
      drawClear: [(chart) => drawMarks(chart, latest.current, color("--mark"))],
      drawSeries: [drawDense],
      draw: [(chart) => drawBroken(chart, latest.current, color("--bad"))],
      ready: [
        (chart) => {
          chart.over.addEventListener("dblclick", () => latest.current.onZoom(undefined));
          chart.over.addEventListener("wheel", (event) => onWheel(event, chart, latest.current), {
            passive: false,
          });
        },
      ],
    },
  };
}

/** Resolves custom properties to colours for a canvas: `rgb(…)`, in the current theme. */
function resolver(element: HTMLElement): (name: string) => string {
  const probe = element.ownerDocument.createElement("span");
  return (name) => {
    element.append(probe);
    probe.style.color = `var(${name})`;
    const resolved = getComputedStyle(probe).color;
    probe.remove();
    return resolved;
  };
}

function faint(color: string): string {
  return color.replace("rgb(", "rgba(").replace(")", ", 0.3)");
}

/** Zooms only with a modifier key, so that the page still scrolls over a chart. */
function onWheel(event: WheelEvent, chart: uPlot, props: ChartProps): void {
  if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
  event.preventDefault();
  const left = event.clientX - chart.over.getBoundingClientRect().left;
  zoomAt(chart, props, left, Math.exp(Math.sign(event.deltaY || event.deltaX) * 0.2));
}

/** The arrow keys move the cursor; plus and minus zoom around it. */
function onKey(event: React.KeyboardEvent, chart: uPlot, props: ChartProps): void {
  const { width, height } = chart.over.getBoundingClientRect();
  const { left = -1 } = chart.cursor;
  const at = left < 0 ? width / 2 : left;
  const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (move !== undefined) {
    const next = Math.min(width - 1, Math.max(0, at + (move * width) / 60));
    chart.setCursor({ left: next, top: height / 2 });
  } else if (event.key === "+" || event.key === "=") zoomAt(chart, props, at, 0.6);
  else if (event.key === "-") zoomAt(chart, props, at, 1 / 0.6);
  else if (event.key === "Escape") props.onZoom(undefined);
  else return;
  event.preventDefault();
}

/** Multiplies the number of steps in view by `factor`, around a position of the chart. */
function zoomAt(chart: uPlot, props: ChartProps, left: number, factor: number): void {
  const all = viewOf({ ...props, zoom: undefined });
  const { from, to } = viewOf(props);
  const at = chart.posToVal(left, "x");
  const next = {
    from: Math.max(all.from, at - (at - from) * factor),
    to: Math.min(all.to, at + (to - at) * factor),
  };
  if (next.to - next.from < 2) return;
  props.onZoom(next.from <= all.from && next.to >= all.to ? undefined : next);
}

function linearRange(_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  if (min === max)
    return min === 0 ? [0, 1] : [min - Math.abs(min) * 0.1, max + Math.abs(max) * 0.1];
  const room = (max - min) * 0.06;
  // A loss that's never negative is drawn from 0 if it comes close to 0.
  return [min >= 0 && min < (max - min) * 0.25 ? 0 : min - room, max + room];
}

function logRange(_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null || max <= 0) return [0.1, 1];
  const least = min > 0 ? min : max / 1e4;
  return [10 ** Math.floor(Math.log10(least)), 10 ** Math.ceil(Math.log10(max * 1.0001))];
}

/** A step is a whole number. From a hundred thousand on it's written like `100K`. */
function stepLabel(step: number): string {
  if (!Number.isInteger(step)) return "";
  return step.toLocaleString("en-US", { notation: step >= 100_000 ? "compact" : "standard" });
}

/** Formats a value with few digits, because an axis has little space. */
function short(value: number, format: (value: number) => string): string {
  const size = Math.abs(value);
  if (size >= 1000) return value.toLocaleString("en-US", { notation: "compact" });
  if (size >= 0.01 || size === 0) return Number(value.toPrecision(3)).toString();
  return format(value);
}

function drawMarks(chart: uPlot, { marks = [] }: ChartProps, color: string): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  for (const step of marks) {
    const x = Math.round(chart.valToPos(step, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
  }
  ctx.stroke();
  ctx.restore();
}

/**
 * Draws a cross at the upper edge for each value that isn't a number, because the line itself only shows a
 * gap.
 */
function drawBroken(chart: uPlot, { lines }: ChartProps, color: string): void {
  const { ctx, bbox } = chart;
  const size = 3.5 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.beginPath();
  let last = Number.NEGATIVE_INFINITY;
  for (const { x, y, isFaint } of lines) {
    if (isFaint) continue;
    for (const index of y.broken) {
      const left = chart.valToPos(x.at(index), "x", true);
      if (left < bbox.left || left > bbox.left + bbox.width || Math.abs(left - last) < 2 * size)
        continue;
      last = left;
      const top = bbox.top + size + devicePixelRatio;
      ctx.moveTo(left - size, top - size);
      ctx.lineTo(left + size, top + size);
      ctx.moveTo(left + size, top - size);
      ctx.lineTo(left - size, top + size);
    }
  }
  ctx.stroke();
  ctx.restore();
}
