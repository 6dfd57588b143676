import { afterEach, describe, expect, it, vi } from "vitest";
import type { TrainerContext } from "../../index.js";
import { Backend, type EventStream, gate, JOB, json, rejection } from "../support/backend.ts";

/** A script that sends steps 1 to `last`, and starts after `Last-Event-ID`. */
function logsTo(last: number) {
  return (stream: EventStream) => {
    for (let step = Number(stream.lastEventId ?? 0) + 1; step <= last; step++) stream.log(step);
    stream.completed();
  };
}

/** A callback that throws `thrown` at a step, the first time. */
function throwsAt(at: number, thrown: unknown) {
  const steps: number[] = [];
  let done = false;
  const onLog = ({ step }: { step: number }) => {
    steps.push(step);
    if (step !== at || done) return;
    done = true;
    throw thrown;
  };
  return { steps, onLog };
}

const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
afterEach(() => emitWarning.mockClear());

describe("by default", () => {
  it("T14: a throw closes the connection, waits, and opens the stream again", async () => {
    const closed = gate();
    const backend = await Backend.start((stream) => {
      stream.log(1);
      void stream.closed.then(closed.open);
    }, logsTo(1));
    const boom = new Error("boom");
    const notices: Parameters<NonNullable<TrainerContext["onReconnect"]>>[0][] = [];
    const { onLog } = throwsAt(1, boom);
    await backend
      .trainer({ callbacks: { onLog } }, { onReconnect: (notice) => notices.push(notice) })
      .wait();
    await closed.promise;
    expect(notices).toEqual([
      { attempt: 0, delayMs: expect.any(Number), error: boom, lastEventId: "1" },
    ]);
    expect(notices[0].error).toBe(boom);
  });

  it("T19: a warning that can't be emitted changes nothing", async () => {
    emitWarning.mockImplementationOnce(() => {
      throw new Error("no warnings here");
    });
    const backend = await Backend.start(logsTo(2), logsTo(2));
    const { steps, onLog } = throwsAt(1, new Error("boom"));
    await backend.trainer({ callbacks: { onLog } }).wait();
    expect(steps).toEqual([1, 2]);
  });

  it("T14: a rejected promise counts as a throw", async () => {
    const backend = await Backend.start(logsTo(2), logsTo(2));
    const { steps, onLog } = throwsAt(1, new Error("later"));
    await backend.trainer({ callbacks: { onLog: async (context) => onLog(context) } }).wait();
    expect(steps).toEqual([1, 2]);
    expect(backend.opened).toHaveLength(2);
  });

  it.each([
    ["an Error", new Error("boom")],
    ["a string", "boom"],
    ["undefined", undefined],
    ["null", null],
  ])("T14: with the signal aborted, wait() rejects with that very value: %s", async (_, thrown) => {
    const backend = await Backend.start((stream) => stream.log(1));
    const controller = new AbortController();
    const trainer = backend.trainer({
      abortSignal: controller.signal,
      callbacks: {
        onLog: () => {
          controller.abort(new Error("the reason"));
          throw thrown;
        },
      },
    });
    expect(await rejection(trainer.wait())).toBe(thrown);
    expect(emitWarning).not.toHaveBeenCalled();
  });

  it("T14: exceeding maxReconnectAttempts rejects, with the very error as the cause", async () => {
    const backend = await Backend.start(...Array(3).fill((stream: EventStream) => stream.log(1)));
    const thrown = { not: "an error" };
    const callbacks = {
      onLog: () => {
        throw thrown;
      },
    };
    const trainer = backend.trainer({ callbacks }, { maxReconnectAttempts: 2 });
    const error = await rejection(trainer.wait());
    expect(error).toEqual(new Error("Trainer SSE stream failed 3 consecutive times; giving up."));
    expect((error as Error).cause).toBe(thrown);
    expect(backend.opened).toHaveLength(3);
  });

  it("T15: Last-Event-ID has advanced to the failing event, of a batch in the middle", async () => {
    const backend = await Backend.start(logsTo(600), logsTo(600));
    const { steps, onLog } = throwsAt(300, new Error("boom"));
    await backend.trainer({ callbacks: { onLog } }).wait();
    expect(backend.opened[1].headers["last-event-id"]).toBe("300");
    expect(steps).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
  });

  it("T15: an event without an id is dispatched again", async () => {
    const again = (stream: EventStream) => stream.event("training.log", { step: 2 }).completed();
    const backend = await Backend.start((stream) => again(stream.log(1)), again);
    const { steps, onLog } = throwsAt(2, new Error("boom"));
    await backend.trainer({ callbacks: { onLog } }).wait();
    expect(steps).toEqual([1, 2, 2]);
    expect(backend.opened[1].headers["last-event-id"]).toBe("1");
  });

  it("T16: onFailed never sees an error of another callback", async () => {
    const backend = await Backend.start(logsTo(1), logsTo(1));
    const failed = vi.fn();
    const { onLog } = throwsAt(1, new Error("boom"));
    await backend.trainer({ callbacks: { onLog, onFailed: failed } }).wait();
    expect(failed).not.toHaveBeenCalled();
  });

  it("T17: the counter is not reset by bytes, pings or frames that can't be read", async () => {
    const noise = ": hello\n\nevent: ping\n\ndata: broken {\n\n";
    const backend = await Backend.start(
      ...Array(3).fill((stream: EventStream) => stream.write(noise).log(1)),
    );
    const callbacks = {
      onLog: () => {
        throw new Error("always");
      },
    };
    const trainer = backend.trainer({ callbacks }, { maxReconnectAttempts: 2 });
    await expect(trainer.wait()).rejects.toThrow("failed 3 consecutive times");
  });

  it("T17: it is reset by an event whose dispatch succeeded, or that has no callback", async () => {
    const backend = await Backend.start(
      (stream) => stream.log(1),
      (stream) => stream.event("training.started", {}, 2).log(3),
      (stream) => stream.write('id: 4\ndata: {"type":"training.news"}\n\n').log(5),
      (stream) => stream.completed(),
    );
    const attempts: number[] = [];
    const callbacks = {
      onLog: () => {
        throw new Error("always");
      },
    };
    await backend
      .trainer(
        { callbacks },
        { maxReconnectAttempts: 1, onReconnect: ({ attempt }) => attempts.push(attempt) },
      )
      .wait();
    expect(attempts).toEqual([0, 0, 0]);
  });

  it.each([
    ["end", (stream: EventStream) => stream.write("event: end\n\n")],
    ["an end without data", (stream: EventStream) => stream.end()],
  ])("T18: a terminal event survives its callback, at %s", async (_, rest) => {
    const backend = await Backend.start(
      (stream) => stream.event("training.completed", { artifacts: ["a"] }, 9),
      rest,
    );
    const callbacks = {
      onCompleted: () => {
        throw new Error("boom");
      },
    };
    const result = await backend.trainer({ callbacks }).wait();
    expect(result).toMatchObject({ job: { status: "completed" }, artifacts: ["a"] });
    expect(backend.opened[1].headers["last-event-id"]).toBe("9");
  });

  it("T18: so it does at a permanent answer", async () => {
    const backend = await Backend.start((stream) => stream.event("training.failed", {}, 9));
    const callbacks = {
      onFailed: () => {
        throw new Error("boom");
      },
    };
    const result = await backend.trainer({ callbacks }).wait();
    expect(result.job.status).toBe("failed");
    expect(backend.opened).toHaveLength(2);
  });

  it("T18: it is held no longer when the reopened stream brings nothing but pings for 5 s", async () => {
    const backend = await Backend.start(
      (stream) => stream.completed(9),
      (stream) => stream.write("event: ping\ndata: {}\n\n"),
    );
    const job = `GET /v1/jobs/${JOB.id}`;
    backend.on(job, (_, response) => json(response, 200, { job: { ...JOB, status: "completed" } }));
    const callbacks = {
      onCompleted: () => {
        throw new Error("boom");
      },
    };
    const result = await backend.trainer({ callbacks }).wait();
    expect(result).toMatchObject({ job: { status: "completed" }, artifacts: [] });
    expect(backend.opened).toHaveLength(2);
    expect(backend.to(job)).toHaveLength(1);
  });

  it("T18: attempts exhausted, it rejects, and a later wait() has the held result", async () => {
    const backend = await Backend.start((stream) => stream.completed(9));
    const callbacks = {
      onCompleted: () => {
        throw new Error("boom");
      },
    };
    const trainer = backend.trainer({ callbacks }, { maxReconnectAttempts: 0 });
    await expect(trainer.wait()).rejects.toThrow("failed 1 consecutive times");
    expect(await trainer.wait()).toMatchObject({ job: { status: "completed" }, artifacts: [] });
  });

  it("T19: each routed error emits one warning that names callback, step and outcome", async () => {
    const backend = await Backend.start(
      (stream) => stream.log(7),
      (stream) => stream.event("training.log", { step: 8 }),
      (stream) => stream.event("training.started", {}, 9),
      (stream) => stream.completed(),
    );
    const onLog = ({ step }: { step: number }) => {
      throw new Error(`boom ${step}`);
    };
    const onStarted = () => {
      throw Object.assign(new Error("odd"), { message: Object.create(null) });
    };
    await backend.trainer({ callbacks: { onLog, onStarted } }).wait();
    // The stack comes along, with the place in this file.
    const options = { type: "ArkorCallbackWarning", detail: expect.stringContaining(__filename) };
    expect(emitWarning.mock.calls).toEqual([
      [expect.stringMatching(/^onLog at step 7 threw: boom 7; .*skipped/), options],
      [expect.stringMatching(/^onLog at step 8 threw: boom 8; it has no id/), options],
      [expect.stringMatching(/^onStarted threw: a value without words; /), { type: options.type }],
    ]);
  });
});

describe('with callbackErrors: "reject"', () => {
  it("T20: wait() rejects at once with the very error, and the next one resumes there", async () => {
    const backend = await Backend.start(logsTo(5), logsTo(5));
    const thrown = { any: "value" };
    const { steps, onLog } = throwsAt(3, thrown);
    const trainer = backend.trainer({ callbacks: { onLog }, callbackErrors: "reject" });
    expect(await rejection(trainer.wait())).toBe(thrown);
    expect(steps).toEqual([1, 2, 3]);
    expect((await trainer.wait()).job.status).toBe("completed");
    expect(backend.opened[1].headers["last-event-id"]).toBe("2");
    expect(steps).toEqual([1, 2, 3, 3, 4, 5]);
    expect(emitWarning).not.toHaveBeenCalled();
  });

  it("T20: the stream is closed", async () => {
    const closed = gate();
    const backend = await Backend.start((stream) => {
      stream.log(1);
      void stream.closed.then(closed.open);
    });
    const { onLog } = throwsAt(1, new Error("boom"));
    const trainer = backend.trainer({ callbacks: { onLog }, callbackErrors: "reject" });
    await expect(trainer.wait()).rejects.toThrow("boom");
    await closed.promise;
  });

  it("T20: a terminal event comes again", async () => {
    const backend = await Backend.start(
      (stream) => stream.log(1).completed(2),
      (stream) => stream.completed(2),
    );
    let calls = 0;
    const callbacks = {
      onCompleted: () => {
        if (calls++ === 0) throw new Error("boom");
      },
    };
    const trainer = backend.trainer({ callbacks, callbackErrors: "reject" });
    await expect(trainer.wait()).rejects.toThrow("boom");
    expect((await trainer.wait()).job.status).toBe("completed");
    expect(calls).toBe(2);
    expect(backend.opened[1].headers["last-event-id"]).toBe("1");
  });
});
