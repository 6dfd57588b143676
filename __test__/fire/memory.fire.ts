// Memory, file descriptors and threads of whole processes. The backend is another process.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { runScript } from "../support/process.ts";

const MIB = 1024 * 1024;

/** Runs code beside a backend; what it logs as JSON is the result. */
async function measure<T>(code: string): Promise<T> {
  const server = spawn(process.execPath, [path.join(__dirname, "server.mjs")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void server.kill());
  const [line] = await once(server.stdout.setEncoding("utf8"), "data");
  const { stdout, stderr } = await runScript(
    `const { readdirSync } = require("node:fs");
    const rss = () => { globalThis.gc?.(); return process.memoryUsage().rss; };
    const create = (name, callbacks, context, input) => arkor.createTrainer(
      { name, model: "m", dataset: { type: "blob", url: "u" }, callbacks, ...input },
      { reconnectDelayMs: 1, ...context },
    );
    ${code}`,
    {
      ARKOR_CLOUD_API_URL: (line as string).trim(),
      ARKOR_LOCAL_TOKEN: "t",
      NODE_OPTIONS: "--expose-gc",
    },
  );
  if (stderr !== "") throw new Error(stderr);
  return JSON.parse(stdout);
}

it("T27: a gigabyte offered while a callback takes 100 ms grows RSS by at most 64 MiB", async () => {
  const { growth } = await measure<{ growth: number }>(`
    const controller = new AbortController();
    let calls = 0, before = 0, most = 0;
    const onLog = async () => {
      if (++calls === 1) before = rss();
      await new Promise((resolve) => setTimeout(resolve, 100));
      most = Math.max(most, rss());
      if (calls === 40) controller.abort();
    };
    await create("flood", { onLog }, {}, { abortSignal: controller.signal }).wait().catch(() => {});
    console.log(JSON.stringify({ growth: most - before }));
  `);
  console.log(`grew ${(growth / MIB).toFixed(1)} MiB`);
  expect(growth).toBeLessThanOrEqual(64 * MIB);
});

it("T27: a line of 64 MiB without end grows RSS by at most three times the limit", async () => {
  const { growth, message } = await measure<{ growth: number; message: string }>(`
    await create("short").wait();
    const before = rss();
    let most = 0;
    const timer = setInterval(() => { most = Math.max(most, process.memoryUsage().rss); }, 5);
    const error = await create("endless", {}, { maxReconnectAttempts: 0 }).wait().catch((e) => e);
    clearInterval(timer);
    console.log(JSON.stringify({ growth: most - before, message: error.cause.message }));
  `);
  console.log(`grew ${(growth / MIB).toFixed(1)} MiB`);
  expect(message).toContain("16 MiB");
  expect(growth).toBeLessThanOrEqual(48 * MIB);
});

it("T27: an event of 10 MB arrives within a second", async () => {
  const { ms } = await measure<{ ms: number }>(`
    let at;
    const trainer = create("huge", { onLog: () => { at = performance.now(); } });
    await trainer.start();
    const begin = performance.now();
    await trainer.wait();
    console.log(JSON.stringify({ ms: at - begin }));
  `);
  console.log(`took ${ms.toFixed(0)} ms`);
  expect(ms).toBeLessThanOrEqual(1000);
});

it("200 waits at once cost at most 1 MiB each", async () => {
  const { each } = await measure<{ each: number }>(`
    await create("short").wait();
    const before = rss();
    let logs = 0, most = 0;
    const trainers = Array.from({ length: 200 }, (_, n) => create("held-" + n, {
      onLog: () => {
        if (++logs < 200) return;
        most = rss();
        void trainers[0].cancel();
      },
    }));
    await Promise.all(trainers.map((trainer) => trainer.wait()));
    console.log(JSON.stringify({ each: (most - before) / 200 }));
  `);
  console.log(`${(each / 1024).toFixed(0)} KiB each`);
  expect(each).toBeLessThanOrEqual(MIB);
});

it("1000 runs one after another leave no memory, file descriptor or thread behind", async () => {
  type Census = { rss: number; descriptors: number; threads: number };
  // Twenty events a run, so that V8's optimiser has begun before the hundredth. The first function it
  // compiles reads 3.7 MiB of Node's own file into memory (`RssFile` in /proc/self/status).
  const { early, late } = await measure<{ early: Census; late: Census }>(`
    const census = () => ({
      rss: rss(),
      descriptors: readdirSync("/proc/self/fd").length,
      threads: readdirSync("/proc/self/task").length,
    });
    const follow = (run) => create("short-" + run, { onLog() {} }).wait();
    // The first hundred four at a time: the pool then has the few idle connections that it keeps.
    for (let run = 1; run <= 100; run += 4) {
      await Promise.all([run, run + 1, run + 2, run + 3].map(follow));
    }
    const early = census();
    for (let run = 101; run <= 1000; run++) await follow(run);
    console.log(JSON.stringify({ early, late: census() }));
  `);
  console.log(`grew ${((late.rss - early.rss) / MIB).toFixed(1)} MiB`);
  expect(late.rss - early.rss).toBeLessThanOrEqual(5 * MIB);
  expect(late.descriptors).toBeLessThanOrEqual(early.descriptors);
  expect(late.threads).toBeLessThanOrEqual(early.threads);
});
