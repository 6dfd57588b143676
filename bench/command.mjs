// Measures the cost of the command itself: the time of `arkor --version` compared with `node -e 0`, and the
// live block's share of a run's CPU time. `node bench/command.mjs`; exits with status 1 if a limit is
// exceeded.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { spawn } from "@lydell/node-pty";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const ARKOR = path.join(ROOT, "bin/arkor.js");
const ROUNDS = 40;
const VERSION_LIMIT = 1.5;
const BLOCK_LIMIT = 0.01;
/** The source files of the live block. */
const BLOCK_FILES = /\/cli\/(live-block|progress|reporter)\.js$/;

/** @param {string[]} args of node */
function timeOf(args) {
  const begin = process.hrtime.bigint();
  spawnSync(process.execPath, args, { stdio: "ignore" });
  return Number(process.hrtime.bigint() - begin) / 1e6;
}

/** @param {number[]} values */
function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** Measures both in turn, so that other load on the machine affects both. */
function versionRatio() {
  /** @type {number[]} */ const bare = [];
  /** @type {number[]} */ const version = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    bare.push(timeOf(["-e", "0"]));
    version.push(timeOf([ARKOR, "--version"]));
  }
  const [bareMs, versionMs] = [median(bare), median(version)];
  const ratio = versionMs / bareMs;
  console.log(
    `arkor --version: ${versionMs.toFixed(1)} ms, node -e 0: ${bareMs.toFixed(1)} ms ` +
      `(medians of ${ROUNDS}), ratio ${ratio.toFixed(2)}, limit ${VERSION_LIMIT}`,
  );
  return ratio;
}

/**
 * Trains a template's project at a terminal, with the sampling profiler on.
 * @param {string} cwd
 * @returns {Promise<string>} the terminal's output, ending with the shell's `times`
 */
function trainAtTerminal(cwd) {
  const command = `"${process.execPath}" --cpu-prof --cpu-prof-dir=profile "${ARKOR}" start --local && times`;
  const terminal = spawn("/bin/bash", ["-c", command], { cwd, cols: 100, rows: 30 });
  let output = "";
  terminal.onData((text) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    terminal.onExit(({ exitCode }) => {
      if (exitCode === 0) resolve(output);
      else reject(new Error(output));
    });
  });
}

/**
 * @param {string} output
 * @returns {number} the CPU time of the command and its local backend, user and system, in ms
 */
function cpuOf(output) {
  // `times` prints the shell's own line, then its children's: 0m12.345s 0m0.678s.
  const [, children = ""] = output.match(/\n[^\n]*s\s+[^\n]*s\r?\n(\d+m[\d.]+s \d+m[\d.]+s)/) ?? [];
  const parts = [...children.matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  );
}

/**
 * @param {string} file a `.cpuprofile`
 * @returns {number} the time in ms during which a function of the block's files was on the stack
 */
function blockMs(file) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, "utf8"));
  /** @type {Set<number>} */ const inside = new Set();
  // Parents come before their children.
  for (const { id, callFrame, children = [] } of nodes) {
    if (BLOCK_FILES.test(callFrame.url)) inside.add(id);
    if (inside.has(id)) for (const child of children) inside.add(child);
  }
  const micros = samples.reduce(
    (/** @type {number} */ sum, /** @type {number} */ id, /** @type {number} */ index) =>
      inside.has(id) ? sum + timeDeltas[index] : sum,
    0,
  );
  return micros / 1000;
}

async function blockShare() {
  const cwd = mkdtempSync(path.join(tmpdir(), "arkor-bench-"));
  try {
    mkdirSync(path.join(cwd, "node_modules"));
    symlinkSync(ROOT, path.join(cwd, "node_modules/arkor"), "junction");
    execFileSync(process.execPath, [ARKOR, "init", "-y", "--skip-install"], {
      cwd,
      stdio: "ignore",
    });
    const output = await trainAtTerminal(cwd);
    const [profile = ""] = readdirSync(path.join(cwd, "profile"));
    const [block, total] = [blockMs(path.join(cwd, "profile", profile)), cpuOf(output)];
    // Each redraw first clears the previous block: it moves up by its rows, and erases everything below.
    const redraws = output.split("\u001b[J").length - 1;
    const share = block / total;
    console.log(
      `the live block: ${block.toFixed(0)} ms of ${(total / 1000).toFixed(1)} s CPU ` +
        `(${redraws} redraws), ${(share * 100).toFixed(2)} %, limit ${BLOCK_LIMIT * 100} %`,
    );
    return share;
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

const ratio = versionRatio();
const share = await blockShare();
if (!(ratio <= VERSION_LIMIT && share < BLOCK_LIMIT)) process.exitCode = 1;
