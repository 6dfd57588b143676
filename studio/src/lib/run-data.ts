import { ABSENT, Column } from "./column.ts";
import { formatLoss, formatRate } from "./format.ts";
import { isRecord, numberOf } from "./json.ts";

export interface Artifact {
  name?: string;
  path?: string;
  size?: number;
  sha256?: string;
  url?: string;
  [field: string]: unknown;
}

export interface Checkpoint {
  step: number;
  artifacts: Artifact[];
}

/** An event that isn't a log. */
export interface OtherEvent {
  type: string;
  time: string;
  data: Record<string, unknown>;
}

export interface Row {
  type: string;
  time: number;
  text: string;
}

/** How many events besides log lines are kept, so that an endless stream can't fill the memory. */
const MOST_OTHERS = 20_000;

/** The data of a job's events so far, in columns, so that a million log lines fit. */
export class RunData {
  readonly step = new Column();
  readonly loss = new Column();
  readonly evalLoss = new Column();
  readonly learningRate = new Column();
  readonly samplesPerSecond = new Column();
  readonly epoch = new Column();
  readonly time = new Column();
  /** For each event, in order: the index of its log line, or `-1 - index` for one of the others. */
  readonly order = new Column();
  readonly others: OtherEvent[] = [];
  readonly checkpoints: Checkpoint[] = [];
  metadata: Record<string, unknown> | undefined;
  metrics: Record<string, unknown> | undefined;
  artifacts: Artifact[] = [];
  failure: { error: string; step?: number } | undefined;
  end: "completed" | "failed" | undefined;
  /** How many events were dropped, see {@link MOST_OTHERS}. */
  dropped = 0;

  get length(): number {
    return this.order.length;
  }

  add(data: unknown): void {
    if (!isRecord(data) || typeof data.type !== "string") return;
    if (data.type === "training.log") {
      this.#addLog(data);
      return;
    }
    this.#note(data.type, data);
    if (this.others.length >= MOST_OTHERS) {
      this.dropped += 1;
      return;
    }
    const time = typeof data.timestamp === "string" ? data.timestamp : "";
    this.order.push(-1 - this.others.length);
    this.others.push({ type: data.type, time, data });
  }

  #addLog(data: Record<string, unknown>): void {
    const last = this.step.length - 1;
    const step = numberOf(data.step) ?? (last < 0 ? 0 : this.step.at(last) + 1);
    // A resumed run repeats some steps, but lines need steps that never decrease. Earlier values of a
    // repeated step stay where they are, and the new ones are added after them.
    const x =
      last >= 0
        ? Math.max(this.step.at(last), Number.isNaN(step) ? 0 : step)
        : Number.isNaN(step)
          ? 0
          : step;
    this.order.push(this.step.length);
    this.step.push(x);
    this.loss.push(numberOf(data.loss) ?? ABSENT);
    this.evalLoss.push(numberOf(data.evalLoss) ?? ABSENT);
    this.learningRate.push(numberOf(data.learningRate) ?? ABSENT);
    this.samplesPerSecond.push(numberOf(data.samplesPerSecond) ?? ABSENT);
    this.epoch.push(numberOf(data.epoch) ?? ABSENT);
    this.time.push(Date.parse(String(data.timestamp ?? "")) || 0);
  }

  #note(type: string, data: Record<string, unknown>): void {
    const artifacts = Array.isArray(data.artifacts) ? data.artifacts.filter(isRecord) : [];
    const step = numberOf(data.step);
    switch (type) {
      case "training.started":
        if (isRecord(data.metadata)) this.metadata = data.metadata;
        break;
      case "checkpoint.saved":
        if (step !== undefined) this.checkpoints.push({ step, artifacts });
        break;
      case "training.completed":
        this.end = "completed";
        if (isRecord(data.metrics)) this.metrics = data.metrics;
        this.artifacts = artifacts;
        break;
      case "training.failed":
        this.end = "failed";
        this.failure = { error: String(data.error ?? "no reason given"), step };
        break;
    }
  }

  /** The last value of a column that isn't missing. */
  last(column: Column): number | undefined {
    for (let at = column.length - 1; at >= 0; at--) {
      if (column.at(at) !== ABSENT) return column.at(at);
    }
    return undefined;
  }

  /** The smallest value of a column, with its step. */
  best(column: Column): { step: number; value: number } | undefined {
    const found = { least: 0, most: 0 };
    if (!column.extremes(0, column.length, found)) return undefined;
    for (let at = 0; at < column.length; at++) {
      if (column.at(at) === found.least) return { step: this.step.at(at), value: found.least };
    }
    return undefined;
  }

  /** An event as a line of text. */
  row(index: number): Row {
    const at = this.order.at(index);
    if (at < 0) {
      const other = this.others[-1 - at];
      const { type = "", time = "", data = {} } = other ?? {};
      return { type, time: Date.parse(time) || 0, text: textOf(data) };
    }
    const parts = [`step ${this.step.at(at)}`];
    const shown: [string, Column, (value: number) => string][] = [
      ["loss", this.loss, formatLoss],
      ["eval", this.evalLoss, formatLoss],
      ["lr", this.learningRate, formatRate],
      ["epoch", this.epoch, (value) => value.toFixed(2)],
      ["samples/s", this.samplesPerSecond, (value) => value.toFixed(1)],
    ];
    for (const [name, column, format] of shown) {
      const value = column.at(at);
      if (value !== ABSENT) parts.push(`${name} ${format(value)}`);
    }
    return { type: "training.log", time: this.time.at(at), text: parts.join("  ") };
  }
}

/** An event's fields, without its type, job and time. */
function textOf({ type: _, jobId: __, timestamp: ___, ...rest }: Record<string, unknown>): string {
  const { step, error, artifacts, ...more } = rest;
  const parts: string[] = [];
  if (step !== undefined && step !== null) parts.push(`step ${String(step)}`);
  if (error !== undefined) parts.push(String(error));
  if (Array.isArray(artifacts)) {
    parts.push(`${artifacts.length} ${artifacts.length === 1 ? "artifact" : "artifacts"}`);
  }
  for (const [name, value] of Object.entries(more)) {
    parts.push(`${name} ${typeof value === "string" ? value : JSON.stringify(value)}`);
  }
  return parts.join("  ");
}

/** The remaining time in ms, from the pace of the last steps; `undefined` if it's unknown. */
export function timeLeft(
  data: RunData,
  maxSteps: number | undefined,
  now: number,
): number | undefined {
  const { length } = data.step;
  if (maxSteps === undefined || length < 2) return undefined;
  const back = Math.max(0, length - 50);
  const steps = data.step.at(length - 1) - data.step.at(back);
  const took = data.time.at(length - 1) - data.time.at(back);
  if (steps <= 0 || took <= 0) return undefined;
  const left = maxSteps - data.step.at(length - 1);
  const since = Math.max(0, now - data.time.at(length - 1));
  return Math.max(0, (left * took) / steps - Math.min(since, took / steps));
}

/** The total number of steps, if the start event or the config contains it. */
export function totalSteps(data: RunData, config: Record<string, unknown>): number | undefined {
  for (const source of [data.metadata ?? {}, config]) {
    for (const name of ["totalSteps", "maxSteps", "steps"]) {
      const value = source[name];
      if (typeof value === "number" && value > 0) return value;
    }
  }
  return undefined;
}
