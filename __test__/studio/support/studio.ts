// `arkor dev` as a process, in a project of its own.
import { cpSync } from "node:fs";
import path from "node:path";
import { onTestFinished } from "vitest";
import { arkor, ROOT, type Running } from "../../support/command.ts";
import { Project } from "../../support/project.ts";

export interface Studio {
  running: Running;
  project: Project;
  /** With the token. */
  link: string;
  origin: string;
  token: string;
  /** A call of the API, with the token. */
  api: (call: string, init?: RequestInit) => Promise<Response>;
}

export interface StudioOptions {
  args?: string[];
  env?: Record<string, string | undefined>;
  backend?: { url: string };
  /** A subdirectory of the project in which Studio is started. */
  directory?: string;
}

export async function startStudio(project: Project, options: StudioOptions = {}): Promise<Studio> {
  const { args = ["--port", "0"], env = {}, backend, directory = "" } = options;
  const at = project.at(backend, env);
  const running = arkor(["dev", ...args], { ...at, cwd: path.join(at.cwd, directory) });
  // Before the process is killed, let it end what it has started.
  onTestFinished(async () => {
    running.kill("SIGTERM");
    await running.exit;
  });
  const [, link = "", origin = "", token = ""] = await running.until(
    "stdout",
    /Arkor Studio running on ((http:\/\/localhost:\d+)\/#token=([\w-]+))/,
  );
  const api = (call: string, init: RequestInit = {}) =>
    fetch(`${origin}${call}`, {
      ...init,
      headers: { "x-arkor-studio-token": token, ...init.headers },
    });
  return { running, project, link, origin, token, api };
}

/** The triage example, shortened by `edit`, in the project's directory or one below it. */
export function triage(
  edit: (source: string) => string = (source) => source,
  directory = "",
): Project {
  const project = new Project();
  const from = path.join(ROOT, "examples/triage");
  for (const part of ["src", "data", "arkor.config.ts", "package.json", "tsconfig.json"]) {
    cpSync(path.join(from, part), project.path(path.join(directory, part)), { recursive: true });
  }
  for (const name of ["arkor.config.ts", "src/arkor/trainer.ts"]) {
    const file = path.join(directory, name);
    project.write(file, edit(project.read(file)));
  }
  return project;
}
