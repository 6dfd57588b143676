// Trains each template of `arkor init` on this machine, and prints its score before and after, as reported by
// its trainer. `node bench/templates.mjs [NAME…]`; exits with status 1 if a template scores below 80 %.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { TEMPLATES } from "../cli/init/templates.js";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const ARKOR = path.join(ROOT, "bin/arkor.js");
const SCORE = /^Before: (\d+) of (\d+) .* right\. After: (\d+) of \d+\.$/m;
const GOAL = 0.8;

/** @param {string} template */
function train(template) {
  const home = mkdtempSync(path.join(tmpdir(), "arkor-bench-"));
  const cwd = path.join(home, template);
  // The model that the templates name isn't downloaded; the built-in one stands in.
  const env = { ...process.env, HOME: home, HF_HUB_OFFLINE: "1" };
  for (const name of ["CI", "ARKOR_CLOUD_API_URL", "ARKOR_LOCAL_TOKEN"]) delete env[name];
  try {
    mkdirSync(path.join(cwd, "node_modules"), { recursive: true });
    symlinkSync(ROOT, path.join(cwd, "node_modules/arkor"), "junction");
    const init = ["init", "-y", "--skip-install", "--skip-git", "--template", template];
    run(process.execPath, [ARKOR, ...init], { cwd, env });
    const begin = performance.now();
    // `times` prints the CPU time of the shell, and then of its children, each as user and system time.
    const command = `"${process.execPath}" "${ARKOR}" start --local && times`;
    const output = run("bash", ["-c", command], { cwd, env });
    const seconds = (performance.now() - begin) / 1000;
    const [, before = 0, rows = 0, after = 0] = (output.match(SCORE) ?? []).map(Number);
    const used = [...output.matchAll(/(\d+)m([\d.]+)s/g)].slice(-2);
    const cpu = used.reduce((sum, [, min, sec]) => sum + Number(min) * 60 + Number(sec), 0);
    return { before, after, rows, seconds, cpu };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv }} at
 * @returns {string} its stdout
 */
function run(program, args, at) {
  const { status, stdout, stderr } = spawnSync(program, args, { ...at, encoding: "utf8" });
  if (status !== 0)
    throw new Error(`${program} ${args.join(" ")} ended with ${status}:\n${stderr}`);
  return stdout;
}

const names = process.argv.slice(2);
console.log(`${cpus().length} cores, Node ${process.version}\n`);
console.log("| template | before | after | time | CPU time |");
console.log("| -------- | ------ | ----- | ---- | -------- |");
for (const { value } of TEMPLATES) {
  if (names.length > 0 && !names.includes(value)) continue;
  const { before, after, rows, seconds, cpu } = train(value);
  const scores = `${before} of ${rows} | ${after} of ${rows}`;
  console.log(`| \`${value}\` | ${scores} | ${seconds.toFixed(0)} s | ${cpu.toFixed(0)} s |`);
  if (!(after >= GOAL * rows) || rows === 0) process.exitCode = 1;
}
