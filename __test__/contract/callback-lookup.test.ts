// Odd callbacks, odd events, and timers that are not Node's.
import { expect, it, onTestFinished, vi } from "vitest";
import { createTrainer, type TrainerCallbacks, type TrainingJob } from "../../index.js";
import { Backend, CREDENTIALS } from "../support/backend.ts";

it("T10: a callback is called as a function, whatever properties it has", async () => {
  const backend = await Backend.start((stream) => stream.log(1).log(2).completed());
  const steps: number[] = [];
  const onLog = Object.assign(({ step }: { step: number }) => void steps.push(step), {
    call: () => steps.push(-1),
    apply: () => steps.push(-2),
  });
  Object.setPrototypeOf(onLog, null);
  await backend.trainer({ callbacks: { onLog } }).wait();
  expect(steps).toEqual([1, 2]);
});

it("T10: callbacks that were put in the input's place of them count from then on", async () => {
  const backend = await Backend.start((stream) => stream.log(1).log(2).completed());
  const seen: string[] = [];
  const input = {
    callbacks: {
      onLog: () => {
        seen.push("old");
        input.callbacks = { onLog: () => void seen.push("new") };
      },
    },
  } as { callbacks: Partial<TrainerCallbacks> };
  const trainer = createTrainer(
    Object.assign(input, {
      name: "run",
      model: "m",
      dataset: { type: "blob", url: "u" } as const,
    }),
    { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory },
  );
  await trainer.wait();
  expect(seen).toEqual(["old", "new"]);
});

it("T11: the job stays one object while its status does, also when the run starts twice", async () => {
  const backend = await Backend.start((stream) =>
    stream
      .event("training.started", {}, 1)
      .log(2)
      .event("training.started", {}, 3)
      .log(4)
      .completed(),
  );
  const jobs: TrainingJob[] = [];
  const keep = ({ job }: { job: TrainingJob }) => void jobs.push(job);
  await backend.trainer({ callbacks: { onStarted: keep, onLog: keep } }).wait();
  expect(new Set(jobs).size).toBe(1);
  expect(jobs[0].startedAt).toBe("at 3");
});

it("T12: an event whose type is NaN is none", async () => {
  const backend = await Backend.start(
    (stream) => stream.write('data: {"type":NaN}\n\n').end(),
    (stream) => stream.completed(),
  );
  const errors: unknown[] = [];
  const onReconnect = ({ error }: { error: unknown }) => void errors.push(error);
  await backend.trainer({}, { onReconnect }).wait();
  expect(errors).toEqual([new Error("SSE stream closed without emitting any frame")]);
});

it("T8: timers that a test has put in the place of Node's do not stop the events", async () => {
  const real = globalThis.setImmediate;
  globalThis.setImmediate = (() => {}) as unknown as typeof setImmediate;
  onTestFinished(() => {
    globalThis.setImmediate = real;
  });
  const backend = await Backend.start((stream) => {
    for (let step = 1; step <= 2000; step++) stream.log(step);
    stream.completed();
  });
  let logs = 0;
  await backend.trainer({ callbacks: { onLog: () => void logs++ } }).wait();
  expect(logs).toBe(2000);
});

it("T18: a terminal event whose callback can't be looked up is not lost", async () => {
  const backend = await Backend.start(
    (stream) => stream.event("training.completed", { artifacts: ["a"] }, 1),
    (stream) => stream.write("event: end\n\n"),
  );
  const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => emitWarning.mockRestore());
  const callbacks = {
    get onCompleted(): undefined {
      throw new Error("no such thing");
    },
  };
  const result = await backend.trainer({ callbacks }).wait();
  expect(result).toMatchObject({ job: { status: "completed" }, artifacts: ["a"] });
});

it.each([
  ["frozen", Object.freeze],
  ["sealed", Object.seal],
])("T11: a job that was %s costs no event", async (_, close) => {
  const backend = await Backend.start((stream) =>
    stream.event("training.started", {}, 1).event("training.started", {}, 2).completed(),
  );
  const starts: unknown[] = [];
  const onStarted = ({ job }: { job: TrainingJob }) => void starts.push(close(job).startedAt);
  await backend.trainer({ callbacks: { onStarted } }).wait();
  expect(starts).toEqual(["at 1", "at 2"]);
});
