// The functions that compute what the page shows.
import { describe, expect, it } from "vitest";
import { checkForm, EMPTY_FORM, sends } from "../../studio/src/lib/chat-options.ts";
import { ABSENT, Column, lowerBound } from "../../studio/src/lib/column.ts";
import { decimate, type Line, nearest } from "../../studio/src/lib/decimate.ts";
import { diffConfigs, flatten } from "../../studio/src/lib/diff.ts";
import * as format from "../../studio/src/lib/format.ts";
import { listJobs } from "../../studio/src/lib/job-list.ts";
import { parseLenient } from "../../studio/src/lib/json.ts";
import { formatChoice, parseChoice } from "../../studio/src/lib/model-choice.ts";
import { jobLink, parseRoute, playgroundLink } from "../../studio/src/lib/route.ts";
import { RunData, timeLeft, totalSteps } from "../../studio/src/lib/run-data.ts";
import { Smoothed } from "../../studio/src/lib/smooth.ts";
import { curlSnippet, inferSnippet, openaiSnippet } from "../../studio/src/lib/snippets.ts";

function column(values: number[]): Column {
  const made = new Column();
  for (const value of values) made.push(value);
  return made;
}

function line(ys: number[], xs = ys.map((_, at) => at)): Line {
  return { x: column(xs), y: column(ys) };
}

describe("a column", () => {
  it("grows, and knows the extremes of any part of it", () => {
    const values = Array.from({ length: 5000 }, (_, at) => Math.sin(at * 12.9898) * 43758.5453);
    const made = column(values);
    const out = { least: 0, most: 0 };
    for (const [from, to] of [
      [0, 5000],
      [1, 4999],
      [63, 65],
      [64, 128],
      [100, 101],
      [1000, 3333],
    ] as const) {
      expect(made.extremes(from, to, out)).toBe(true);
      const part = values.slice(from, to);
      expect(out).toEqual({ least: Math.min(...part), most: Math.max(...part) });
    }
    expect(made.extremes(10, 10, out)).toBe(false);
  });

  it("leaves out what is absent or no number", () => {
    const made = column([ABSENT, Number.NaN, 3, ABSENT, 1, Number.NaN]);
    const out = { least: 0, most: 0 };
    expect(made.extremes(0, 6, out)).toBe(true);
    expect(out).toEqual({ least: 1, most: 3 });
    expect(made.extremes(0, 2, out)).toBe(false);
    expect(made.broken).toEqual([1, 5]);
  });

  it("is searched by value", () => {
    const made = column([1, 3, 3, 7]);
    expect([0, 1, 2, 3, 4, 8].map((wanted) => lowerBound(made, wanted))).toEqual([
      0, 0, 1, 1, 3, 4,
    ]);
  });
});

describe("decimation", () => {
  it("shows few points as they are, side by side", () => {
    const { data, isByPixel } = decimate(
      [line([1, 2, 3], [0, 10, 20]), line([5, ABSENT, Number.NaN], [0, 10, 15])],
      { from: 0, to: 20, width: 100 },
    );
    const [xs, first, second] = data;
    expect(isByPixel).toBe(false);
    expect(xs).toEqual([0, 10, 15, 20]);
    expect(first).toEqual([1, 2, undefined, 3]);
    expect(second).toEqual([5, undefined, null, undefined]);
  });

  it("keeps a single peak among a million points", () => {
    const ys = new Array<number>(1_000_000).fill(1);
    ys[654_321] = 99;
    ys[123_456] = -5;
    const view = { from: 0, to: 999_999, width: 800 };
    const { data, isByPixel } = decimate([line(ys)], view);
    const [xs, drawn = []] = data;
    expect(isByPixel).toBe(true);
    expect(xs.length).toBe(1600);
    expect(Math.max(...drawn.map((y) => y ?? 0))).toBe(99);
    expect(Math.min(...drawn.map((y) => y ?? 0))).toBe(-5);
    const peak = xs[drawn.indexOf(99)] ?? 0;
    expect(Math.abs(peak - 654_321)).toBeLessThanOrEqual(1_000_000 / 800);
  });

  it("shows what is in view, and goes on to its edges", () => {
    const { data } = decimate([line(Array.from({ length: 100 }, (_, at) => at))], {
      from: 10.5,
      to: 12.5,
      width: 100,
    });
    expect(data[0]).toEqual([10, 11, 12, 13]);
  });

  it("finds the point under the pointer, past those without a value", () => {
    const made = line([1, ABSENT, ABSENT, 4], [0, 10, 20, 30]);
    expect([-5, 4, 14, 16, 99].map((step) => nearest(made, step))).toEqual([0, 0, 0, 3, 3]);
    expect(nearest(line([]), 3)).toBe(-1);
  });
});

describe("smoothing", () => {
  it("has no bias towards zero, follows new values, and skips what is no number", () => {
    const source = column([2, 2, Number.NaN, 2]);
    const smoothed = new Smoothed(source, 0.9);
    expect([...smoothed.update().values.slice(0, 4)].map((y) => Number(y.toFixed(9)))).toEqual([
      2,
      2,
      Number.NaN,
      2,
    ]);
    source.push(4);
    const next = smoothed.update().at(4);
    expect(next).toBeGreaterThan(2);
    expect(next).toBeLessThan(3);
    smoothed.weight = 0;
    expect(smoothed.update().at(4)).toBe(4);
  });
});

it("events go into columns; bare NaN, null and what isn't there are three things", () => {
  const data = new RunData();
  for (const text of [
    '{"type":"training.started","metadata":{"totalSteps":50}}',
    '{"type":"training.log","step":1,"loss":2.5,"evalLoss":null,"learningRate":0.1}',
    '{"type":"training.log","step":2,"loss":NaN,"evalLoss":-Infinity}',
    '{"type":"checkpoint.saved","step":2,"artifacts":[{"name":"a"}]}',
    '{"type":"training.log","step":1,"loss":2}',
    '"no event"',
  ]) {
    data.add(parseLenient(text));
  }
  expect([...data.step.values.slice(0, data.step.length)]).toEqual([1, 2, 2]);
  expect([...data.loss.values.slice(0, 3)]).toEqual([2.5, Number.NaN, 2]);
  expect([...data.evalLoss.values.slice(0, 3)]).toEqual([ABSENT, Number.NaN, ABSENT]);
  expect(data.length).toBe(5);
  expect(data.row(1).text).toBe("step 1  loss 2.5000  lr 1e-1");
  expect(data.row(3)).toMatchObject({ type: "checkpoint.saved", text: "step 2  1 artifact" });
  expect(data.best(data.loss)).toEqual({ step: 2, value: 2 });
  expect(totalSteps(data, { maxSteps: 9 })).toBe(50);
});

it("the time left comes from the pace of the last steps", () => {
  const data = new RunData();
  for (let step = 1; step <= 10; step++) {
    const timestamp = new Date(step * 2000).toISOString();
    data.add({ type: "training.log", step, loss: 1, timestamp });
  }
  expect(timeLeft(data, 20, 20_000)).toBe(20_000);
  expect(timeLeft(data, 20, 21_000)).toBe(19_000);
  expect(timeLeft(data, undefined, 0)).toBeUndefined();
});

it("a text that says NaN is left alone", () => {
  expect(parseLenient('{"a":"NaN \\" Infinity","b":NaN,"c":[-Infinity]}')).toEqual({
    a: 'NaN " Infinity',
    b: "NaN",
    c: ["-Infinity"],
  });
});

describe("formats", () => {
  it.each([
    [format.formatLoss(0.12345), "0.1235"],
    [format.formatLoss(123.456), "123.5"],
    [format.formatLoss(0.0000123), "1.23e-5"],
    [format.formatLoss(null), "–"],
    [format.formatLoss(Number.NaN), "NaN"],
    [format.formatRate(0.0002), "2e-4"],
    [format.formatRate(0), "0"],
    [format.formatRate(1), "1e0"],
    [format.formatDuration(250), "250 ms"],
    [format.formatDuration(59_999), "59 s"],
    [format.formatDuration(61_000), "1 min 01 s"],
    [format.formatDuration(3_600_000), "1 h 00 min"],
    [format.formatDuration(200_000_000), "2 d 7 h"],
    [format.formatDuration(null), "–"],
    [format.formatBytes(512), "512 B"],
    [format.formatBytes(1_234_567), "1.2 MiB"],
    [format.formatAgo(new Date(0).toISOString(), 59_000), "just now"],
    [format.formatAgo(new Date(0).toISOString(), 3_700_000), "1 h ago"],
    [format.formatAgo("?", 0), "–"],
    [format.formatNumber(12345.67), "12,345.7"],
    [format.formatCount(1, "row"), "1 row"],
    [format.formatCount(1200, "row"), "1,200 rows"],
  ])("%s is %s", (actual, expected) => {
    expect(actual).toBe(expected.replace("1e0", "1"));
  });
});

it("configs differ in leaves, by path", () => {
  const before = { model: "a", dataset: { name: "x", split: "train" }, steps: 5 };
  const after = { model: "a", dataset: { name: "y", split: "train" }, rate: 1 };
  expect(diffConfigs(before, after)).toEqual([
    { path: "dataset.name", before: "x", after: "y" },
    { path: "rate", before: undefined, after: 1 },
    { path: "steps", before: 5, after: undefined },
  ]);
  expect(flatten(after)).toEqual([
    ["model", "a"],
    ["dataset.name", "y"],
    ["dataset.split", "train"],
    ["rate", 1],
  ]);
  expect(diffConfigs({ a: [1] }, { a: [1] })).toEqual([]);
});

it("addresses name views, whatever is in a job's id", () => {
  expect(parseRoute("")).toEqual({ view: "overview" });
  expect(parseRoute("#/jobs/a%2Fb")).toEqual({ view: "job", jobId: "a/b" });
  expect(parseRoute(jobLink("a/b", "config"))).toMatchObject({ jobId: "a/b", tab: "config" });
  expect(parseRoute("#/jobs/%")).toEqual({ view: "job", jobId: "%" });
  expect(parseRoute("#/jobs/a/b")).toEqual({ view: "unknown", path: "/jobs/a/b" });
  const link = playgroundLink("checkpoint:job&1:5", "base:a/b");
  expect(parseRoute(link)).toEqual({
    view: "playground",
    adapter: "checkpoint:job&1:5",
    compare: "base:a/b",
  });
});

it.each(["base:acme/base:v2", "final:job_1", "checkpoint:job:1:20"])("%s is a choice", (text) => {
  const choice = parseChoice(text);
  expect(choice && formatChoice(choice)).toBe(text);
});

it.each(["", "base:", "final", "checkpoint:job", "other:a", undefined])("%s is none", (text) => {
  expect(parseChoice(text)).toBeUndefined();
});

it("the form's fields are checked by name, and empty ones left out", () => {
  expect(checkForm(EMPTY_FORM)).toEqual({ options: {}, errors: {} });
  const form = { ...EMPTY_FORM, temperature: "-1", topP: "0", maxTokens: "1.5", schema: "[]" };
  expect(Object.keys(checkForm(form).errors)).toEqual([
    "temperature",
    "topP",
    "maxTokens",
    "schema",
  ]);
  expect(checkForm({ ...EMPTY_FORM, schema: '{"type":"object"}' }).options).toEqual({
    responseFormat: {
      type: "json_schema",
      json_schema: { name: "answer", schema: { type: "object" } },
    },
  });
});

it("Enter sends, but not with Shift, nor that of an input method", () => {
  const enter = { key: "Enter", shiftKey: false, isComposing: false, keyCode: 13 };
  expect(sends(enter)).toBe(true);
  expect(sends({ ...enter, shiftKey: true })).toBe(false);
  expect(sends({ ...enter, isComposing: true })).toBe(false);
  expect(sends({ ...enter, keyCode: 229 })).toBe(false);
  expect(sends({ ...enter, key: "a" })).toBe(false);
});

it("jobs are searched by all words and sorted, those without a value last", () => {
  const job = (id: string, loss: number | null) => ({
    job: {
      id,
      name: `run ${id}`,
      status: "completed" as const,
      config: { model: "Acme" },
      createdAt: "",
    },
    loss,
  });
  const all = [job("a", 2), job("b", null), job("c", 1)];
  const options = {
    search: "acme run",
    status: "",
    sort: "loss" as const,
    isDescending: false,
    now: 0,
    summaryOf: ({ id }: { id: string }) => ({
      step: 1,
      loss: all.find(({ job: { id: other } }) => other === id)?.loss ?? null,
      bestEvalLoss: null,
      bestEvalStep: null,
    }),
  };
  const jobs = all.map((item) => item.job);
  const ids = (change: object) => listJobs(jobs, { ...options, ...change }).map(({ id }) => id);
  expect(ids({})).toEqual(["c", "a", "b"]);
  expect(ids({ isDescending: true })).toEqual(["a", "c", "b"]);
  expect(ids({ search: "run b" })).toEqual(["b"]);
  expect(ids({ status: "failed" })).toEqual([]);
});

it("snippets quote what a shell would read", () => {
  const question = {
    target: { kind: "base_model", baseModel: "m" } as const,
    messages: [{ role: "user", content: "It's $HOME" }],
    options: { maxTokens: 5 },
  };
  expect(curlSnippet("http://localhost:4000", question)).toContain(`It'\\''s $HOME`);
  const responseFormat = { type: "json_object" };
  const asked = { ...question, options: { ...question.options, responseFormat } };
  const local = openaiSnippet(asked, "http://127.0.0.1:7");
  for (const part of ['"model": "m"', '"max_tokens": 5', '"response_format": {', ":7/v1"]) {
    expect(local).toContain(part);
  }
  expect(openaiSnippet(asked, undefined)).toContain("the address of an endpoint");
  expect(inferSnippet(question)).toContain("await infer(");
});
