import { describe, expect, it } from "vitest";
import type { ReconnectNotice } from "../../index.js";
import { CloudApiError } from "../../index.js";
import { Backend, gate, JOB, json, rejection } from "../support/backend.ts";

const STREAM = `GET /v1/jobs/${JOB.id}/events/stream`;

/** A trainer whose reconnects are noted. */
function noting(backend: Backend, context = {}) {
  const notices: ReconnectNotice[] = [];
  const trainer = backend.trainer(
    {},
    { ...context, onReconnect: (notice) => void notices.push(notice) },
  );
  return { trainer, notices };
}

describe("what is a failure", () => {
  it("T21, T22: failures in a row are counted, and the delay doubles", async () => {
    const backend = await Backend.start(
      (stream) => stream.end(),
      (stream) => stream.destroy(),
      (stream) => stream.end(),
      (stream) => stream.completed(),
    );
    const { trainer, notices } = noting(backend, { reconnectDelayMs: 8 });
    await trainer.wait();
    expect(notices.map(({ attempt }) => attempt)).toEqual([0, 1, 2]);
    for (const { attempt, delayMs } of notices) {
      const full = 8 * 2 ** attempt;
      expect(delayMs).toBeGreaterThanOrEqual(Math.floor(0.75 * full));
      expect(delayMs).toBeLessThanOrEqual(Math.ceil(1.25 * full));
    }
  });

  it("T22: a clean end after a data event is none", async () => {
    const backend = await Backend.start(
      (stream) => stream.log(1).end(),
      (stream) => stream.log(2).end(),
      (stream) => stream.completed(),
    );
    const { trainer, notices } = noting(backend, { maxReconnectAttempts: 0 });
    await trainer.wait();
    expect(notices).toEqual(
      ["1", "2"].map((lastEventId) => ({
        attempt: 0,
        delayMs: expect.any(Number),
        error: undefined,
        lastEventId,
      })),
    );
  });

  it("T22: an end without a data event is one, and is the cause", async () => {
    const backend = await Backend.start((stream) => stream.write(": hello\n\n").end());
    const error = await rejection(backend.trainer({}, { maxReconnectAttempts: 0 }).wait());
    expect(error).toEqual(new Error("Trainer SSE stream failed 1 consecutive times; giving up."));
    expect((error as Error).cause).toEqual(
      new Error("SSE stream closed without emitting any frame"),
    );
  });

  it("T22: a refused connection is one, and its cause has the system's code", async () => {
    const backend = await Backend.start();
    const trainer = backend.trainer({}, { maxReconnectAttempts: 1 });
    await trainer.start();
    backend.server.closeAllConnections();
    await new Promise((resolve) => backend.server.close(resolve));
    const error = (await rejection(trainer.wait())) as Error;
    expect(error.message).toBe("Trainer SSE stream failed 2 consecutive times; giving up.");
    expect(error.cause).toBeInstanceOf(TypeError);
    expect(error.cause).toMatchObject({
      message: "fetch failed",
      cause: { code: "ECONNREFUSED" },
    });
  });

  it.each([404, 408, 429, 500, 502, 503])("T23: %i is transient", async (status) => {
    const backend = await Backend.start((stream) => stream.completed());
    let refusals = 1;
    backend.on(STREAM, (_, response) => {
      if (refusals-- > 0) return json(response, status, { error: "not now" });
      response.writeHead(200).end('data: {"type":"training.completed"}\n\n');
    });
    const { trainer, notices } = noting(backend);
    expect((await trainer.wait()).job.status).toBe("completed");
    expect(notices[0].error).toBeInstanceOf(CloudApiError);
    expect(notices[0].error).toMatchObject({ status, message: "not now" });
  });

  it.each([401, 403, 410, 426])("T23: %i rejects at once", async (status) => {
    const backend = await Backend.start();
    backend.on(STREAM, (_, response) => json(response, status, { error: "no" }));
    const { trainer, notices } = noting(backend);
    const error = await rejection(trainer.wait());
    expect(error).toBeInstanceOf(CloudApiError);
    expect(error).toMatchObject({ status });
    expect(notices).toEqual([]);
    expect(backend.opened).toHaveLength(1);
  });

  it.each([401, 403, 410, 426])(
    "T23: %i rejects at once, also when its body never ends",
    async (status) => {
      const backend = await Backend.start();
      backend.on(STREAM, (_, response) => response.writeHead(status).write("no"));
      const { trainer, notices } = noting(backend, { idleTimeoutMs: 20 });
      expect(await rejection(trainer.wait())).toMatchObject({ status });
      expect(notices).toEqual([]);
      expect(backend.opened).toHaveLength(1);
    },
  );

  it("426 says what to do about it, for the user's package manager", async () => {
    const backend = await Backend.start();
    backend.on(STREAM, (_, response) =>
      json(response, 426, {
        error: "sdk_version_unsupported",
        currentVersion: "0.1.0",
        supportedRange: ">=2",
      }),
    );
    const agent = process.env.npm_config_user_agent;
    process.env.npm_config_user_agent = "pnpm/9.0.0 npm/? node/v20";
    try {
      await expect(backend.trainer().wait()).rejects.toThrow(
        /0\.1\.0 is no longer supported.*>=2.*pnpm add -g arkor@latest/,
      );
    } finally {
      if (agent === undefined) delete process.env.npm_config_user_agent;
      else process.env.npm_config_user_agent = agent;
    }
  });
});

describe("Last-Event-ID", () => {
  it.each([
    ["a block without data", "id: x\n\n"],
    ["a ping", "id: x\nevent: ping\n\n"],
    ["data that is no JSON", "id: x\ndata: {\n\n"],
    ["an unknown type", 'id: x\ndata: {"type":"training.news"}\n\n'],
  ])("T24: the id of %s counts", async (_, block) => {
    const backend = await Backend.start(
      (stream) => stream.log(1).write(block).end(),
      (stream) => stream.completed(),
    );
    await backend.trainer().wait();
    expect(backend.opened.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "x"]);
  });

  it("T24: it is sent as its UTF-8 bytes, and an empty one sends no header", async () => {
    const backend = await Backend.start(
      (stream) => stream.event("training.log", {}, "é/日本 1").end(),
      (stream) => stream.write("id\ndata: x\n\n").log(0).end(),
      (stream) => stream.event("training.log", {}, "").end(),
      (stream) => stream.completed(),
    );
    await backend.trainer().wait();
    const ids = backend.opened.map(({ headers }) => headers["last-event-id"] as string | undefined);
    expect(ids[1] && Buffer.from(ids[1], "latin1").toString("utf8")).toBe("é/日本 1");
    expect([ids[0], ids[2], ids[3]]).toEqual([undefined, "0", undefined]);
  });
});

it("T25: Retry-After is a lower bound, retry a new base, both within the cap", async () => {
  const backend = await Backend.start();
  const answers: ((response: import("node:http").ServerResponse) => void)[] = [
    (response) => response.writeHead(429, { "retry-after": "1" }).end(),
    (response) => {
      const date = new Date(Date.now() + 3_600_000).toUTCString();
      response.writeHead(503, { "retry-after": date }).end();
    },
    (response) => response.writeHead(500, { "retry-after": "3600" }).end(),
    (response) => response.writeHead(200).end("retry: 20000\n"),
    (response) => response.writeHead(200).end('data: {"type":"training.completed"}\n\n'),
  ];
  backend.on(STREAM, (_, response) => answers.shift()?.(response));
  const { trainer, notices } = noting(backend, { maxReconnectDelayMs: 20 });
  await trainer.wait();
  const delays = notices.map(({ delayMs }) => delayMs);
  expect(delays.slice(0, 2)).toEqual([20, 20]);
  expect(delays[2]).toBeLessThan(20);
  // The base is now the cap; jitter takes a quarter of it at most.
  expect(delays[3]).toBeGreaterThanOrEqual(15);
});

describe("the idle watchdog", () => {
  it("T26: silence is a failure that names the timeout", async () => {
    const closed = gate();
    const backend = await Backend.start(
      (stream) => void stream.log(1).closed.then(closed.open),
      (stream) => stream.completed(),
    );
    const { trainer, notices } = noting(backend, { idleTimeoutMs: 50 });
    await trainer.wait();
    await closed.promise;
    expect(notices.map(({ error }) => (error as Error).message)).toEqual([
      "SSE stream idle: not one byte from the backend for 50 ms (idleTimeoutMs)",
    ]);
  });

  it("T24: an id that no header can carry is passed over", async () => {
    const backend = await Backend.start(
      (stream) => stream.log(1).write("id: \u0001b\n\n").end(),
      (stream) => stream.completed(),
    );
    const { trainer, notices } = noting(backend);
    await trainer.wait();
    expect(notices[0].lastEventId).toBe("1");
    expect(backend.opened[1].headers["last-event-id"]).toBe("1");
  });

  it("T26: so are headers that never come", async () => {
    const backend = await Backend.start();
    backend.on(STREAM, () => {});
    const { trainer, notices } = noting(backend, { idleTimeoutMs: 50, maxReconnectAttempts: 1 });
    await expect(trainer.wait()).rejects.toThrow("failed 2 consecutive times");
    expect((notices[0].error as Error).message).toBe(
      "SSE stream idle: no complete head of an answer within 50 ms (idleTimeoutMs)",
    );
  });

  it("T26: the time of a callback never counts, also with a silent backend", async () => {
    const called = gate();
    const backend = await Backend.start(async (stream) => {
      stream.log(1);
      await called.promise;
      stream.completed();
    });
    const notices: ReconnectNotice[] = [];
    // Three timeouts pass while it runs.
    const onLog = async () => {
      await new Promise((resolve) => setTimeout(resolve, 750));
      // The stream is also silent for a while after the callback, for less than the timeout.
      setTimeout(called.open, 100);
    };
    const trainer = backend.trainer(
      { callbacks: { onLog } },
      { idleTimeoutMs: 250, onReconnect: (notice) => void notices.push(notice) },
    );
    await trainer.wait();
    expect(notices).toEqual([]);
  });

  it.each([0, Number.POSITIVE_INFINITY])("T26: %d switches it off", async (idleTimeoutMs) => {
    const silence = gate();
    const backend = await Backend.start(async (stream) => {
      stream.log(1);
      await silence.promise;
      stream.completed();
    });
    const { trainer, notices } = noting(backend, { idleTimeoutMs });
    const waiting = trainer.wait();
    setTimeout(silence.open, 20);
    await waiting;
    expect(notices).toEqual([]);
  });
});

it("T27: an event over 16 MiB is a failure that names the limit", async () => {
  const backend = await Backend.start(
    (stream) => stream.write(`data: ${"x".repeat(17 * 1024 * 1024)}`),
    (stream) => stream.completed(),
  );
  const { trainer, notices } = noting(backend);
  await trainer.wait();
  expect((notices[0].error as Error).message).toContain("16 MiB");
});

it("T27: one of 10 MiB arrives whole", async () => {
  const artifact = "é".repeat(5 * 1024 * 1024);
  const backend = await Backend.start((stream) =>
    stream.event("training.completed", { artifacts: [artifact] }, 1),
  );
  const { artifacts } = await backend.trainer().wait();
  expect(artifacts[0] === artifact).toBe(true);
});

it("createTrainer names an option that it can't use", async () => {
  const backend = await Backend.start();
  const wrong = [
    [{}, { reconnectDelayMs: -1 }, "context.reconnectDelayMs"],
    [{}, { idleTimeoutMs: Number.NaN }, "context.idleTimeoutMs"],
    [{}, { maxReconnectAttempts: "3" }, "context.maxReconnectAttempts"],
    [{}, { maxReconnectAttempts: 1.5 }, "context.maxReconnectAttempts"],
    [{ callbackErrors: "ignore" }, {}, "`callbackErrors`"],
  ] as const;
  for (const [input, context, named] of wrong) {
    // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
    expect(() => backend.trainer(input as any, context as any)).toThrow(named);
  }
});

it("a listener that throws, now or later, changes nothing", async () => {
  for (const onReconnect of [
    () => Promise.reject(new Error("later")),
    () => {
      throw new Error("now");
    },
  ]) {
    const backend = await Backend.start(
      (stream) => stream.end(),
      (stream) => stream.completed(),
    );
    const context = { onReconnect, maxReconnectAttempts: 2 ** 40 };
    expect((await backend.trainer({}, context).wait()).job.status).toBe("completed");
  }
});
