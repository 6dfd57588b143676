// Runs a script in its own Node process, for behaviour that only a whole process shows.
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { onTestFinished } from "vitest";

export const ROOT = path.resolve(__dirname, "../..");

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs CommonJS code with `arkor` in scope. Resolves when the process has ended on its own. With `talk`,
 * there's an IPC channel to it.
 */
export function runScript(
  code: string,
  env: NodeJS.ProcessEnv = {},
  talk?: (child: ChildProcess) => void,
): Promise<Finished> {
  const source = `const arkor = require(${JSON.stringify(ROOT)});(async () => {${code}})();`;
  const child = spawn(process.execPath, ["-e", source], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe", talk ? "ipc" : "ignore"],
  });
  talk?.(child);
  onTestFinished(() => void child.kill("SIGKILL"));
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
