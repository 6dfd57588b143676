// A real arkor-local for one test: started on its own store, asked over HTTP, stopped afterwards.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";

const ROOT = path.resolve(__dirname, "../..");

/** The inputs of the cases, one folder each. */
export const CASES = path.join(ROOT, "tests/data/cases");

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server sent
export type Json = any;

export interface Answer {
  status: number;
  body: Json;
}

export interface JobEvent {
  type: string;
  [field: string]: Json;
}

export interface FinishedJob {
  /** 201, or the status of the refusal. */
  status: number;
  /** The refusal's message. */
  error?: string;
  /** The job at its end. */
  job?: { id: string; status: string; error?: string };
  /** Every event of the run, in order. */
  events: JobEvent[];
  /** The metadata of `training.started`. */
  metadata?: Json;
  /** The losses of every `training.log`. */
  losses: number[];
}

/** A loss that isn't finite is a bare word, as Python's `json` writes it. */
function parseEvent(text: string): JobEvent {
  const quoted = text.replace(/"(loss|evalLoss)":(NaN|-?Infinity)/g, '"$1":"$2"');
  const isLoss = (key: string) => key === "loss" || key === "evalLoss";
  return JSON.parse(quoted, (key, value) =>
    isLoss(key) && typeof value === "string" ? Number(value) : value,
  );
}

export class LocalServer {
  constructor(
    readonly url: string,
    readonly token: string,
    readonly store: string,
  ) {}

  /** Sends a request; a body makes it a POST. */
  async request(target: string, body?: unknown): Promise<Answer> {
    const headers = {
      authorization: `Bearer ${this.token}`,
      "content-type": "application/json",
    };
    const init =
      body === undefined ? { headers } : { headers, method: "POST", body: JSON.stringify(body) };
    const answer = await fetch(`${this.url}${target}`, init);
    const text = await answer.text();
    try {
      return { status: answer.status, body: JSON.parse(text) };
    } catch {
      return { status: answer.status, body: text };
    }
  }

  chat(body: object): Promise<Answer> {
    return this.request("/v1/inference/chat", { stream: false, ...body });
  }

  /** Submits a job and, when it's accepted, follows its event stream to the end. */
  async train(config: object): Promise<FinishedJob> {
    const created = await this.request("/v1/jobs", { name: "case", config });
    if (created.status !== 201) {
      return { status: created.status, error: created.body.error, events: [], losses: [] };
    }
    const { id } = created.body.job;
    const stream = await this.request(`/v1/jobs/${id}/events/stream`);
    const events: JobEvent[] = String(stream.body)
      .split("\n")
      .filter((line) => line.startsWith("data: {"))
      .map((line) => parseEvent(line.slice("data: ".length)));
    const { job } = (await this.request(`/v1/jobs/${id}`)).body;
    const metadata = events.find(({ type }) => type === "training.started")?.metadata;
    const losses = events.filter(({ type }) => type === "training.log").map(({ loss }) => loss);
    return { status: 201, job, events, metadata, losses };
  }
}

/** Starts the real binary; it ends with the test. */
export async function startLocalServer(
  env: NodeJS.ProcessEnv = {},
  args: string[] = [],
): Promise<LocalServer> {
  const { binaryPath } = await import("../../local/index.js");
  const store = mkdtempSync(path.join(tmpdir(), "arkor-case-"));
  const child = spawn(binaryPath(), ["--store", store, "--with-parent", ...args], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, ...env },
  });
  onTestFinished(async () => {
    child.stdin.end();
    await once(child, "exit");
    rmSync(store, { recursive: true });
  });
  const [line] = await once(createInterface(child.stdout), "line");
  const { url, token } = JSON.parse(line);
  return new LocalServer(url, token, store);
}

/** A file of a case as a dataset. */
export function dataset(name: string) {
  return { type: "blob", url: pathToFileURL(path.join(CASES, name)).href };
}
