// `npm run bench [-- --pairs N --short --json FILE]`: compares arkor with plain Node. They run in turn, in
// fresh processes, against one server process. Prints medians and the ratio of each pair; bench/README.md
// explains how to read them.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { median, spread, table } from "./figures.mjs";
import { GROWTH, TRAINERS, WORKLOADS } from "./workloads.mjs";

const directory = path.dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    pairs: { type: "string" },
    /**
     * Runs one pair with a hundredth of the work, which shows that the benchmark runs, but nothing about
     * speed.
     */
    short: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const pairs = Number(values.pairs ?? (values.short ? 1 : 5));
if (!Number.isInteger(pairs) || pairs < 1) {
  console.error("error: --pairs must be a whole number from 1");
  process.exit(1);
}
const wanted = (/** @type {string} */ name) => !values.only || name.includes(values.only);
const scaled = (/** @type {number} */ events) =>
  values.short ? Math.max(1, Math.ceil(events / 100)) : events;

const server = spawn(process.execPath, [path.join(directory, "server.mjs")], {
  stdio: ["ignore", "pipe", "inherit"],
});
const [line] = await once(server.stdout.setEncoding("utf8"), "data");
const url = line.trim();
// With the local identity, no credentials are read and no project is created.
const env = { ...process.env, ARKOR_LOCAL_TOKEN: "bench", ARKOR_CLOUD_API_URL: url };
const cwd = mkdtempSync(path.join(tmpdir(), "arkor-bench-"));

/**
 * Runs a script in its own process.
 * @param {string[]} args
 * @returns {string} its output
 */
function node(args) {
  const options = { cwd, env, encoding: /** @type {const} */ ("utf8") };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
  if (status !== 0) throw new Error(`${args.slice(1).join(" ")}:\n${stderr}`);
  return stdout;
}

/**
 * @param {"arkor" | "plain"} side
 * @param {string} workload
 * @param {number} events
 * @returns {Record<string, number>}
 */
function measure(side, workload, events) {
  const script = path.join(directory, "side.mjs");
  const cost = JSON.parse(node([script, side, workload, url, String(events)]));
  const count = WORKLOADS[workload]?.kind === "many" ? events * TRAINERS : events;
  return { throughput: (count / cost.ms) * 1000, ...cost };
}

/**
 * Measures `import("arkor")` and the creation of a trainer, which loads the engine, compared with an empty
 * script: the wall time of the process, and its RSS at the end.
 */
function measureImport() {
  const entry = pathToFileURL(path.join(directory, "../index.js")).href;
  const trainer = '{ name: "n", model: "m", dataset: { type: "blob", url: "u" } }';
  const code = `(await import(${JSON.stringify(entry)})).createTrainer(${trainer})`;
  const rss = "console.log(process.memoryUsage().rss)";
  const run = (/** @type {string} */ code) => {
    const begin = performance.now();
    const bytes = Number(node(["--input-type=module", "-e", `${code};${rss}`]));
    return { ms: performance.now() - begin, rssMb: bytes / 2 ** 20 };
  };
  return { empty: run(""), arkor: run(code) };
}

/** @param {number} times @param {() => any} measurement */
function repeat(times, measurement) {
  return Array.from({ length: times }, measurement);
}

const report = [];
try {
  const { model } = cpus()[0];
  console.log(`Node ${process.version}, ${cpus().length} × ${model.trim()}, ${pairs} pairs`);
  for (const [name, workload] of Object.entries(WORKLOADS)) {
    if (!wanted(name)) continue;
    const events = scaled(workload.events);
    const runs = repeat(pairs, () => ({
      plain: measure("plain", name, events),
      arkor: measure("arkor", name, events),
    }));
    console.log(`\n${name}\n${table(workload, runs)}`);
    report.push({ workload: name, events, runs });
  }
  if (wanted('import("arkor")')) {
    const runs = repeat(values.short ? 1 : pairs * 4, measureImport);
    console.log('\nimport("arkor") and createTrainer, more than an empty script');
    for (const [figure, unit, reach] of [
      ["ms", "ms", "≤ 25"],
      ["rssMb", "MiB", "≤ 10"],
    ]) {
      const more = spread(runs.map(({ arkor, empty }) => arkor[figure] - empty[figure]));
      console.log(`  ${unit.padEnd(4)}${more}   reach ${reach}`);
    }
    report.push({ workload: "import", events: 1, runs });
  }
  if (wanted("growth")) {
    console.log("\ngrowth: arkor alone, synchronous onLog (reach: within 15 % of each other)");
    // In turn, so that a machine that slows down affects all of them.
    const rounds = repeat(pairs, () =>
      GROWTH.map((events) => measure("arkor", "growth", long(events))),
    );
    for (const [index, events] of GROWTH.entries()) {
      const each = rounds.map((round) => (round[index].ms / long(events)) * 1e6);
      const ratio = spread(rounds.map((round) => round[0].throughput / round[index].throughput));
      const cells =
        `${long(events)} events`.padStart(18) + `${median(each).toFixed(0)} ns each`.padStart(14);
      console.log(`${cells}   of the smallest: ${ratio}`);
    }
    report.push({ workload: "growth", events: GROWTH.length, runs: rounds });
  }
  if (values.json) {
    const text = JSON.stringify({ node: process.version, pairs, report }, null, 2);
    writeFileSync(values.json, `${text}\n`);
  }
} finally {
  server.kill();
  rmSync(cwd, { recursive: true, force: true });
}

/** The number of events of the long stream, a multiple of ten thousand. @param {number} events */
function long(events) {
  return values.short ? 10_000 : events;
}
