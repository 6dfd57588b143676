// What is seen of a run before its first step, and when it goes on after a checkpoint.
import { describe, expect, it } from "vitest";
import { Progress } from "../../cli/progress.js";
import { Reporter } from "../../cli/reporter.js";
import { asStream, Screen } from "../support/screen.ts";

const NO_PAINT = (_: unknown, text: string) => text;
const shown = (progress: Progress, columns: number) =>
  progress.block(columns, NO_PAINT).map(({ text }) => text);

const step = (step: number) => ({ step });

/** A `training.progress` event. */
const downloading = (done: number, fields: Record<string, unknown> = {}) => ({
  type: "training.progress",
  phase: "downloading",
  name: "acme/small",
  done,
  total: 3.4e9,
  unit: "bytes",
  ...fields,
});

describe("what a run prepares", () => {
  /** The line after the events, one a second. */
  function lineAfter(...events: ReturnType<typeof downloading>[]) {
    const progress = new Progress();
    for (const [index, event] of events.entries()) progress.prepares(event, index * 1000);
    return progress.preparation();
  }

  it.each([
    [
      "with the time left at the pace so far",
      [downloading(1.188e9), downloading(1.2e9)],
      "downloading acme/small  1.2 of 3.4 GB  35 %  12 MB/s  3m03s left",
    ],
    ["without a pace at first", [downloading(0)], "downloading acme/small  0.0 of 3.4 GB  0 %"],
    [
      "in megabytes",
      [downloading(4e6, { total: 2.5e8 }), downloading(7.5e6, { total: 2.5e8 })],
      "downloading acme/small  7.5 of 250 MB  3 %  3.5 MB/s  1m09s left",
    ],
    [
      "of a size that isn't known",
      [downloading(0, { total: 0 }), downloading(1.2e9, { total: 0 })],
      "downloading acme/small  1.2 GB  1.2 GB/s",
    ],
    ["of more than it was said to be", [downloading(4e9)], "downloading acme/small  4.0 GB"],
    [
      "that is done",
      [downloading(3.3e9), downloading(3.4e9)],
      "downloading acme/small  3.4 of 3.4 GB  100 %  100 MB/s  0s left",
    ],
    [
      "by rows, without a name",
      [0, 400].map((done) =>
        downloading(done, { phase: "encoding", name: undefined, total: 5000, unit: "rows" }),
      ),
      "encoding  400 of 5000 rows  8 %  400 rows/s  12s left",
    ],
    [
      "by tensors",
      [downloading(12, { phase: "loading", total: 290, unit: "tensors" })],
      "loading acme/small  12 of 290 tensors  4 %",
    ],
    [
      "at the pace of the piece at hand",
      [
        downloading(1e9),
        downloading(2e9),
        downloading(1e8, { name: "b" }),
        downloading(2e8, { name: "b" }),
      ],
      "downloading b  0.2 of 3.4 GB  5 %  100 MB/s  32s left",
    ],
    [
      "at the pace since it has begun anew",
      [downloading(2e9), downloading(1e9), downloading(1.1e9)],
      "downloading acme/small  1.1 of 3.4 GB  32 %  100 MB/s  23s left",
    ],
    [
      "with a name that is made safe and cut off",
      [downloading(0, { name: `a\u001b[31m\n${"x".repeat(80)}` })],
      `downloading a\ufffd[31m ${"x".repeat(52)}…  0.0 of 3.4 GB  0 %`,
    ],
  ])("is told %s", (_, events, line) => {
    expect(lineAfter(...events)).toBe(line);
  });

  it.each([
    ["an unknown phase", { phase: "\u001b[31mdancing" }],
    ["an unknown unit", { unit: "\u001b[31m" }],
    ["no number", { done: "1" }],
    ["a negative number", { done: -1 }],
    ["no total", { total: undefined }],
  ])("isn't told of an event with %s", (_, fields) => {
    expect(lineAfter(downloading(1), downloading(2, fields))).toBeUndefined();
  });

  it("has a bar in a terminal, where there's room, and fits it", () => {
    const progress = new Progress();
    progress.prepares(downloading(1.188e9), 0);
    progress.prepares(downloading(1.2e9), 1000);
    expect(shown(progress, 100)).toEqual([
      "███████░░░░░░░░░░░░░  downloading acme/small  1.2 of 3.4 GB  35 %  12 MB/s  3m03s left",
    ]);
    expect(shown(progress, 70)).toEqual([
      "downloading acme/small  1.2 of 3.4 GB  35 %  12 MB/s  3m03s left",
    ]);
    expect(shown(progress, 30)).toEqual([
      "downloading acme/small",
      "1.2 of 3.4 GB  35 %  12 MB/s",
      "3m03s left",
    ]);
    progress.prepares(downloading(0, { name: "模型/小" }), 2000);
    expect(progress.block(22, NO_PAINT)[0]).toEqual({ text: "downloading 模型/小", width: 19 });
    expect(progress.block(16, NO_PAINT)[0]).toEqual({ text: "downloading 模…", width: 15 });
  });

  it("is gone when the run starts, goes on, or logs a step", () => {
    const progress = new Progress();
    for (const begin of [
      () => progress.started({}, {}),
      () => progress.resumed({ step: 3 }),
      () => progress.prepared(),
    ]) {
      progress.prepares(downloading(1), 0);
      begin();
      expect(progress.preparation()).toBeUndefined();
    }
  });

  it("isn't told when it is long past, but is when it still goes on", () => {
    const progress = new Progress({ replayed: true });
    for (let second = 1; second <= 5; second += 1) {
      progress.prepares(downloading(second * 1e8), second);
      expect(progress.preparation()).toBeUndefined();
    }
    progress.prepares(downloading(6e8), 800);
    progress.prepares(downloading(7e8), 1800);
    expect(progress.preparation()).toMatch(/^downloading acme\/small {2}0\.7 .* 100 MB\/s/);
  });

  it("goes back to the step that the run goes on after, and measures the pace from there", () => {
    const progress = new Progress();
    progress.started({}, { totalSteps: 100 });
    progress.logged(step(10), 0);
    progress.logged(step(12), 1000);
    progress.resumed({ step: 10, metadata: { totalSteps: 100 } });
    expect(progress.plain()).toBe("step 10/100");
    progress.logged(step(11), 60_000);
    progress.logged(step(12), 61_000);
    expect(progress.plain()).toBe("step 12/100  eta 1m28s");
  });
});

it("writes what a run prepares to a log at most once a second, and what it goes on after once", () => {
  const stderr = Object.assign(new Screen(), { isTTY: false });
  const streams = { stdout: asStream(stderr), stderr: asStream(stderr) };
  let ms = 0;
  const { onEvent, onUnknown } = new Reporter({ ...streams, now: () => ms }).observer();
  if (!onEvent || !onUnknown) throw new Error("the reporter observes nothing");
  for (let tenth = 0; tenth <= 20; tenth += 1) {
    ms = tenth * 100;
    onUnknown(downloading(tenth * 1e7));
  }
  onUnknown({ type: "training.news", step: 9 });
  onEvent(
    "onStarted",
    { job: { id: "job-1" } },
    { totalSteps: 30, resumedFrom: { jobId: "job-0", step: 4 } },
  );
  onUnknown({ type: "training.resumed", step: 5, metadata: { totalSteps: 30 } });
  onUnknown({ type: "training.resumed", step: 0 });
  onUnknown({ type: "training.resumed" });
  expect(stderr.lines).toEqual([
    "downloading acme/small  0.0 of 3.4 GB  0 %",
    "downloading acme/small  0.1 of 3.4 GB  2 %  100 MB/s  33s left",
    "downloading acme/small  0.2 of 3.4 GB  5 %  100 MB/s  32s left",
    "Training",
    "  device  this machine",
    "  steps   30",
    "resumed after step 4 of job job-0",
    "resumed after step 5",
    "resumed from the first step on",
    "",
  ]);
});
