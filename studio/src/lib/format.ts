const NONE = "–";

/** A loss, with four significant digits. */
export function formatLoss(value: number | null | undefined): string {
  if (value === null || value === undefined || value === Number.NEGATIVE_INFINITY) return NONE;
  if (Number.isNaN(value)) return "NaN";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 100_000)) return value.toExponential(2);
  return size >= 100 ? value.toFixed(1) : value.toFixed(4);
}

/** A learning rate: `2e-4` rather than 0.0002. */
export function formatRate(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return formatLoss(value);
  if (value === 0) return "0";
  return value
    .toExponential(2)
    .replace(/\.?0+e/, "e")
    .replace("e+0", "");
}

export function formatNumber(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined || value === Number.NEGATIVE_INFINITY) return NONE;
  if (Number.isNaN(value)) return "NaN";
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

export function formatCount(value: number, name: string): string {
  return `${formatNumber(value)} ${name}${value === 1 ? "" : "s"}`;
}

export function formatDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms) || ms < 0) return NONE;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return `${Math.round(ms)} ms`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** The time since a timestamp, in text that doesn't change every second. */
export function formatAgo(timestamp: string | null | undefined, now: number): string {
  const then = Date.parse(timestamp ?? "");
  if (Number.isNaN(then)) return NONE;
  const seconds = Math.max(0, Math.floor((now - then) / 1000));
  if (seconds < 60) return "just now";
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.floor(hours / 24);
  return days < 14 ? `${days} d ago` : new Date(then).toISOString().slice(0, 10);
}

/** A date and a time, in the reader's time zone. */
export function formatWhen(timestamp: string): string {
  const then = new Date(timestamp);
  if (Number.isNaN(then.getTime())) return NONE;
  const day = [then.getFullYear(), pad(then.getMonth() + 1), pad(then.getDate())].join("-");
  return `${day} ${pad(then.getHours())}:${pad(then.getMinutes())}`;
}

/** The duration of a run, so far or in total. */
export function durationOf(
  job: { status: string; startedAt?: string | null; completedAt?: string | null },
  now: number,
): number | null {
  const from = Date.parse(job.startedAt ?? "");
  const to = job.completedAt ? Date.parse(job.completedAt) : job.status === "running" ? now : NaN;
  return Number.isFinite(to - from) ? Math.max(0, to - from) : null;
}

/** A value of a config as one line. */
export function formatValue(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined ? NONE : (JSON.stringify(value) ?? String(value));
}
