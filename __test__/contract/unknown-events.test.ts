// Events of a newer backend, with and without an observer of the run. The `arkor` command is such an observer.
import { expect, it, vi } from "vitest";
import { internalsOf } from "../../cli/internals.js";
import { createTrainer, type Trainer, type TrainerInput } from "../../index.js";
import { Backend, CREDENTIALS, type EventStream, JOB, rejection } from "../support/backend.ts";

/** Observes a trainer, and collects the events that it shows. */
function observe(trainer: Trainer) {
  const shown: unknown[] = [];
  internalsOf(trainer)?.observe({ onUnknown: (event) => shown.push(event) });
  return shown;
}

const INPUT = {
  name: "run",
  model: "m",
  dataset: { type: "blob", url: "https://data.test/rows.jsonl" },
} satisfies TrainerInput;

const contextOf = ({ url, directory }: Backend) => ({
  baseUrl: url,
  credentials: CREDENTIALS,
  cwd: directory,
});

const NEWS = { step: 3, loss: 1, job: { status: "failed" }, artifacts: [1], error: "none" };
const news = (stream: EventStream, id: number) => stream.event("training.news", NEWS, id);

it.each([false, true])(
  "T12: an event of unknown type runs no callback and changes nothing, observed: %s",
  async (observed) => {
    const backend = await Backend.start((stream) => {
      news(stream, 1).event("training.started", {}, 2);
      news(stream, 3).log(4);
      news(stream, 5).event("later.news", {}, 6).completed(7);
    });
    const input: TrainerInput = { ...INPUT };
    const trainer = createTrainer(input, contextOf(backend));
    const calls: string[] = [];
    let lookups = 0;
    Object.defineProperty(input, "callbacks", {
      get: () => {
        lookups += 1;
        return new Proxy({}, { get: (_, name) => () => void calls.push(String(name)) });
      },
    });
    const shown = observed ? observe(trainer) : [];
    const { job, artifacts } = await trainer.wait();
    expect(calls).toEqual(["onStarted", "onLog", "onCompleted"]);
    expect(lookups).toBe(3);
    expect({ job, artifacts }).toEqual({
      job: { ...JOB, status: "completed", startedAt: "at 2", completedAt: "at 7" },
      artifacts: [],
    });
    const sent = (type: string, id: number, fields = {}) => ({
      type,
      jobId: JOB.id,
      timestamp: `at ${id}`,
      ...fields,
    });
    expect(shown).toEqual(
      observed
        ? [...[1, 3, 5].map((id) => sent("training.news", id, NEWS)), sent("later.news", 6)]
        : [],
    );
  },
);

it("T12: NaN in an event of unknown type arrives as such, and an observer that throws changes nothing", async () => {
  const backend = await Backend.start((stream) =>
    stream.write('data: {"type":"training.news","loss":NaN}\n\n').completed(),
  );
  const trainer = backend.trainer();
  internalsOf(trainer)?.observe({
    onUnknown: () => {
      throw new Error("unheard");
    },
  });
  const shown = observe(trainer);
  expect((await trainer.wait()).job.status).toBe("completed");
  expect(shown).toEqual([{ type: "training.news", loss: Number.NaN }]);
});

it("T15: the place of an error is right among events of unknown type", async () => {
  const backend = await Backend.start(
    (stream) => void news(news(stream, 1), 2).log(3).log(4).completed(),
    (stream) => void stream.log(4).completed(),
  );
  vi.spyOn(process, "emitWarning").mockImplementationOnce(() => {});
  const steps: number[] = [];
  const trainer = backend.trainer({
    callbacks: {
      onLog: ({ step }) => {
        steps.push(step);
        if (step === 3) throw new Error("the third");
      },
    },
  });
  observe(trainer);
  await trainer.wait();
  expect(steps).toEqual([3, 4]);
  expect(backend.opened.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "3"]);
});

it("T29: after an abort no event of unknown type is shown, and the next wait() goes on behind the last", async () => {
  const aborter = new AbortController();
  const backend = await Backend.start(
    (stream) => {
      // In one piece, so that they are one batch.
      stream.response.cork();
      news(news(stream, 1).log(2), 3).completed(4);
      stream.response.uncork();
    },
    (stream) => void news(stream, 3).completed(4),
  );
  const input: TrainerInput = {
    ...INPUT,
    abortSignal: aborter.signal,
    callbacks: { onLog: () => aborter.abort("enough") },
  };
  const trainer = createTrainer(input, contextOf(backend));
  const shown = observe(trainer);
  expect(await rejection(trainer.wait())).toBe("enough");
  expect(shown).toHaveLength(1);
  delete input.abortSignal;
  expect((await trainer.wait()).job.status).toBe("completed");
  expect(shown).toHaveLength(2);
  expect(backend.opened.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "2"]);
});
