// How soon an abort settles: the median of 20, by the clock of the process that aborts.
import { expect, it } from "vitest";
import type { CheckpointContext, TrainerInput } from "../../index.js";
import { Backend, gate, JOB, rejection } from "../support/backend.ts";

const ROUNDS = 20;

/** Aborts once `begun` is open and times until `settled` does. */
async function timed(
  round: (
    controller: AbortController,
  ) => Promise<{ begun: Promise<void>; settled: () => Promise<unknown>; release?: () => void }>,
) {
  const times: number[] = [];
  for (let at = 0; at < ROUNDS; at++) {
    const controller = new AbortController();
    const { begun, settled, release } = await round(controller);
    const waiting = settled();
    await begun;
    let begin = performance.now();
    controller.abort();
    if (release) {
      begin = performance.now();
      release();
    }
    expect(await waiting).toBe(controller.signal.reason);
    times.push(performance.now() - begin);
  }
  const median = times.toSorted((a, b) => a - b)[ROUNDS / 2];
  console.log(`median ${median.toFixed(1)} ms`);
  return median;
}

function waiting(
  backend: Backend,
  controller: AbortController,
  input: Partial<TrainerInput> = {},
  context = {},
) {
  const trainer = backend.trainer({ abortSignal: controller.signal, ...input }, context);
  return () => rejection(trainer.wait());
}

it("during connect", async () => {
  const median = await timed(async (controller) => {
    const backend = await Backend.start();
    backend.on(`GET /v1/jobs/${JOB.id}/events/stream`, () => {});
    const begun = backend.until(() => backend.opened.length === 1);
    return { begun, settled: waiting(backend, controller) };
  });
  expect(median).toBeLessThanOrEqual(50);
});

it("during backoff", async () => {
  const median = await timed(async (controller) => {
    const backend = await Backend.start((stream) => stream.end());
    const { promise, open } = gate();
    const context = { reconnectDelayMs: 60_000, onReconnect: () => setImmediate(open) };
    return { begun: promise, settled: waiting(backend, controller, {}, context) };
  });
  expect(median).toBeLessThanOrEqual(50);
});

it("during reading", async () => {
  const median = await timed(async (controller) => {
    const backend = await Backend.start((stream) => stream.log(1));
    const { promise, open } = gate();
    const callbacks = { onLog: () => void setImmediate(open) };
    return { begun: promise, settled: waiting(backend, controller, { callbacks }) };
  });
  expect(median).toBeLessThanOrEqual(50);
});

it("during a callback, from its end", async () => {
  const median = await timed(async (controller) => {
    const backend = await Backend.start((stream) => stream.log(1).log(2));
    const { promise, open } = gate();
    const { promise: until, open: release } = gate();
    const callbacks = {
      onLog: () => {
        open();
        return until;
      },
    };
    return { begun: promise, settled: waiting(backend, controller, { callbacks }), release };
  });
  expect(median).toBeLessThanOrEqual(50);
});

it("during an infer body", async () => {
  const median = await timed(async (controller) => {
    const backend = await Backend.start((stream) =>
      stream.event("checkpoint.saved", { step: 1 }, 1).completed(),
    );
    backend.on("POST /v1/inference/chat", (_, response) => response.writeHead(200).write("x"));
    let infer!: CheckpointContext["infer"];
    const callbacks = {
      onCheckpoint: (context: CheckpointContext) => {
        infer = context.infer;
      },
    };
    await backend.trainer({ callbacks }).wait();
    const { body } = await infer({ messages: [], signal: controller.signal });
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    return { begun: Promise.resolve(), settled: () => rejection(reader.read()) };
  });
  expect(median).toBeLessThanOrEqual(50);
});
