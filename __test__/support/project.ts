// A project in its own directory, in which "arkor" resolves to this checkout.
import {
  cpSync,
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
import { CREDENTIALS } from "./backend.ts";
import { ROOT } from "./command.ts";

export class Project {
  readonly cwd: string;
  /** A separate home directory, so that nothing of this machine's user is read or written. */
  readonly home: string;

  /** @param files contents by path; the directory is deleted when the test ends */
  constructor(files: Record<string, string> = {}) {
    this.cwd = realpathSync(mkdtempSync(path.join(tmpdir(), "arkor-cli-")));
    onTestFinished(() => rmSync(this.cwd, { recursive: true, force: true }));
    this.home = realpathSync(mkdtempSync(path.join(tmpdir(), "arkor-home-")));
    onTestFinished(() => rmSync(this.home, { recursive: true, force: true }));
    mkdirSync(path.join(this.cwd, "node_modules"));
    symlinkSync(ROOT, path.join(this.cwd, "node_modules/arkor"), "junction");
    for (const [file, content] of Object.entries(files)) this.write(file, content);
  }

  /** Creates a copy of a directory, in which "arkor" also resolves to this checkout. */
  static copyOf(directory: string): Project {
    const project = new Project();
    cpSync(directory, project.cwd, { recursive: true });
    return project;
  }

  /** Links a package from elsewhere in the project into node_modules, like a workspace. */
  link(name: string, directory: string): this {
    const link = this.path(path.join("node_modules", name));
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(this.path(directory), link, "junction");
    return this;
  }

  /** The options for a command in this project: the backend's URL, and further environment variables. */
  at(backend: { url: string } | undefined, env: Record<string, string | undefined> = {}) {
    const home = { HOME: this.home, USERPROFILE: this.home, CI: undefined };
    const url = { ARKOR_CLOUD_API_URL: backend?.url, ARKOR_LOCAL_TOKEN: undefined };
    return { cwd: this.cwd, env: { ...home, ...url, ...env } };
  }

  /** Stores credentials for the backend, so that no login is needed. */
  signIn(backend: { url: string }, credentials: Record<string, unknown> = {}) {
    const stored = { ...CREDENTIALS, arkorCloudApiUrl: backend.url, ...credentials };
    mkdirSync(path.join(this.home, ".arkor"), { recursive: true });
    writeFileSync(this.credentials, JSON.stringify(stored));
    return this;
  }

  get credentials(): string {
    return path.join(this.home, ".arkor/credentials.json");
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

/** An entry with a handwritten trainer object. It needs no backend, and ends as specified. */
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
