// `npm run build`: builds the two native parts from their Rust sources, and Studio's page. `--addon` builds
// only the package's addon, `--local` only the local backend, `--page` only the page. Cargo decides what
// needs to be rebuilt, so a second run takes only seconds.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}

/**
 * Runs a program and shows its output.
 * @param {string} program
 * @param {string[]} args
 * @param {string} what the name of the step, for the error message
 */
function run(program, args, what) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: "inherit" });
  if (error) fail(`${what}: ${error.message}`);
  if (status !== 0) fail(`${what} failed; its output above says why.`);
}

function checkCargo() {
  const { status, error } = spawnSync("cargo", ["--version"], { cwd: root, encoding: "utf8" });
  if (error || status !== 0) {
    fail("Rust's cargo was not found. Install Rust from https://rustup.rs, then run this again.");
  }
}

/** @returns {string} cargo's target directory, however it was configured */
function targetDirectory() {
  const args = ["metadata", "--format-version", "1", "--no-deps"];
  const { status, stdout, stderr } = spawnSync("cargo", args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) fail(`cargo metadata failed: ${stderr.trim().split("\n").join(" ")}`);
  return JSON.parse(stdout).target_directory;
}

function buildAddon() {
  const napi = path.join(root, "node_modules/@napi-rs/cli/dist/cli.js");
  if (!existsSync(napi)) fail("The build tools are not installed. Run `npm install` first.");
  const args = ["build", "--platform", "--release", "--js", "binding.js", "--dts", "binding.d.ts"];
  run(process.execPath, [napi, ...args, "--", "--locked"], "Building the addon");
}

function buildLocal() {
  const args = ["build", "--locked", "--profile", "local", "--package", "arkor-local"];
  run("cargo", args, "Building the local backend");
  const name = process.platform === "win32" ? "arkor-local.exe" : "arkor-local";
  const built = path.join(targetDirectory(), "local", name);
  const target = path.join(root, "local/bin", name);
  if (isSame(built, target)) return;
  mkdirSync(path.dirname(target), { recursive: true });
  // Copy it to a temporary name and rename that, because a running binary can't be overwritten.
  const temporary = `${target}.${process.pid}.tmp`;
  copyFileSync(built, temporary);
  chmodSync(temporary, 0o755);
  renameSync(temporary, target);
}

function buildPage() {
  const vite = path.join(root, "node_modules/vite/bin/vite.js");
  if (!existsSync(vite)) fail("The build tools are not installed. Run `npm install` first.");
  const config = path.join(root, "studio/vite.config.mts");
  run(process.execPath, [vite, "build", "--config", config], "Building Studio's page");
}

/**
 * @param {string} built
 * @param {string} copy
 * @returns {boolean} whether the copy is newer than the built file, and has the same size
 */
function isSame(built, copy) {
  const from = statSync(built);
  const to = statSync(copy, { throwIfNoEntry: false });
  return to !== undefined && to.size === from.size && to.mtimeMs >= from.mtimeMs;
}

const PARTS = new Map([
  ["--addon", buildAddon],
  ["--local", buildLocal],
  ["--page", buildPage],
]);
const flags = process.argv.slice(2);
const unknown = flags.find((flag) => !PARTS.has(flag));
if (unknown !== undefined) {
  fail(`Unknown flag ${unknown}; there are ${[...PARTS.keys()].join(", ")}.`);
}
const wanted = [...PARTS].filter(([flag]) => flags.length === 0 || flags.includes(flag));
if (wanted.some(([flag]) => flag !== "--page")) checkCargo();
for (const [, build] of wanted) build();
