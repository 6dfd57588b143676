// `npm run bench [-- --pairs N --json FILE]`: arkor beside plain Node, in turn, in fresh processes,
// against one server process. Prints medians and the ratio pair by pair; bench/README.md says how
// to read it.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { WORKLOADS } from "./workloads.mjs";

const directory = path.dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: { pairs: { type: "string", default: "5" }, json: { type: "string" } },
});
const pairs = Number(values.pairs);
if (!Number.isInteger(pairs) || pairs < 1) {
  console.error("error: --pairs must be a whole number from 1");
  process.exit(1);
}

/** @typedef {{ ms: number, busyMs: number, cpuMs: number, rssMb: number }} Cost */

const server = spawn(process.execPath, [path.join(directory, "server.mjs")], {
  stdio: ["ignore", "pipe", "inherit"],
});
const [line] = await once(server.stdout.setEncoding("utf8"), "data");
const url = line.trim();
// The local identity: no credentials are read, no project is created.
const env = { ...process.env, ARKOR_LOCAL_TOKEN: "bench", ARKOR_CLOUD_API_URL: url };
const cwd = mkdtempSync(path.join(tmpdir(), "arkor-bench-"));

/**
 * @param {"arkor" | "plain"} side
 * @param {string} workload
 * @returns {Cost}
 */
function measure(side, workload) {
  const script = path.join(directory, "side.mjs");
  const args = [script, side, workload, url];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd,
    env,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${side}, ${workload}:\n${stderr}`);
  return JSON.parse(stdout);
}

/** @param {number[]} numbers */
function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {number[]} numbers */
function spread(numbers) {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  return `${median(numbers).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

const report = [];
try {
  const { model } = cpus()[0];
  console.log(`Node ${process.version}, ${cpus().length} × ${model.trim()}, ${pairs} pairs`);
  for (const [name, { events }] of Object.entries(WORKLOADS)) {
    /** @type {{ arkor: Cost, plain: Cost }[]} */
    const runs = [];
    for (let pair = 0; pair < pairs; pair++) {
      runs.push({ plain: measure("plain", name), arkor: measure("arkor", name) });
    }
    const of = (side, figure) => median(runs.map((run) => run[side][figure]));
    const ratio = (figure) => spread(runs.map(({ arkor, plain }) => arkor[figure] / plain[figure]));
    const faster = spread(runs.map(({ arkor, plain }) => plain.ms / arkor.ms));
    console.log(`\n${name}`);
    console.log("                    plain Node       arkor   arkor / plain: median (min–max)");
    const rate = (side) => `${((events / of(side, "ms")) * 1000).toFixed(0)}/s`.padStart(12);
    console.log(`  throughput      ${rate("plain")}${rate("arkor")}   ${faster}`);
    for (const [figure, title, unit] of [
      ["busyMs", "main thread", "ms"],
      ["cpuMs", "CPU time", "ms"],
      ["rssMb", "peak RSS", "MiB"],
    ]) {
      const cell = (side) => `${of(side, figure).toFixed(0)} ${unit}`.padStart(12);
      console.log(`  ${title.padEnd(14)}  ${cell("plain")}${cell("arkor")}   ${ratio(figure)}`);
    }
    report.push({ workload: name, events, runs });
  }
  if (values.json) {
    writeFileSync(
      values.json,
      `${JSON.stringify({ node: process.version, pairs, report }, null, 2)}\n`,
    );
  }
} finally {
  server.kill();
  rmSync(cwd, { recursive: true, force: true });
}
