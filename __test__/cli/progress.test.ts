// What is seen of a run while it goes on: the live block of a terminal, the plain lines of a log.
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { formatDuration } from "../../cli/format.js";
import { LiveBlock } from "../../cli/live-block.js";
import { Progress, sparkline } from "../../cli/progress.js";
import { Reporter } from "../../cli/reporter.js";
import { asStream, Screen } from "../support/screen.ts";

const NO_PAINT = (_: unknown, text: string) => text;
const log = (step: number, fields: Record<string, number | null> = {}) => ({
  step,
  loss: null,
  evalLoss: null,
  learningRate: null,
  epoch: null,
  samplesPerSecond: null,
  ...fields,
});

const shown = (progress: Progress, columns: number) =>
  progress.block(columns, NO_PAINT).map(({ text }) => text);

describe("the text", () => {
  it("names what is known, in a fixed order, with the time left at the pace so far", () => {
    const progress = new Progress();
    progress.started({}, { totalSteps: 150 });
    const metrics = { loss: 1.2341, evalLoss: 1.4, learningRate: 0.002, samplesPerSecond: 41.2 };
    progress.logged(log(1), 1000);
    progress.logged(log(20, metrics), 3000);
    expect(progress.plain()).toBe(
      "step 20/150  loss 1.234  eval 1.400  lr 2.0e-3  41 samples/s  eta 14s",
    );
  });

  it("takes the number of steps from the job's config when the backend names none", () => {
    const progress = new Progress();
    progress.started({ job: { config: { maxSteps: 30 } } }, undefined);
    progress.logged(log(3), 0);
    expect(progress.plain()).toBe("step 3/30");
  });

  it("keeps the last value of a metric that a step does not have", () => {
    const progress = new Progress();
    progress.logged(log(1, { loss: 2, evalLoss: 2.5 }), 0);
    progress.logged(log(2, { loss: 1 }), 10);
    expect(progress.plain()).toBe("step 2  loss 1.000  eval 2.500");
  });

  it("shows a learning rate of 0 as 0", () => {
    const progress = new Progress();
    progress.logged(log(1, { learningRate: 0 }), 0);
    expect(progress.plain()).toBe("step 1  lr 0");
  });

  it("has the time left of a run that was attached to from its live steps, not from the replayed ones", () => {
    const progress = new Progress({ replayed: true });
    progress.started({}, { totalSteps: 100 });
    for (let step = 1; step <= 50; step += 1) progress.logged(log(step), step);
    expect(progress.plain()).toBe("step 50/100");
    progress.logged(log(51), 1000);
    progress.logged(log(52), 2000);
    expect(progress.plain()).toBe("step 52/100  eta 48s");
  });

  it("shows a loss that has diverged as it is", () => {
    const progress = new Progress();
    progress.logged(log(1, { loss: 1 }), 0);
    progress.logged(log(2, { loss: Number.NaN }), 10);
    expect(progress.plain()).toBe("step 2  loss NaN");
    expect(shown(progress, 80)).toEqual(["2", "loss NaN  ▁"]);
  });

  it("draws a bar, the losses and the numbers", () => {
    const progress = new Progress();
    progress.started({}, { totalSteps: 8 });
    for (const [index, loss] of [8, 6, 4, 1].entries()) {
      const metrics = { loss, evalLoss: 2, learningRate: 0.002, samplesPerSecond: 9.5 };
      progress.logged(log(index + 1, metrics), (index + 1) * 1000);
    }
    progress.reconnects = 2;
    expect(shown(progress, 100)).toEqual([
      "██████████░░░░░░░░░░  4/8  eta 4s",
      "loss 1.000  █▆▄▁  eval 2.000  lr 2.0e-3  9.5 samples/s  2 reconnects",
    ]);
    expect(shown(progress, 40)).toEqual([
      "██████████░░░░░░░░░░  4/8  eta 4s",
      "loss 1.000  █▆▄▁  eval 2.000  lr 2.0e-3",
      "9.5 samples/s  2 reconnects",
    ]);
    expect(shown(progress, 24)).toEqual([
      "█████░░░░░  4/8  eta 4s",
      "loss 1.000  █▆▄▁",
      "eval 2.000  lr 2.0e-3",
      "9.5 samples/s",
      "2 reconnects",
    ]);
  });

  it.each([3, 10, 25, 40, 60])("never fills a terminal of %i columns", (columns) => {
    const progress = new Progress();
    progress.started({}, { totalSteps: 1000 });
    for (let step = 1; step <= 40; step += 1) {
      progress.logged(log(step, { loss: 1 / step, evalLoss: 1, samplesPerSecond: 5 }), step);
    }
    const lines = progress.block(columns, (_, text) => `\u001b[1m${text}\u001b[0m`);
    for (const { text, width } of lines) {
      expect(width).toBeLessThan(columns);
      expect(stripVTControlCharacters(text)).toHaveLength(width);
    }
  });

  it.each([
    [400, "0s"],
    [59_400, "59s"],
    [61_000, "1m01s"],
    [3_720_000, "1h02m"],
  ])("writes %i ms as %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it("draws a flat line for losses that do not change", () => {
    expect(sparkline([2, 2, 2], 16)).toBe("▁▁▁");
    expect(sparkline([], 16)).toBe("");
  });
});

describe("the live block", () => {
  beforeEach(
    () => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }),
  );
  afterEach(() => void vi.useRealTimers());

  const BLOCK = ["first line", "second line"];

  function liveOn(streams: Screen[], lines: string[] = BLOCK) {
    const [terminal] = streams;
    if (!terminal) throw new Error("no terminal");
    const live = new LiveBlock({
      terminal: asStream(terminal),
      streams: streams.map(asStream),
      render: () => lines.map((text) => ({ text, width: text.length })),
    });
    live.update();
    vi.advanceTimersByTime(100);
    return live;
  }

  it("stands below what is printed, whoever prints it", () => {
    const screen = new Screen();
    liveOn([screen]);
    screen.write("one\n");
    expect(screen.lines).toEqual(["one", ""]);
    vi.advanceTimersByTime(100);
    screen.write("two\n");
    vi.advanceTimersByTime(100);
    expect(screen.lines).toEqual(["one", "two", ...BLOCK, ""]);
  });

  it("waits for the end of a line that is printed in parts", () => {
    const screen = new Screen();
    liveOn([screen]);
    screen.write("half ");
    vi.advanceTimersByTime(500);
    expect(screen.lines).toEqual(["half "]);
    screen.write(Buffer.from("a line\n"));
    vi.advanceTimersByTime(100);
    expect(screen.lines).toEqual(["half a line", ...BLOCK, ""]);
  });

  it("makes way for a warning of Node's, which is written past the streams", () => {
    const screen = new Screen();
    const live = liveOn([screen]);
    // The first listener; the one that prints the warning comes after it.
    const [makeWay] = process.listeners("warning");
    makeWay?.(new Error("a warning"));
    expect(screen.lines).toEqual([""]);
    vi.advanceTimersByTime(100);
    expect(screen.lines).toEqual([...BLOCK, ""]);
    live.close();
  });

  it("is as high as the window at most, the cursor's row left out", () => {
    const screen = new Screen({ rows: 2 });
    liveOn([screen]);
    expect(screen.lines).toEqual(["first line", ""]);
  });

  it("is redrawn at most ten times a second", () => {
    const screen = new Screen();
    const live = liveOn([screen]);
    screen.raw = "";
    for (let ms = 0; ms < 2000; ms += 1) {
      live.update();
      vi.advanceTimersByTime(1);
    }
    // 20, and one more because both ends of the two seconds may have one.
    expect(screen.raw.split("first line").length - 1).toBeLessThanOrEqual(21);
  });

  it("is gone at the end, and the streams are as they were", () => {
    const screen = new Screen();
    const live = liveOn([screen]);
    live.close();
    screen.write("after\n");
    vi.advanceTimersByTime(500);
    expect(screen.lines).toEqual(["after", ""]);
    expect(Object.hasOwn(screen, "write")).toBe(false);
    expect(screen.listenerCount("resize")).toBe(0);
  });

  it("hands on what write gets and gives", () => {
    const screen = new Screen();
    liveOn([screen]);
    let isWritten = false;
    const flushed = screen.write("x\n", "utf8", () => {
      isWritten = true;
    });
    vi.advanceTimersByTime(100);
    expect(flushed).toBe(true);
    return vi.waitFor(() => expect(isWritten).toBe(true));
  });
});

describe("the reporter", () => {
  const started = { job: { id: "job-1" } };

  function reportTo(stdout: Screen, stderr: Screen, now = () => 0) {
    const reporter = new Reporter({
      stdout: asStream(stdout),
      stderr: asStream(stderr),
      env: {},
      now,
    });
    const { onEvent, onReconnect } = reporter.observer();
    if (!onEvent || !onReconnect) throw new Error("the reporter observes nothing");
    return { reporter, onEvent, onReconnect };
  }

  function logFile(): Screen {
    return Object.assign(new Screen(), { isTTY: false });
  }

  it("writes plain lines to a log: at most one a second, and each evaluation", () => {
    const stderr = logFile();
    let ms = 0;
    const { onEvent } = reportTo(logFile(), stderr, () => ms);
    onEvent("onStarted", started, { totalSteps: 30 });
    for (let step = 1; step <= 30; step += 1) {
      ms += 100;
      onEvent("onLog", log(step, { loss: 1, evalLoss: step === 15 ? 1.5 : null }));
    }
    onEvent("onCheckpoint", { step: 30 });
    onEvent("onCompleted", {});
    expect(stderr.lines.map((line) => line.replace(/ {2}eta .*/, ""))).toEqual([
      "Training",
      "  device  this machine",
      "  steps   30",
      "step 1/30  loss 1.000",
      "step 11/30  loss 1.000",
      "step 15/30  loss 1.000  eval 1.500",
      "step 25/30  loss 1.000  eval 1.500",
      "checkpoint at step 30",
      "step 30/30  loss 1.000  eval 1.500",
      "",
    ]);
    expect(stderr.raw).not.toContain("\u001b");
  });

  it("says that it reconnects, after which failure, and when", () => {
    const stderr = logFile();
    const { onReconnect } = reportTo(logFile(), stderr);
    const error = new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED") });
    onReconnect({ attempt: 0, delayMs: 1034, error });
    expect(stderr.lines[0]).toBe(
      "reconnecting in 1.0 s (attempt 1): fetch failed (connect ECONNREFUSED)",
    );
    onReconnect({ attempt: 0, delayMs: 1000, error: undefined });
    expect(stderr.lines[1]).toBe("reconnecting in 1.0 s: the stream ended");
  });

  it("colours the live block only where the terminal has colours", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const [plain, coloured] = [new Screen(), new Screen({ colours: true })];
    for (const screen of [plain, coloured]) {
      const { onEvent, reporter } = reportTo(screen, screen);
      onEvent("onStarted", started, { totalSteps: 30 });
      vi.advanceTimersByTime(100);
      reporter.close();
    }
    vi.useRealTimers();
    expect(plain.raw).not.toContain("\u001b[36m");
    expect(coloured.raw).toContain("\u001b[36m");
  });
});
