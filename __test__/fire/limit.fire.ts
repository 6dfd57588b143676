// What gives up, and when: by the clock of the process that waits.
import { expect, it } from "vitest";
import { Backend, JOB, rejection } from "../support/backend.ts";

const LIMIT_MS = 60_000;

/** How long a promise took to reject, in milliseconds, and with what. */
async function timed(promise: Promise<unknown>) {
  const begin = performance.now();
  const { cause } = (await rejection(promise)) as { cause?: { code: string; message: string } };
  return { ms: performance.now() - begin, cause };
}

/** A backend that takes the request to this route and says nothing. */
async function silentAt(route: string) {
  const backend = await Backend.start((stream) => stream.write("event: end\n\n"));
  return backend.on(route, () => {});
}

it("T1: start(), cancel() and T13's request give up after 60 s", async () => {
  const start = async () => {
    const backend = await silentAt("POST /v1/jobs");
    return timed(backend.trainer().start());
  };
  const cancel = async () => {
    const backend = await silentAt(`POST /v1/jobs/${JOB.id}/cancel`);
    const trainer = backend.trainer();
    await trainer.start();
    return timed(trainer.cancel());
  };
  const lastLook = async () => {
    const backend = await silentAt(`GET /v1/jobs/${JOB.id}`);
    const begin = performance.now();
    const { job } = await backend.trainer().wait();
    return { ms: performance.now() - begin, status: job.status };
  };
  const [started, cancelled, looked] = await Promise.all([start(), cancel(), lastLook()]);
  console.log([started, cancelled, looked].map(({ ms }) => `${ms.toFixed(0)} ms`).join(", "));
  for (const { cause } of [started, cancelled]) {
    expect(cause).toMatchObject({
      code: "ETIMEDOUT",
      message: expect.stringContaining("within 60 s"),
    });
  }
  expect(looked.status).toBe("queued");
  for (const { ms } of [started, cancelled, looked]) {
    expect(ms).toBeGreaterThanOrEqual(LIMIT_MS - 100);
    expect(ms).toBeLessThan(LIMIT_MS + 5_000);
  }
}, 90_000);

it("T26: silence and an answer without a head are given up within the timeout and a second", async () => {
  const idleTimeoutMs = 2000;
  const silent = await Backend.start(
    (stream) => stream.log(1),
    (stream) => stream.completed(),
  );
  const headless = await Backend.start();
  const timedOut = async (backend: Backend) => {
    let begin = performance.now();
    let ms = 0;
    const controller = new AbortController();
    const onLog = () => {
      begin = performance.now();
    };
    const onReconnect = () => {
      ms = performance.now() - begin;
      controller.abort();
    };
    const input = { callbacks: { onLog }, abortSignal: controller.signal };
    const trainer = backend.trainer(input, { idleTimeoutMs, onReconnect });
    await trainer.start();
    begin = performance.now();
    await rejection(trainer.wait());
    return ms;
  };
  headless.on(`GET /v1/jobs/${JOB.id}/events/stream`, () => {});
  const times = await Promise.all([timedOut(silent), timedOut(headless)]);
  console.log(times.map((ms) => `${ms.toFixed(0)} ms`).join(", "));
  for (const ms of times) {
    expect(ms).toBeGreaterThanOrEqual(idleTimeoutMs - 50);
    expect(ms).toBeLessThanOrEqual(idleTimeoutMs + 1000);
  }
});
