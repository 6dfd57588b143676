import { getEventListeners } from "node:events";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CloudApiClient, createTrainer } from "../../index.js";
import { Backend, CREDENTIALS, gate, JOB, json, rejection } from "../support/backend.ts";
import { runScript } from "../support/process.ts";

const REASON = { any: "value" };

it("T28: an abort sends nothing to the backend and does not touch start()", async () => {
  const backend = await Backend.start((stream) => void stream.log(1));
  const controller = new AbortController();
  const trainer = backend.trainer({
    abortSignal: controller.signal,
    callbacks: { onLog: () => controller.abort() },
  });
  await rejection(trainer.wait());
  expect(await trainer.start()).toEqual({ jobId: JOB.id });
  // Anything that the abort sent would arrive before these requests.
  const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
  for (let asked = 0; asked < 20; asked++) {
    await client.getJob(JOB.id, { orgSlug: "o", projectSlug: "p" });
  }
  const ours = `GET /v1/jobs/${JOB.id}`;
  const all = backend.requests.map(({ method, path }) => `${method} ${path}`);
  const calls = all.filter((call) => call !== ours);
  expect(calls).toEqual([
    "POST /v1/projects",
    "POST /v1/jobs",
    `GET /v1/jobs/${JOB.id}/events/stream`,
  ]);
});

it("T28: wait() rejects while the submission goes on", async () => {
  const backend = await Backend.start();
  const submitted = gate();
  backend.on("POST /v1/jobs", async (_, response) => {
    await submitted.promise;
    json(response, 201, { job: JOB });
  });
  const controller = new AbortController();
  const trainer = backend.trainer({ abortSignal: controller.signal });
  const waiting = trainer.wait();
  await backend.until(() => backend.to("POST /v1/jobs").length === 1);
  controller.abort(REASON);
  expect(await rejection(waiting)).toBe(REASON);
  submitted.open();
  expect(await trainer.start()).toEqual({ jobId: JOB.id });
});

it("T28: a submission that fails after the abort is nobody's unhandled rejection", async () => {
  const backend = await Backend.start();
  const refused = gate();
  backend.on("POST /v1/jobs", async (_, response) => {
    await refused.promise;
    json(response, 503, { error: "busy" });
  });
  const context = { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory };
  const finished = runScript(
    `const controller = new AbortController();
    const trainer = arkor.createTrainer(
      { name: "run", model: "m", dataset: { type: "blob", url: "u" }, abortSignal: controller.signal },
      ${JSON.stringify(context)},
    );
    const waiting = trainer.wait();
    setImmediate(() => controller.abort("why"));
    await waiting.catch((reason) => console.log(reason));`,
  );
  await backend.until(() => backend.to("POST /v1/jobs").length === 1);
  refused.open();
  expect(await finished).toEqual({ code: 0, stdout: "why\n", stderr: "" });
});

it("T29: an abort in the moment between start and stream is not lost", async () => {
  // The stream is silent, because an event would make the dispatcher check the signal.
  const backend = await Backend.start(() => {});
  const controller = new AbortController();
  const trainer = backend.trainer({ abortSignal: controller.signal });
  const waiting = trainer.wait();
  void trainer.start().then(() => controller.abort(REASON));
  expect(await rejection(waiting)).toBe(REASON);
});

describe("T29: wait() rejects at once with signal.reason, that very value,", () => {
  it("when it is connecting", async () => {
    const backend = await Backend.start();
    backend.on(`GET /v1/jobs/${JOB.id}/events/stream`, () => {});
    const controller = new AbortController();
    const waiting = backend.trainer({ abortSignal: controller.signal }).wait();
    await backend.until(() => backend.opened.length === 1);
    controller.abort(REASON);
    expect(await rejection(waiting)).toBe(REASON);
  });

  it("when it is reading, and the connection is closed", async () => {
    const closed = gate();
    const logged = gate();
    const backend = await Backend.start((stream) => void stream.log(1).closed.then(closed.open));
    const controller = new AbortController();
    const waiting = backend
      .trainer({ abortSignal: controller.signal, callbacks: { onLog: () => logged.open() } })
      .wait();
    await logged.promise;
    controller.abort(REASON);
    expect(await rejection(waiting)).toBe(REASON);
    await closed.promise;
  });

  it("when it is delaying", async () => {
    const backend = await Backend.start((stream) => stream.end());
    const controller = new AbortController();
    const waiting = backend
      .trainer(
        { abortSignal: controller.signal },
        {
          reconnectDelayMs: 60_000,
          onReconnect: () => setImmediate(() => controller.abort(REASON)),
        },
      )
      .wait();
    expect(await rejection(waiting)).toBe(REASON);
    expect(backend.opened).toHaveLength(1);
  });
});

it("T29: when a callback is running, as soon as it settles, and none starts after", async () => {
  const backend = await Backend.start((stream) => {
    for (let step = 1; step <= 100; step++) stream.log(step);
    stream.completed();
  });
  const controller = new AbortController();
  const settle = gate();
  const called = gate();
  const steps: number[] = [];
  let rejected = false;
  const waiting = backend
    .trainer({
      abortSignal: controller.signal,
      callbacks: {
        onLog: ({ step }) => {
          steps.push(step);
          if (step < 50) return;
          called.open();
          return settle.promise;
        },
      },
    })
    .wait();
  waiting.catch(() => {
    rejected = true;
  });
  await called.promise;
  controller.abort(REASON);
  await new Promise(setImmediate);
  expect(rejected).toBe(false);
  settle.open();
  expect(await rejection(waiting)).toBe(REASON);
  expect(steps).toHaveLength(50);
});

it("T29: also when it is the terminal event's callback that is running", async () => {
  const backend = await Backend.start((stream) => stream.completed());
  const controller = new AbortController();
  const trainer = backend.trainer({
    abortSignal: controller.signal,
    callbacks: { onCompleted: () => controller.abort(REASON) },
  });
  expect(await rejection(trainer.wait())).toBe(REASON);
  expect(backend.opened).toHaveLength(1);
});

it("T4: after an abort in the terminal event's callback the next wait() has its result", async () => {
  const backend = await Backend.start((stream) =>
    stream.event("training.completed", { artifacts: ["a"] }, 1),
  );
  const controller = new AbortController();
  const input = {
    name: "run",
    model: "m",
    dataset: { type: "blob", url: "u" } as const,
    abortSignal: controller.signal as AbortSignal | undefined,
    callbacks: { onCompleted: () => controller.abort(REASON) },
  };
  const context = { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory };
  const trainer = createTrainer(input, context);
  expect(await rejection(trainer.wait())).toBe(REASON);
  input.abortSignal = undefined;
  expect(await trainer.wait()).toMatchObject({ job: { status: "completed" }, artifacts: ["a"] });
  expect(backend.opened).toHaveLength(1);
});

it("T29: the signal's listeners are removed", async () => {
  const backend = await Backend.start((stream) => stream.log(1).completed());
  const controller = new AbortController();
  await backend.trainer({ abortSignal: controller.signal }).wait();
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
});

it("T29: an abort by an accessor of the input, in the middle of wait(), is not lost", async () => {
  const backend = await Backend.start();
  backend.on("POST /v1/jobs", () => {});
  const controller = new AbortController();
  const trainer = backend.trainer({ abortSignal: controller.signal });
  const input = {
    name: "run",
    dataset: { type: "blob", url: "u" } as const,
    abortSignal: controller.signal,
    get model() {
      controller.abort(REASON);
      return "m";
    },
  };
  const context = { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory };
  expect(await rejection(createTrainer(input, context).wait())).toBe(REASON);
  expect(await rejection(trainer.wait())).toBe(REASON);
});

it("T30: with a signal that is already aborted wait() submits nothing", async () => {
  const backend = await Backend.start();
  const trainer = backend.trainer({ abortSignal: AbortSignal.abort(REASON) });
  expect(await rejection(trainer.wait())).toBe(REASON);
  expect(backend.requests).toEqual([]);
});

it("T29: after an abort in a callback no further one is even looked up", async () => {
  const backend = await Backend.start((stream) =>
    // In one write, so that both are in one batch.
    stream.write(
      'id: 1\ndata: {"type":"training.log"}\n\nid: 2\ndata: {"type":"checkpoint.saved"}\n\n',
    ),
  );
  const controller = new AbortController();
  const callbacks = {
    onLog: () => controller.abort(REASON),
    get onCheckpoint(): undefined {
      throw new Error("looked up after the abort");
    },
  };
  const trainer = backend.trainer({ abortSignal: controller.signal, callbacks });
  expect(await rejection(trainer.wait())).toBe(REASON);
});

it("T29: an abort while the callback is looked up starts none", async () => {
  const backend = await Backend.start((stream) => stream.log(1).completed());
  const controller = new AbortController();
  let called = 0;
  const callbacks = {
    get onLog() {
      controller.abort(REASON);
      return () => called++;
    },
  };
  const trainer = backend.trainer({ abortSignal: controller.signal, callbacks });
  expect(await rejection(trainer.wait())).toBe(REASON);
  expect(called).toBe(0);
});

it("T4: after an abort the next wait() resumes with the signal that the input has by then", async () => {
  const backend = await Backend.start(
    (stream) => void stream.log(1),
    (stream) => stream.log(2).completed(),
  );
  const first = new AbortController();
  const steps: number[] = [];
  const input = {
    name: "run",
    model: "m",
    dataset: { type: "blob", url: "u" } as const,
    abortSignal: first.signal,
    callbacks: {
      onLog: ({ step }: { step: number }) => {
        steps.push(step);
        first.abort(REASON);
      },
    },
  };
  const context = { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory };
  const trainer = createTrainer(input, context);
  expect(await rejection(trainer.wait())).toBe(REASON);
  input.abortSignal = new AbortController().signal;
  expect((await trainer.wait()).job.status).toBe("completed");
  expect(steps).toEqual([1, 2]);
  expect(backend.opened[1].headers["last-event-id"]).toBe("1");
});

it("T28: many runs may share a signal, and nobody is warned of a leak", async () => {
  const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => emitWarning.mockRestore());
  const { signal } = new AbortController();
  const backends = await Promise.all(
    Array.from({ length: 12 }, () => Backend.start((stream) => stream.completed())),
  );
  await Promise.all(backends.map((backend) => backend.trainer({ abortSignal: signal }).wait()));
  expect(emitWarning).not.toHaveBeenCalled();
});
