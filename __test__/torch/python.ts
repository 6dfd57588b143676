// What the tests of the torch engine share: the Python that `npm run test:torch` has made, models that it makes,
// and the processes that the engine starts.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { ROOT } from "../support/command.ts";

const python = process.env.ARKOR_TEST_PYTHON;
if (!python)
  throw new Error("ARKOR_TEST_PYTHON isn't set: run these tests with `npm run test:torch`");

/** A Python with the engine's packages. */
export const PYTHON = python;

/** A folder that's gone when the test ends. */
export function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), "arkor-torch-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** The steps that `onLog` of `real-run.ts` has printed. */
export const stepsOf = (stdout: string) =>
  [...stdout.matchAll(/^step=(\d+) /gm)].map(([, step]) => Number(step));

/** 1, 2, 3 and so on. */
export const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Makes a tiny model of an architecture of `local/torch/tests/models.py`, with random weights. */
export function makeModel(folder: string, architecture: string): string {
  const code = "import sys, models; models.make(models.Path(sys.argv[1]), sys.argv[2])";
  execFileSync(PYTHON, ["-c", code, folder, architecture], {
    env: { ...process.env, PYTHONPATH: path.join(ROOT, "local/torch/tests") },
    stdio: ["ignore", "ignore", "pipe"],
  });
  return folder;
}

/** The ids of all Python processes below one. */
export function pythonsBelow(pid: number): number[] {
  const table = execFileSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" });
  const lines = table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const found = new Set([pid]);
  for (let size = 0; size !== found.size; ) {
    size = found.size;
    for (const [child, parent] of lines) if (found.has(parent)) found.add(child);
  }
  return [...found].filter((id) => commandOf(id).includes("local/torch"));
}

/** The ids of the processes below one that take part in a run. */
export const ranksBelow = (pid: number) =>
  pythonsBelow(pid).filter(
    (id) => /\0--rank=/.test(commandOf(id)) && !/distributed/.test(commandOf(id)),
  );

function commandOf(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}
