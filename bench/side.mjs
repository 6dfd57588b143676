// Runs one workload once on one side, in a fresh process: `side.mjs arkor|plain <workload> <url>`, or with a
// stream `long-<events>` in place of a workload. Prints the cost as one line of JSON.
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";
import { createPlainTrainer } from "./plain-node.mjs";
import { TRAINERS, WORKLOADS } from "./workloads.mjs";

const [side, name, baseUrl, count] = process.argv.slice(2);
const { kind, job, onLog } = WORKLOADS[name] ?? { kind: "replay", job: "long-#", onLog: "sync" };
const events = Number(count);

let seen = 0;
const CALLBACKS = {
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
};

function create(callbacks, number = count) {
  const id = job.replace("#", number);
  if (side === "plain") return createPlainTrainer({ name: id, callbacks, baseUrl, token: "t" });
  const { createTrainer } = createRequire(import.meta.url)("../index.js");
  // The identity and the backend come from the environment, as with `arkor start --local`.
  return createTrainer({ name: id, model: "m", dataset: { type: "blob", url: "u" }, callbacks });
}

async function follow(trainers) {
  for (const { job } of await Promise.all(trainers.map((trainer) => trainer.wait()))) {
    if (job.status !== "completed") throw new Error(`${side}, ${name}: ${job.status}`);
  }
}

/** The `infer` of a finished run. */
async function asked() {
  let infer;
  const callbacks = {
    onCheckpoint: (context) => {
      infer = context.infer;
    },
  };
  const trainer = create(callbacks);
  await trainer.start();
  await follow([trainer]);
  return infer;
}

async function warmUp() {
  const trainer = create(CALLBACKS.sync, "100000");
  await trainer.start();
  await follow([trainer]);
  seen = 0;
}

const messages = [{ role: "user", content: "Where is my parcel?" }];

/** For each kind of workload, prepares the measured function, and the number of units that it must have seen. */
const KINDS = {
  async replay() {
    // Growth is measured in a process that has warmed up, so that startup doesn't count.
    if (job.startsWith("long")) await warmUp();
    const trainer = create(CALLBACKS[onLog]);
    await trainer.start();
    return [() => follow([trainer]), onLog === "none" ? 0 : events];
  },
  async many() {
    const trainers = Array.from({ length: TRAINERS }, () => create(CALLBACKS[onLog]));
    await Promise.all(trainers.map((trainer) => trainer.start()));
    return [() => follow(trainers), events * TRAINERS];
  },
  async latency() {
    const delays = [];
    const trainer = create({
      onLog: ({ loss }) => {
        seen++;
        delays.push(Number(process.hrtime.bigint()) / 1000 - loss);
      },
    });
    await trainer.start();
    return [() => follow([trainer]), events, delays];
  },
  async answers() {
    const infer = await asked();
    const ask = async () => {
      for (; seen < events; seen++) {
        const answer = await (await infer({ messages, stream: false })).json();
        if (answer.choices.length !== 1) throw new Error("not the answer");
      }
    };
    return [ask, events];
  },
  async body() {
    const infer = await asked();
    const read = async () => {
      let bytes = 0;
      const { body } = await infer({ messages, maxTokens: events });
      for await (const chunk of body) bytes += chunk.length;
      seen = bytes / 1e6;
    };
    return [read, events];
  },
};

const [timed, expected, delays] = await KINDS[kind]();
const utilisation = performance.eventLoopUtilization();
const cpu = process.cpuUsage();
const begin = performance.now();
await timed();
const ms = performance.now() - begin;
const { user, system } = process.cpuUsage(cpu);
const { active } = performance.eventLoopUtilization(utilisation);
if (seen !== expected) throw new Error(`${side}, ${name}: ${seen} instead of ${expected}`);
const cost = { ms, busyMs: active, cpuMs: (user + system) / 1000 };
const rssMb = process.resourceUsage().maxRSS / 1024;
if (delays) {
  delays.sort((a, b) => a - b);
  const at = (share) => delays[Math.floor((delays.length - 1) * share)];
  Object.assign(cost, { p50Us: at(0.5), p99Us: at(0.99) });
}
console.log(JSON.stringify({ ...cost, rssMb }));
