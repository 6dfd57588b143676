// What is measured: which stream, how many events, and what `onLog` does.

/** @type {Record<string, { job: string, events: number, onLog: "sync" | "async" | "turn" | "none" }>} */
export const WORKLOADS = {
  "200 000 logs, synchronous onLog": { job: "small-200000", events: 200_000, onLog: "sync" },
  "200 000 logs, async onLog": { job: "small-200000", events: 200_000, onLog: "async" },
  "20 000 logs, onLog waits for setImmediate": {
    job: "small-20000",
    events: 20_000,
    onLog: "turn",
  },
  "200 000 logs, no onLog": { job: "small-200000", events: 200_000, onLog: "none" },
  "20 000 events of 4 KiB": { job: "large-20000", events: 20_000, onLog: "sync" },
  "one event of 10 MB": { job: "huge-1", events: 1, onLog: "sync" },
};
