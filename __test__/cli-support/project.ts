// A project in a directory of its own, which resolves "arkor" to this checkout.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { ROOT } from "./command.ts";

export class Project {
  readonly cwd: string;

  /** @param files contents by path; the directory is deleted when the test ends */
  constructor(files: Record<string, string> = {}) {
    this.cwd = realpathSync(mkdtempSync(path.join(tmpdir(), "arkor-cli-")));
    onTestFinished(() => rmSync(this.cwd, { recursive: true, force: true }));
    mkdirSync(path.join(this.cwd, "node_modules"));
    symlinkSync(ROOT, path.join(this.cwd, "node_modules/arkor"), "junction");
    for (const [file, content] of Object.entries(files)) this.write(file, content);
  }

  path(file: string): string {
    return path.join(this.cwd, file);
  }

  write(file: string, content: string) {
    mkdirSync(path.dirname(this.path(file)), { recursive: true });
    writeFileSync(this.path(file), content);
  }

  has(file: string): boolean {
    return existsSync(this.path(file));
  }

  read(file: string): string {
    return readFileSync(this.path(file), "utf8");
  }
}

/** An entry whose trainer is written out: it needs no backend, and ends as it is told to. */
export function handMadeTrainer(parts: { start?: string; wait?: string; cancel?: string } = {}) {
  const job = (status: string) => `({ job: { id: "job-1", status: "${status}" }, artifacts: [] })`;
  return `
    export const trainer = {
      name: "by hand",
      start: async () => { ${parts.start ?? ""}; return { jobId: "job-1" }; },
      wait: async () => { ${parts.wait ?? `return ${job("completed")};`} },
      cancel: async () => { ${parts.cancel ?? ""} },
    };
  `;
}
