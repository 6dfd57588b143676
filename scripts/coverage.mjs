// `npm run coverage`: measures which lines of the engine (Rust) and of the thin JavaScript side the tests
// run.
//
// For the engine, it adds up the runs of cargo's tests and of vitest's, because most of the engine is tested
// through the public API. `cargo install llvm_profparser` installs the reader for Rust's counters; it needs
// no component of the toolchain. The counters for JavaScript come from V8.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { root, say } from "./steps.mjs";

/** Excludes the tests themselves, and the module that only panics. */
const isCounted = (/** @type {string} */ file) => !/(tests|fake|probe)\.rs$/.test(file);
const PROFILE = ["--locked", "--profile", "local", "--package", "arkor"];

/**
 * @param {string} program
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, capture?: boolean }} [options]
 * @returns {string}
 */
function run(program, args, { env, capture = false } = {}) {
  const { status, stdout, error } = spawnSync(program, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", capture ? "pipe" : "inherit", "inherit"],
  });
  if (error || status !== 0) {
    say(`error: ${program} ${args[0]}: ${error?.message ?? `exit code ${status}`}`);
    process.exit(1);
  }
  return stdout;
}

/**
 * The files that cargo built, according to its messages.
 * @param {string} messages
 * @returns {any[]}
 */
function built(messages) {
  return messages
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .filter(
      ({ reason, target }) => reason === "compiler-artifact" && /arkor|sse/.test(target.name),
    );
}

/**
 * Counts the executable lines and the executed lines in the annotated sources that `cov show` prints: a
 * file's path, then `number|hits|source` for each of its lines.
 * @param {string} text
 * @returns {Map<string, { lines: number, run: number, missed: number[] }>}
 */
function tally(text) {
  /** @type {ReturnType<typeof tally>} */
  const files = new Map();
  /** @type {{ lines: number, run: number, missed: number[] } | undefined} */
  let file;
  let inTests = false;
  for (const line of text.split("\n")) {
    const [, number, hits, source] = /^ *(\d+)\| *(\d*)\|(.*)$/.exec(line) ?? [];
    if (number === undefined) {
      const relative = path.relative(path.join(root, "src"), line);
      const ours = line.startsWith(root) && !relative.startsWith("..") && isCounted(relative);
      file = ours ? { lines: 0, run: 0, missed: [] } : undefined;
      inTests = false;
      if (file) files.set(`src/${relative}`, file);
    } else if (file && !inTests) {
      // A module of tests extends to the end of its file.
      inTests = source === "#[cfg(test)]";
      if (hits === "") continue;
      file.lines++;
      if (hits === "0") file.missed.push(Number(number));
      else file.run++;
    }
  }
  return files;
}

if (spawnSync("cov", ["--help"]).error) {
  say("error: `cov` was not found. Install it with `cargo install --locked llvm_profparser`.");
  process.exit(1);
}
const directory = mkdtempSync(path.join(tmpdir(), "arkor-coverage-"));
try {
  const counters = path.join(directory, "counters");
  mkdirSync(counters);
  // Only this package is instrumented, not its dependencies. The counters are stored in the file (%c), so
  // that they are complete even if a process is killed, as vitest does with its own.
  const wrapper = path.join(directory, "rustc");
  const flags = "-C instrument-coverage -C llvm-args=-runtime-counter-relocation";
  writeFileSync(wrapper, `#!/bin/sh\nexec "$@" ${flags}\n`);
  chmodSync(wrapper, 0o755);
  const env = {
    RUSTC_WORKSPACE_WRAPPER: wrapper,
    CARGO_TARGET_DIR: path.join(root, "target/coverage"),
    LLVM_PROFILE_FILE: path.join(counters, "%p-%m%c.profraw"),
  };
  const messages = ["--message-format", "json-render-diagnostics"];
  const tests = built(
    run("cargo", ["test", ...PROFILE, "--no-run", ...messages], { env, capture: true }),
  ).flatMap(({ executable }) => executable ?? []);
  run("cargo", ["test", ...PROFILE], { env });
  const library = built(
    run("cargo", ["build", ...PROFILE, "--lib", ...messages], { env, capture: true }),
  ).flatMap(({ filenames }) =>
    filenames.filter((/** @type {string} */ name) => /\.(so|dylib)$/.test(name)),
  );
  const addon = path.join(directory, "arkor.node");
  copyFileSync(library[0], addon);
  const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
  run(process.execPath, [vitest, "run", "--config", "vitest.coverage.config.mts"], {
    env: { ...env, NAPI_RS_NATIVE_LIBRARY_PATH: addon },
  });
  const profiles = readdirSync(counters).flatMap((name) => [
    "--instr-profile",
    path.join(counters, name),
  ]);
  const objects = [addon, ...tests].flatMap((name) => ["--object", name]);
  const files = tally(run("cov", ["show", ...profiles, ...objects], { capture: true }));
  const sum = { lines: 0, run: 0 };
  say("");
  for (const [name, { lines, run: ran, missed }] of [...files].sort()) {
    sum.lines += lines;
    sum.run += ran;
    const share = ((ran / Math.max(lines, 1)) * 100).toFixed(1).padStart(6);
    say(
      `${share} %  ${name}${missed.length > 0 ? `  not run: ${missed.slice(0, 12).join(" ")}` : ""}`,
    );
  }
  process.stdout.write(
    `Rust: ${((sum.run / sum.lines) * 100).toFixed(1)} % of ${sum.lines} lines\n`,
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
