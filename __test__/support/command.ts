// Runs the `arkor` command as a process, like a user, and waits for its output.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { onTestFinished } from "vitest";
import { ROOT } from "./process.ts";

export { ROOT };
/** The program under test, with its first argument. */
export const ARKOR: [string, string] = [process.execPath, path.join(ROOT, "bin/arkor.js")];

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running process whose output is collected. */
export class Running {
  stdout = "";
  stderr = "";
  readonly exit: Promise<Exit>;
  #child: ChildProcess;
  #onOutput = new Set<() => void>();
  #isOver = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#wake();
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.exit = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#isOver = true;
        this.#wake();
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  #wake() {
    for (const wake of [...this.#onOutput]) wake();
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error("the process was not started");
    return this.#child.pid;
  }

  kill(signal: NodeJS.Signals) {
    this.#child.kill(signal);
  }

  /** Resolves with the match once stdout or stderr contains it. Rejects if the process ends first. */
  until(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = this[stream].match(pattern);
        if (!match && !this.#isOver) return;
        this.#onOutput.delete(look);
        if (match) resolve(match);
        else reject(new Error(`never printed ${pattern}:\n${this.stdout}\n${this.stderr}`));
      };
      this.#onOutput.add(look);
      look();
    });
  }
}

/** Removes the variables of the package manager that runs the tests: the command itself isn't started by one. */
export const UNMANAGED = { npm_config_user_agent: undefined, npm_execpath: undefined };

export interface RunOptions {
  cwd: string;
  env?: Record<string, string | undefined>;
}

/** Starts a program. It's killed when the test ends, if it's still running. */
export function run(program: string, args: string[], { cwd, env = {} }: RunOptions): Running {
  const child = spawn(program, args, {
    cwd,
    // A user's environment, wherever the tests run.
    env: {
      ...process.env,
      ...{ ARKOR_DEBUG: undefined, CI: undefined, FORCE_COLOR: undefined },
      ...UNMANAGED,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const running = new Running(child);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await running.exit;
  });
  return running;
}

/** Starts `arkor` with the arguments. */
export function arkor(args: string[], options: RunOptions): Running {
  const [program, ...first] = ARKOR;
  return run(program, [...first, ...args], options);
}

/** Whether a process with that id is running. A zombie isn't. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== "linux") return true;
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
