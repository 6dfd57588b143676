import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import type { TrainerCallbacks, TrainingJob } from "../../index.js";
import { Dispatcher } from "../../lib/dispatch.js";
import { Backend, type EventStream, gate, JOB, json } from "../support/backend.ts";

/** Runs one stream and collects what a callback gets. */
async function collect<K extends keyof TrainerCallbacks>(
  name: K,
  script: (stream: EventStream) => void,
): Promise<Parameters<TrainerCallbacks[K]>[0][]> {
  const backend = await Backend.start((stream) => {
    script(stream);
    stream.completed();
  });
  const contexts: Parameters<TrainerCallbacks[K]>[0][] = [];
  const callbacks = { [name]: (context: never) => void contexts.push(context) };
  await backend.trainer({ callbacks }).wait();
  return contexts;
}

it("T7: a callback's promise settles before the next event, across reconnects too", async () => {
  const backend = await Backend.start(
    (stream) => stream.log(1).log(2).end(),
    (stream) => stream.log(3).event("checkpoint.saved", { step: 4 }, 4).completed(),
  );
  let running = 0;
  const order: string[] = [];
  const callback = (name: string) => async () => {
    expect(++running).toBe(1);
    order.push(`${name} begins`);
    await turn();
    await turn();
    order.push(`${name} ends`);
    running--;
  };
  await backend
    .trainer({
      callbacks: {
        onLog: callback("log"),
        onCheckpoint: callback("checkpoint"),
        onCompleted: callback("completed"),
      },
    })
    .wait();
  const names = ["log", "log", "log", "checkpoint", "completed"];
  expect(order).toEqual(names.flatMap((name) => [`${name} begins`, `${name} ends`]));
});

it("T7: different trainers do not wait for each other", async () => {
  const slow = await Backend.start((stream) => stream.log(1).completed());
  const fast = await Backend.start((stream) => stream.log(1).completed());
  const { promise, open } = gate();
  const waiting = slow.trainer({ callbacks: { onLog: () => promise } }).wait();
  await fast.trainer().wait();
  open();
  await waiting;
});

it("T8: every event of a flood is dispatched, in order", async () => {
  const count = 5000;
  const backend = await Backend.start((stream) => {
    for (let step = 1; step <= count; step++) stream.log(step);
    stream.completed();
  });
  const steps: number[] = [];
  await backend.trainer({ callbacks: { onLog: ({ step }) => void steps.push(step) } }).wait();
  expect(steps).toEqual(Array.from({ length: count }, (_, index) => index + 1));
});

it("T8: microtasks of a callback run before the next one, timers between batches", async () => {
  const count = 5000;
  const backend = await Backend.start((stream) => {
    for (let step = 1; step <= count; step++) stream.log(step);
    stream.completed();
  });
  let pending = 0;
  let mostPending = 0;
  let logs = 0;
  const timers: number[] = [];
  const tick = () => {
    if (logs === count) return;
    timers.push(logs);
    setImmediate(tick);
  };
  await backend
    .trainer({
      callbacks: {
        onLog: () => {
          mostPending = Math.max(mostPending, pending);
          pending++;
          queueMicrotask(() => pending--);
          if (logs++ === 0) setImmediate(tick);
        },
      },
    })
    .wait();
  expect(mostPending).toBe(0);
  const gaps = timers.map((at, index) => at - (timers[index - 1] ?? 0));
  // A batch is 256 events; the loop may take one more before the turn.
  expect(Math.max(...gaps)).toBeLessThanOrEqual(512);
  expect(timers.length).toBeGreaterThan(count / 512);
});

it("T8: a batch that comes in the same turn as the last one waits for the next turn", async () => {
  let done = 0;
  const unexpected = () => {
    throw new Error("not every callback settled");
  };
  const steps: number[] = [];
  const dispatcher = new Dispatcher({
    job: JOB,
    native: { done: () => void done++, threw: unexpected, aborted: unexpected, heard: unexpected },
    rejects: false,
    input: {
      name: "run",
      model: "m",
      dataset: { type: "blob", url: "u" },
      callbacks: { onLog: ({ step }) => void steps.push(step) },
    },
    inferAt: () => () => Promise.reject(new Error("not asked")),
    onReconnect: undefined,
  });
  const logAt = (step: number) => Float64Array.of(0, step, 0, 0, 0, 0, 0);
  dispatcher.receive(logAt(1), null, null);
  dispatcher.receive(logAt(2), null, null);
  await null;
  expect(steps).toEqual([1]);
  await turn();
  await turn();
  expect(steps).toEqual([1, 2]);
  expect(done).toBe(2);
});

it("T9: a metric that is absent, null or no number is null; bare NaN and Infinity arrive", async () => {
  const contexts = await collect("onLog", (stream) => {
    stream.event("training.log", { step: 1, loss: 1.5, evalLoss: null, epoch: "x" }, 1);
    stream.write(
      'id: 2\ndata: {"type":"training.log","step":2,"loss":NaN,"evalLoss":Infinity,"learningRate":-Infinity,"epoch":1e400,"samplesPerSecond":12345678901234567890}\n\n',
    );
    stream.write('data: {"type":"training.log"}\n\n');
  });
  const metrics = contexts.map(({ job: _, ...metrics }) => metrics);
  const none = { evalLoss: null, learningRate: null, epoch: null, samplesPerSecond: null };
  expect(metrics).toEqual([
    { step: 1, loss: 1.5, ...none },
    {
      step: 2,
      loss: Number.NaN,
      evalLoss: Number.POSITIVE_INFINITY,
      learningRate: Number.NEGATIVE_INFINITY,
      epoch: Number.POSITIVE_INFINITY,
      samplesPerSecond: Number("12345678901234567890"),
    },
    { step: Number.NaN, loss: null, ...none },
  ]);
});

it("T9: artifacts read as JSON.parse reads them, with NaN besides", async () => {
  const text =
    '[{"b":1,"a":NaN,"10":0.1,"2":-0},"\\ud800",12345678901234567890,1e400,-Infinity,"NaN"]';
  const contexts = await collect("onCheckpoint", (stream) => {
    stream.write(`data: {"type":"checkpoint.saved","step":1,"artifacts":${text}}\n\n`);
    stream.event("checkpoint.saved", { step: 2 }, 2);
  });
  const expected = [
    { 2: -0, 10: 0.1, b: 1, a: Number.NaN },
    "\ud800",
    Number("12345678901234567890"),
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    "NaN",
  ];
  expect(contexts[0].artifacts).toEqual(expected);
  expect(JSON.stringify(contexts[0].artifacts)).toBe(JSON.stringify(expected));
  expect(contexts[1].artifacts).toBeUndefined();
});

it("T9: artifacts of any depth are read, with NaN in them", async () => {
  const depth = 20_000;
  const backend = await Backend.start((stream) => {
    const artifacts = `${"[".repeat(depth)}NaN,{"__proto__":NaN}${"]".repeat(depth)}`;
    stream.write(`data: {"type":"training.completed","artifacts":${artifacts}}\n\n`);
  });
  const { job, artifacts } = await backend.trainer().wait();
  expect(job.status).toBe("completed");
  let inner: unknown = artifacts;
  for (let level = 1; level < depth; level++) inner = (inner as unknown[])[0];
  const [number, object] = inner as [number, object];
  expect(number).toBeNaN();
  expect(Object.entries(object)).toEqual([["__proto__", Number.NaN]]);
});

it("T9: a field of a wrong type never drops an event", async () => {
  const contexts = await collect("onCheckpoint", (stream) =>
    stream.event("checkpoint.saved", { step: "5", jobId: 7, timestamp: [], artifacts: "odd" }, 1),
  );
  expect(contexts).toHaveLength(1);
  expect(contexts[0].step).toBeNaN();
  expect(contexts[0].artifacts).toBe("odd");
});

it("T9: a failure without a message, or with one that is no string, gets a string", async () => {
  for (const [fields, expected] of [
    [{}, "The backend gave no reason"],
    [{ error: null }, "The backend gave no reason"],
    [{ error: { code: 7 } }, '{"code":7}'],
  ] as const) {
    const backend = await Backend.start((stream) => stream.event("training.failed", fields, 1));
    const errors: string[] = [];
    await backend.trainer({ callbacks: { onFailed: ({ error }) => errors.push(error) } }).wait();
    expect(errors).toEqual([expected]);
  }
});

it("T9: a failure whose message holds NaN shows it as Python wrote it", async () => {
  const backend = await Backend.start((stream) =>
    stream.write('data: {"type":"training.failed","error":{"loss":NaN,"max":-Infinity}}\n\n'),
  );
  const { job } = await backend.trainer().wait();
  expect(job.error).toBe('{"loss":NaN,"max":-Infinity}');
});

it("T8: any number of blocks without a callback stalls nothing", async () => {
  for (const block of [
    "event: ping\n\n",
    "data\n\n",
    'data: {"type":"training.news"}\n\n',
    "id: 1\n\n",
  ]) {
    const backend = await Backend.start((stream) =>
      stream.log(1).write(block.repeat(20_000)).log(2).completed(),
    );
    const steps: number[] = [];
    const onLog = async ({ step }: { step: number }) => {
      steps.push(step);
      await turn();
    };
    await backend.trainer({ callbacks: { onLog } }, { idleTimeoutMs: 0 }).wait();
    expect(steps).toEqual([1, 2]);
  }
});

it("T10: the callback is looked up at dispatch, and called with the object as this", async () => {
  const backend = await Backend.start((stream) => stream.log(1).log(2).log(3).completed());
  const calls: string[] = [];
  const callbacks = {
    tag: "mine",
    onLog(this: { tag: string }) {
      calls.push(`first ${this.tag}`);
      callbacks.onLog = () => {
        calls.push("second");
        // biome-ignore lint/suspicious/noExplicitAny: a missing callback, also by null, is skipped
        callbacks.onLog = null as any;
      };
    },
  };
  await backend.trainer({ callbacks }).wait();
  expect(calls).toEqual(["first mine", "second"]);
});

it("T10: a missing callback is skipped, and its event counts", async () => {
  const backend = await Backend.start(
    (stream) => stream.log(7).end(),
    (stream) => stream.completed(),
  );
  await backend.trainer().wait();
  expect(backend.opened[1].headers["last-event-id"]).toBe("7");
});

it("T10: a value that is no function is a callback error that names the callback", async () => {
  const backend = await Backend.start((stream) => stream.log(1));
  // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
  const callbacks = { onLog: "print" as any };
  const trainer = backend.trainer({ callbacks, callbackErrors: "reject" });
  await expect(trainer.wait()).rejects.toThrow(
    new TypeError("callbacks.onLog must be a function, not string"),
  );
});

it("T11: ctx.job keeps every field, and is one object until a status change", async () => {
  const backend = await Backend.start((stream) =>
    stream
      .log(1)
      .log(2)
      .event("training.started", {}, 3)
      .log(4)
      // The same status again: not a change.
      .event("training.started", {}, 3)
      .log(5)
      .completed(),
  );
  const sent = { ...JOB, region: "eu", nested: { a: [1, null] }, config: { any: true } };
  backend.on("POST /v1/jobs", (_, response) => json(response, 201, { job: sent }));
  const jobs: TrainingJob[] = [];
  const see = ({ job }: { job: TrainingJob }) => void jobs.push(job);
  const result = await backend
    .trainer({ callbacks: { onLog: see, onStarted: see, onCompleted: see } })
    .wait();
  const [a, b, started, c, again, d, completed] = jobs;
  expect(again).toBe(started);
  expect(a).toEqual(sent);
  expect(b).toBe(a);
  expect(started).toEqual({ ...sent, status: "running", startedAt: "at 3" });
  expect([c, d]).toEqual([started, started]);
  expect(c).toBe(started);
  expect(d).toBe(started);
  expect(completed).toMatchObject({ ...sent, status: "completed", startedAt: "at 3" });
  expect(result.job).toBe(completed);
});

it("T12: what is no data event runs no callback, and an unknown type counts as one", async () => {
  const backend = await Backend.start(
    // If one of these were a data event, the clean end wouldn't count as a failure.
    (stream) =>
      stream.write("data: no json\n\ndata: []\n\ndata: {}\n\nevent: ping\ndata: {}\n\n").end(),
    (stream) => stream.write('data: {"type":"training.news"}\n\n').end(),
    (stream) => stream.completed(),
  );
  const errors: unknown[] = [];
  await backend.trainer({}, { onReconnect: ({ error }) => errors.push(error) }).wait();
  expect(errors).toEqual([new Error("SSE stream closed without emitting any frame"), undefined]);
});

it.each([
  ["with data", "event: end\ndata: {}\n\n"],
  ["with empty data", "event: end\ndata\n\n"],
  ["with none", "event: end\n\n"],
])("T12: event: end ends wait() %s, after what came before it", async (_, end) => {
  const backend = await Backend.start((stream) => stream.log(1).write(end).log(2));
  const steps: number[] = [];
  const callbacks = { onLog: ({ step }: { step: number }) => void steps.push(step) };
  await backend.trainer({ callbacks }).wait();
  expect(steps).toEqual([1]);
});

it("T13: after end without a terminal event the job's true state is asked for, once", async () => {
  const backend = await Backend.start((stream) => stream.log(1).write("event: end\n\n"));
  backend.on(`GET /v1/jobs/${JOB.id}`, (_, response) =>
    json(response, 200, { job: { ...JOB, status: "cancelled" }, events: [] }),
  );
  const result = await backend.trainer().wait();
  expect(result).toEqual({ job: { ...JOB, status: "cancelled" }, artifacts: [] });
  expect(backend.to(`GET /v1/jobs/${JOB.id}`)).toHaveLength(1);
});

it("T13: if that request fails, wait() resolves with what it has", async () => {
  const backend = await Backend.start((stream) =>
    stream.event("training.started", {}, 1).write("event: end\n\n"),
  );
  backend.on(`GET /v1/jobs/${JOB.id}`, (_, response) => response.writeHead(500).end());
  const result = await backend.trainer().wait();
  expect(result).toEqual({ job: { ...JOB, status: "running", startedAt: "at 1" }, artifacts: [] });
});
