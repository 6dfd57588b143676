// `npm test`: runs all checks from a fresh clone. Installs, builds, checks format, lints and types, runs the
// tests of both sides, and prints the totals in its last line.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { cargoFailures, showFailures, vitestFailures } from "./failures.mjs";
import { installIfNeeded, root, say, step } from "./steps.mjs";

/** The profile of `arkor-local`, so that the heavy crates are compiled only once. */
const PROFILE = ["--locked", "--profile", "local"];
/** Tested one by one: together, each would be built with the features that the other one enables. */
const CRATES = ["arkor", "arkor-local"];

/** @typedef {{ passed: number, failed: number, code: number, failures: string[] }} Tally */

/**
 * Runs a test runner, shows its output, and also returns it.
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<{ output: string, code: number }>}
 */
function runner(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ output, code: code ?? 1 }));
  });
}

/** @returns {Promise<Tally>} */
async function rustTests() {
  /** @type {Tally} */
  const tally = { passed: 0, failed: 0, code: 0, failures: [] };
  for (const name of CRATES) {
    const args = ["test", ...PROFILE, "--package", name, "--no-fail-fast"];
    const { output, code } = await runner("cargo", args);
    for (const [, ok, bad] of output.matchAll(/^test result: .*? (\d+) passed; (\d+) failed;/gm)) {
      tally.passed += Number(ok);
      tally.failed += Number(bad);
    }
    tally.failures.push(...cargoFailures(output));
    tally.code ||= code;
  }
  return tally;
}

/** @returns {Promise<Tally>} */
async function javaScriptTests() {
  const directory = mkdtempSync(path.join(tmpdir(), "arkor-vitest-"));
  const report = path.join(directory, "report.json");
  const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  try {
    const { code } = await runner(process.execPath, [vitest, "run", ...reporters]);
    const ended = JSON.parse(readFileSync(report, "utf8"));
    const { numPassedTests: passed, numFailedTests: failed } = ended;
    return { passed, failed, code, failures: vitestFailures(ended) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

installIfNeeded();
say("Building.");
step(process.execPath, [path.join(root, "scripts/build.mjs")]);
say("Checking format, lints and types.");
step(process.execPath, [path.join(root, "node_modules/@biomejs/biome/bin/biome"), "ci", "."]);
step("cargo", ["fmt", "--all", "--check"]);
step("cargo", ["clippy", ...PROFILE, "--workspace", "--all-targets", "--", "-D", "warnings"]);
step(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "--noEmit"]);
step(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", "studio"]);
say("Testing.");
const rust = await rustTests();
const javaScript = await javaScriptTests();
const passed = rust.passed + javaScript.passed;
const failed = rust.failed + javaScript.failed;
showFailures([...rust.failures, ...javaScript.failures]);
say(`Rust: ${rust.passed} passed, ${rust.failed} failed`);
say(`JavaScript: ${javaScript.passed} passed, ${javaScript.failed} failed`);
if (rust.code !== 0 || javaScript.code !== 0) process.exitCode = 1;
process.stdout.write(`${passed} passed, ${failed} failed\n`);
