// One side, one workload, once, in a fresh process: `side.mjs arkor|plain <workload> <url>`.
// Prints what it cost as one line of JSON.
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";
import { createPlainTrainer } from "./plain-node.mjs";
import { WORKLOADS } from "./workloads.mjs";

const [side, name, baseUrl] = process.argv.slice(2);
const { job, events, onLog: kind } = WORKLOADS[name];

let seen = 0;
const callbacks = {
  sync: { onLog: () => void seen++ },
  async: {
    onLog: async () => {
      seen++;
    },
  },
  turn: {
    onLog: () => {
      seen++;
      return turn();
    },
  },
  none: {},
}[kind];

function createTrainer() {
  if (side === "plain") return createPlainTrainer({ name: job, callbacks, baseUrl, token: "t" });
  const { createTrainer } = createRequire(import.meta.url)("../index.js");
  // Who and where are in the environment, as `arkor start --local` sets them.
  return createTrainer({ name: job, model: "m", dataset: { type: "blob", url: "u" }, callbacks });
}

const trainer = createTrainer();
await trainer.start();
const utilisation = performance.eventLoopUtilization();
const cpu = process.cpuUsage();
const begin = performance.now();
const { job: finished } = await trainer.wait();
const ms = performance.now() - begin;
const { user, system } = process.cpuUsage(cpu);
const { active } = performance.eventLoopUtilization(utilisation);
if (finished.status !== "completed" || (kind !== "none" && seen !== events)) {
  throw new Error(`${side} ${name}: ${finished.status} after ${seen} of ${events} events`);
}
const cost = { ms, busyMs: active, cpuMs: (user + system) / 1000 };
console.log(JSON.stringify({ ...cost, rssMb: process.resourceUsage().maxRSS / 1024 }));
