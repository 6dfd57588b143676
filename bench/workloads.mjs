// The workloads: the stream, the callbacks, and the ratio that the engine should reach compared with plain
// Node. A ratio is arkor's figure over plain Node's. For throughput and rates, higher is better; for
// everything else, lower.

/**
 * @typedef {object} Workload
 * @property {"replay" | "latency" | "many" | "answers" | "body"} kind
 * @property {string} job the stream's name, see `server.mjs`; `#` is the number of events
 * @property {number} events how many units
 * @property {string} unit
 * @property {"sync" | "async" | "turn" | "none"} [onLog]
 * @property {Record<string, string>} reach
 */

/** @type {Record<string, Workload>} */
export const WORKLOADS = {
  "200 000 logs, synchronous onLog": {
    kind: "replay",
    job: "small-#",
    events: 200_000,
    unit: "events",
    onLog: "sync",
    reach: { throughput: "≥ 1.8", busyMs: "≤ 0.35" },
  },
  "200 000 logs, async onLog": {
    kind: "replay",
    job: "small-#",
    events: 200_000,
    unit: "events",
    onLog: "async",
    reach: { throughput: "≥ 1.6", busyMs: "≤ 0.45" },
  },
  "200 000 logs, onLog waits for setImmediate": {
    kind: "replay",
    job: "small-#",
    events: 200_000,
    unit: "events",
    onLog: "turn",
    reach: { throughput: "≥ 1.2" },
  },
  "200 000 logs, no onLog": {
    kind: "replay",
    job: "small-#",
    events: 200_000,
    unit: "events",
    onLog: "none",
    reach: { throughput: "≥ 2", busyMs: "≤ 0.1" },
  },
  "20 000 events of 4 KiB": {
    kind: "replay",
    job: "large-#",
    events: 20_000,
    unit: "events",
    onLog: "sync",
    reach: { throughput: "≥ 1.5" },
  },
  "one event of 10 MB": {
    kind: "replay",
    job: "huge-#",
    events: 1,
    unit: "events",
    onLog: "sync",
    reach: { throughput: "≥ 1.5" },
  },
  "one event every 10 ms": {
    kind: "latency",
    job: "paced-#",
    events: 300,
    unit: "events",
    reach: { p50Us: "≤ 1" },
  },
  "200 trainers at once, 500 events each": {
    kind: "many",
    job: "small-#",
    events: 500,
    unit: "events of each",
    onLog: "sync",
    reach: { throughput: "≥ 2", rssMb: "≤ 0.7" },
  },
  "infer: 1 000 small JSON answers": {
    kind: "answers",
    job: "asked-#",
    events: 1000,
    unit: "answers",
    reach: { throughput: "≥ 1" },
  },
  "infer: one streamed body of 50 MB": {
    kind: "body",
    job: "asked-#",
    events: 50,
    unit: "MB",
    reach: { throughput: "≥ 1" },
  },
};

/** How many trainers the workload of kind `many` runs at once. */
export const TRAINERS = 200;

/** The numbers of events for measuring how cost grows. Only arkor runs these. */
export const GROWTH = [100_000, 1_000_000, 3_000_000];
