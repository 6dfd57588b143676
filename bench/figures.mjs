// Formats the measured numbers for printing.

/** @param {number[]} numbers */
export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Formats the median, the minimum and the maximum. @param {number[]} numbers */
export function spread(numbers) {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  return `${median(numbers).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

/** The figures of a run: their titles and units. */
export const FIGURES = {
  throughput: ["throughput", "/s"],
  p50Us: ["delay, p50", "µs"],
  p99Us: ["delay, p99", "µs"],
  busyMs: ["main thread", "ms"],
  cpuMs: ["CPU time", "ms"],
  rssMb: ["peak RSS", "MiB"],
};

/**
 * The lines of one workload.
 * @param {{ reach: Record<string, string> }} workload
 * @param {{ arkor: Record<string, number>, plain: Record<string, number> }[]} runs
 */
export function table({ reach }, runs) {
  const lines = [`${" ".repeat(18)}  plain Node       arkor   arkor / plain: median (min–max)`];
  for (const [figure, [title, unit]] of Object.entries(FIGURES)) {
    if (runs[0].arkor[figure] === undefined) continue;
    const cell = (side) => {
      const value = median(runs.map((run) => run[side][figure]));
      return `${value.toFixed(0)} ${unit}`.padStart(12);
    };
    const ratio = spread(runs.map(({ arkor, plain }) => arkor[figure] / plain[figure]));
    const goal = reach[figure] ? `   reach ${reach[figure]}` : "";
    lines.push(`  ${title.padEnd(14)}${cell("plain")}${cell("arkor")}   ${ratio}${goal}`);
  }
  return lines.join("\n");
}
