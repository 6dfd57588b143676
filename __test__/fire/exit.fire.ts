// How soon a process exits once nothing of arkor's is pending any more (T6), also after an abort. Measured by this
// process, from the line that the script prints to the script's exit.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it, onTestFinished } from "vitest";
import { Backend, CREDENTIALS, JOB } from "../support/backend.ts";
import { ROOT } from "../support/process.ts";

const AT_ONCE_MS = 500;

/** Runs code with `trainer(callbacks, abortSignal, context)` in scope; it prints "settled" at its end. */
async function exitOf(backend: Backend, code: string) {
  const context = { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory };
  const source = `
    const { createTrainer } = require(${JSON.stringify(ROOT)});
    const trainer = (callbacks, abortSignal, context) => createTrainer(
      { name: "run", model: "m", dataset: { type: "blob", url: "u" }, callbacks, abortSignal },
      { ...${JSON.stringify(context)}, ...context },
    );
    const controller = new AbortController();
    const { signal } = controller;
    let calls = 0;
    const settled = () => {
      const before = calls;
      console.log("settled");
      process.once("exit", () => { if (calls !== before) process.exitCode = 3; });
    };
    (async () => { ${code}; settled(); })();`;
  const child = spawn(process.execPath, ["-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let settledAt = 0;
  child.stdout.setEncoding("utf8").on("data", () => {
    settledAt = performance.now();
  });
  const [exit] = await once(child, "close");
  return { exit, ms: performance.now() - settledAt };
}

const STREAM = `GET /v1/jobs/${JOB.id}/events/stream`;
const checkpoint = () =>
  Backend.start((stream) => stream.event("checkpoint.saved", { step: 1 }, 1).completed());
const silent = async (route: string) => (await Backend.start()).on(route, () => {});

it.each<[string, () => Promise<Backend>, string]>([
  ["start()", () => Backend.start(), "await trainer().start()"],
  ["wait()", () => Backend.start((stream) => stream.log(1).completed()), "await trainer().wait()"],
  [
    "cancel()",
    () => Backend.start(),
    "const t = trainer(); await t.start(); await t.cancel(); await t.cancel()",
  ],
  [
    "infer, read to its end",
    async () =>
      (await checkpoint()).on("POST /v1/inference/chat", (_, response) =>
        response.writeHead(200).end("answer"),
      ),
    `let infer;
    await trainer({ onCheckpoint: (context) => { infer = context.infer; } }).wait();
    await (await infer({ messages: [] })).text()`,
  ],
  [
    "an abort during connect",
    () => silent(STREAM),
    `const t = trainer({}, signal);
    const waiting = t.wait();
    await t.start();
    setImmediate(() => controller.abort());
    await waiting.catch(() => {})`,
  ],
  [
    "an abort during backoff",
    () => Backend.start((stream) => stream.end()),
    `await trainer({}, signal, {
      reconnectDelayMs: 60_000,
      onReconnect: () => setImmediate(() => controller.abort()),
    }).wait().catch(() => {})`,
  ],
  [
    "an abort during reading",
    () => Backend.start((stream) => stream.log(1)),
    `const onLog = () => { calls++; setImmediate(() => controller.abort()); };
    await trainer({ onLog }, signal).wait().catch(() => {})`,
  ],
  [
    "an abort during a callback",
    () => Backend.start((stream) => stream.log(1).log(2).log(3)),
    `const onLog = () => { calls++; controller.abort(); };
    await trainer({ onLog }, signal).wait().catch(() => {})`,
  ],
  [
    "an abort during an infer body",
    async () =>
      (await checkpoint()).on("POST /v1/inference/chat", (_, response) =>
        response.writeHead(200).write("x"),
      ),
    `let infer;
    await trainer({ onCheckpoint: (context) => { infer = context.infer; } }).wait();
    const reader = (await infer({ messages: [], signal })).body.getReader();
    await reader.read();
    setImmediate(() => controller.abort());
    await reader.read().catch(() => {})`,
  ],
])(
  "T6: the process is gone at once after %s, and nothing is called any more",
  async (_, start, code) => {
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const { exit, ms } = await exitOf(await start(), code);
      expect(exit).toBe(0);
      times.push(ms);
    }
    console.log(`median ${times.toSorted((a, b) => a - b)[2].toFixed(0)} ms`);
    expect(Math.max(...times)).toBeLessThanOrEqual(AT_ONCE_MS);
  },
);
