// `arkor start` at a real terminal: what a person sees of a run, and what Ctrl-C does, key by key.
import { describe, expect, it } from "vitest";
import { Backend, type EventStream, gate, JOB } from "../support/backend.ts";
import { Project } from "../support/project.ts";
import { arkorAt, KEY, shellAt, type Terminal, type TerminalOptions } from "../support/terminal.ts";

const CANCEL = `POST /v1/jobs/${JOB.id}/cancel`;
const CSI = "\u001b[";

/** A run whose `onLog` prints a line and then runs the given code. */
function entry(onLog = "") {
  return `
    import { createTrainer } from "arkor";
    export const trainer = createTrainer({
      name: "run",
      model: "m",
      dataset: { type: "blob", url: "https://data.test/rows.jsonl" },
      callbacks: {
        onLog: async ({ step }) => { console.log("callback: step " + step); ${onLog} },
      },
    });
  `;
}

/** Logs a step. The event's id is the step plus one, because the start has id 1. */
function logStep(stream: EventStream, step: number) {
  const metrics = { evalLoss: 0.25, learningRate: 0.002, samplesPerSecond: 41 };
  stream.log(step + 1, { step, loss: 1 / step, ...metrics });
}

/** A backend whose run has begun and logged five steps; then the test goes on with the stream. */
async function running(onLog?: string) {
  const streamed = gate<EventStream>();
  const backend = await Backend.start((stream) => {
    stream.event("training.started", { metadata: { totalSteps: 10 } }, 1);
    for (let step = 1; step <= 5; step += 1) logStep(stream, step);
    streamed.open(stream);
  });
  const project = new Project({ "src/arkor/index.ts": entry(onLog) }).signIn(backend);
  return { backend, project, stream: streamed.promise };
}

function start(project: Project, backend: Backend, options: Partial<TerminalOptions> = {}) {
  return arkorAt(["start"], {
    ...project.at(backend, options.env),
    ...options,
    ...project.at(backend, options.env),
  });
}

/** The first lines of a run in these tests. */
const INTRO = [
  "Started job job-1",
  "Training run",
  expect.stringMatching(/^ {2}device {2}127\.0\.0\.1:\d+$/),
  "  steps   10",
];
/** What a person sees before the summary. */
const beforeSummary = ({ lines }: Terminal) => lines.slice(0, lines.indexOf("Summary"));

const isBlock = (line: string) => /[█░▁▂▃▄▅▆▇]|samples\/s|loss \d/.test(line);

describe("the live block", () => {
  it("stands below what callbacks print, and is gone at the end", async () => {
    const { backend, project, stream } = await running();
    const terminal = start(project, backend);
    await terminal.until(/█████░* {2}5\/10/);
    expect(terminal.lines).toEqual([
      ...INTRO,
      ...[1, 2, 3, 4, 5].map((step) => `callback: step ${step}`),
      expect.stringMatching(/^█{10}░{10} {2}5\/10 {2}eta \d+s$/),
      expect.stringMatching(/^loss 0\.200 {2}█\S+▁ {2}eval 0\.250 {2}lr 2\.0e-3 {2}41 samples\/s$/),
    ]);
    (await stream).completed();
    expect(await terminal.exit).toBe(0);
    expect(beforeSummary(terminal)).toEqual([
      ...INTRO,
      ...[1, 2, 3, 4, 5].map((step) => `callback: step ${step}`),
      "Job job-1 finished with status=completed",
    ]);
  });

  it("fits a window of 40 columns", async () => {
    const { backend, project } = await running();
    const terminal = start(project, backend, { columns: 40 });
    await terminal.until(/samples\/s/);
    expect(terminal.lines.filter(isBlock)).toEqual([
      expect.stringMatching(/^█+░+ {2}5\/10 {2}eta \d+s$/),
      expect.stringMatching(/^loss 0\.200 {2}█\S+▁ {2}eval 0\.250$/),
      "lr 2.0e-3  41 samples/s",
    ]);
  });

  it.each([
    ["narrower", [100, 40, 55]],
    ["wider", [40, 100, 60]],
    ["as narrow as it gets", [100, 20, 80]],
  ])("leaves nothing behind in a window that gets %s", async (_, [columns = 0, ...sizes]) => {
    const { backend, project, stream } = await running();
    const terminal = start(project, backend, { columns });
    await terminal.until(/samples\/s/);
    for (const [index, size] of sizes.entries()) {
      await terminal.resize(size);
      const step = 6 + index;
      // Output after a resize shows that the block was redrawn.
      logStep(await stream, step);
      await terminal.until(new RegExp(`callback: step ${step}.*\\b${step}/10.*41 samples/s`, "s"));
      expect(terminal.screen.match(/41 samples\/s/g)).toHaveLength(1);
      expect(terminal.screen.match(/\d+\/10/g)).toEqual([`${step}/10`]);
    }
    (await stream).completed();
    expect(await terminal.exit).toBe(0);
    expect(terminal.lines.filter(isBlock)).toEqual([]);
  });

  it("counts the reconnects", async () => {
    const { backend, project, stream } = await running();
    const terminal = start(project, backend);
    await terminal.until(/samples\/s/);
    (await stream).destroy();
    await terminal.until(/1 reconnect$/m);
    expect(terminal.screen).toMatch(/^reconnecting in \d\.\d s \(attempt 1\): /m);
  });

  it("has no colours with NO_COLOR", async () => {
    const { backend, project } = await running();
    const coloured = start(project, backend);
    await coloured.until(/samples\/s/);
    expect(coloured.raw).toContain(`${CSI}36m`);
    const again = await running();
    const plain = start(again.project, again.backend, { env: { NO_COLOR: "1" } });
    await plain.until(/samples\/s/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is about these
    expect(plain.raw).not.toMatch(/\u001b\[[\d;]*m/);
  });

  it("is plain lines on a dumb terminal", async () => {
    const { backend, project, stream } = await running();
    const terminal = start(project, backend, { env: { TERM: "dumb" } });
    await terminal.until(/step 1\/10 {2}loss 1\.000/);
    (await stream).completed();
    expect(await terminal.exit).toBe(0);
    expect(terminal.raw).not.toContain("\u001b");
  });
});

describe("what a run prepares", () => {
  const preparing = (stream: EventStream, id: number, phase: string, fields: object) =>
    stream.event("training.progress", { phase, name: "acme/small", ...fields }, id);

  /** A run that downloads, and does what the test says on the second event and at the end. */
  async function preparingRun() {
    const streamed = gate<EventStream>();
    const backend = await Backend.start((stream) => {
      const bytes = { total: 3.4e9, unit: "bytes" };
      preparing(stream, 1, "downloading", { done: 1.2e9, ...bytes });
      streamed.open(stream);
    });
    const project = new Project({ "src/arkor/index.ts": entry() }).signIn(backend);
    return { backend, project, stream: streamed.promise };
  }

  it("is drawn in the block until the run starts, and no callback is called for it", async () => {
    const { backend, project, stream } = await preparingRun();
    const terminal = start(project, backend);
    await terminal.until(/35 %/);
    expect(terminal.lines).toEqual([
      "Started job job-1",
      "███████░░░░░░░░░░░░░  downloading acme/small  1.2 of 3.4 GB  35 %",
    ]);
    preparing(await stream, 2, "loading", { done: 29, total: 290, unit: "tensors" });
    await terminal.until(/^██░+ {2}loading acme\/small {2}29 of 290 tensors {2}10 %$/m);
    expect(terminal.screen).not.toContain("downloading");
    (await stream).event("training.started", { metadata: { totalSteps: 10 } }, 3);
    await terminal.until(/^░+ {2}0\/10$/m);
    expect(terminal.screen).not.toContain("loading");
    (await stream).event("training.resumed", { step: 5, metadata: { totalSteps: 10 } }, 4);
    await terminal.until(/^█{10}░{10} {2}5\/10$/m);
    (await stream).completed();
    expect(await terminal.exit).toBe(0);
    expect(beforeSummary(terminal)).toEqual([
      ...INTRO,
      "resumed after step 5",
      "Job job-1 finished with status=completed",
    ]);
  });

  it("is plain lines where there's no block", async () => {
    const { backend, project, stream } = await preparingRun();
    const terminal = start(project, backend, { env: { TERM: "dumb" } });
    await terminal.until(/^downloading acme\/small {2}1\.2 of 3\.4 GB {2}35 %$/m);
    (await stream).completed();
    expect(await terminal.exit).toBe(0);
    expect(terminal.raw).not.toContain("\u001b");
  });

  it("can't write to the terminal by its name", async () => {
    const backend = await Backend.start((stream) => {
      const name = "a\u001b[2J\u009b31m\r\nb";
      const fields = { phase: "downloading", name, done: 1, total: 0, unit: "bytes" };
      stream.event("training.progress", fields, 1);
    });
    const project = new Project({ "src/arkor/index.ts": entry() }).signIn(backend);
    const terminal = start(project, backend);
    await terminal.until(/downloading a\ufffd\[2J\ufffd31m b {2}0\.0 kB/);
  });

  it("of the past isn't shown to who attaches later", async () => {
    const streamed = gate<EventStream>();
    const backend = await Backend.start((stream) => {
      for (let id = 1; id <= 9; id += 1) {
        preparing(stream, id, "downloading", { done: id * 1e8, total: 1e9, unit: "bytes" });
      }
      stream.event("training.resumed", { step: 5 }, 10).log(11);
      streamed.open(stream);
    });
    const state = { orgSlug: "the org", projectSlug: "p", projectId: "i" };
    const project = new Project({
      "src/arkor/index.ts": entry(),
      ".arkor/state.json": JSON.stringify(state),
    }).signIn(backend);
    const terminal = arkorAt(["attach", JOB.id], project.at(backend, { TERM: "dumb" }));
    await terminal.until(/callback: step 11/);
    (await streamed.promise).completed();
    expect(await terminal.exit).toBe(0);
    expect(beforeSummary(terminal)).toEqual([
      `Using the cloud at ${backend.url}.`,
      "Watching job job-1",
      expect.stringMatching(/^step 11 /),
      "callback: step 11",
      "Job job-1 finished with status=completed",
    ]);
  });
});

describe("Ctrl-C", () => {
  const STOPPED = /Stopped watching; job job-1 continues\./;
  const pressedOnce = async (terminal: Terminal) => {
    terminal.press(KEY.ctrlC);
    await terminal.until(STOPPED);
  };

  it("once leaves the run alone, takes the block away, and says how to come back", async () => {
    const { backend, project } = await running();
    const terminal = start(project, backend, { columns: 200 });
    await terminal.until(/samples\/s/);
    await pressedOnce(terminal);
    expect(await terminal.exit).toBe(130);
    expect(terminal.lines.filter(isBlock)).toEqual([]);
    expect(terminal.lines.at(-1)).toBe(
      "Stopped watching; job job-1 continues. To watch it again: arkor attach job-1. " +
        "To cancel it: Ctrl-C again within 3 s, or arkor cancel job-1.",
    );
    expect(backend.to(CANCEL)).toEqual([]);
  });

  it("twice cancels it", async () => {
    const { backend, project } = await running();
    const terminal = start(project, backend);
    await terminal.until(/samples\/s/);
    await pressedOnce(terminal);
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(130);
    expect(terminal.screen).toContain("Job job-1 is cancelled.");
    expect(backend.to(CANCEL)).toHaveLength(1);
  });

  it("closes the stream at once", async () => {
    const { backend, project, stream } = await running();
    const terminal = start(project, backend);
    await terminal.until(/samples\/s/);
    const closed = (await stream).closed;
    await pressedOnce(terminal);
    await closed;
    // The command is still running and handles a second Ctrl-C.
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(130);
    expect(backend.to(CANCEL)).toHaveLength(1);
  });

  it("works while the stream is being opened again", async () => {
    const backend = await Backend.start();
    backend.on(`GET /v1/jobs/${JOB.id}/events/stream`, (_, response) =>
      response.writeHead(503).end(),
    );
    const project = new Project({ "src/arkor/index.ts": entry() }).signIn(backend);
    const terminal = start(project, backend);
    await terminal.until(/reconnecting in/);
    await pressedOnce(terminal);
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(130);
    expect(backend.to(CANCEL)).toHaveLength(1);
  });

  it("works while a callback hangs", async () => {
    const { backend, project } = await running("await new Promise(() => {});");
    const terminal = start(project, backend);
    await terminal.until(/callback: step 1/);
    await pressedOnce(terminal);
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(130);
    expect(terminal.screen).not.toContain("callback: step 2");
    expect(backend.to(CANCEL)).toHaveLength(1);
  });

  it("twice ends it also while a callback does not let anything else run", async () => {
    const { backend, project } = await running("for (;;);");
    const terminal = start(project, backend);
    await terminal.until(/callback: step 1/);
    terminal.press(KEY.ctrlC);
    await terminal.until(/A callback holds this process up\. Ctrl-C again ends it at once\./);
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(130);
    expect(terminal.screen).toContain("Ended. A run in the cloud goes on: see arkor jobs.");
  });

  it("starts no callback while it waits for the second one", async () => {
    // The first callback ends when the test says so, which is after Ctrl-C.
    const { backend, project } = await running(
      `await fetch(process.env.GATE).then((answer) => answer.text()); console.log("callback ends");`,
    );
    const held = gate();
    backend.on("GET /gate", async (_, response) => {
      await held.promise;
      response.end();
    });
    const terminal = start(project, backend, { env: { GATE: `${backend.url}/gate` } });
    await backend.until(() => backend.to("GET /gate").length === 1);
    await pressedOnce(terminal);
    held.open();
    await terminal.until(/callback ends/);
    expect(await terminal.exit).toBe(130);
    expect(terminal.screen).not.toContain("callback: step 2");
  });

  it("leaves the terminal as it was", async () => {
    const { backend, project } = await running();
    const at = project.at(backend);
    const terminal = shellAt("trap : INT; stty -g; $ARKOR start; stty -g", at);
    await terminal.until(/samples\/s/);
    await pressedOnce(terminal);
    await terminal.exit;
    const settings = terminal.lines.join("").match(/[\da-f]+(:[\da-f]+){30,}/g) ?? [];
    expect(settings).toHaveLength(2);
    expect(settings[1]).toBe(settings[0]);
    expect(terminal.showsCursor).toBe(true);
  });
});
