// A cloud that knows the routes of its API and nothing else: a request for anything else is a 404, and is
// remembered, so that a test can say that there was none.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { json } from "../../support/backend.ts";

export interface CloudJob {
  id: string;
  orgId: string;
  projectId: string;
  name: string;
  status: string;
  config: Record<string, unknown>;
  error?: string;
  createdAt: string;
  startedAt?: string;
  completedAt?: string;
}

type Event = Record<string, unknown> | string;
// biome-ignore lint/suspicious/noExplicitAny: bodies are whatever a client sends
type Body = Record<string, any>;

/** A stream that a test writes to. */
export class JobStream {
  readonly #events: Event[] = [];
  readonly #readers = new Set<ServerResponse>();
  #isOver = false;

  /** A string is sent unchanged, because not every trainer writes valid JSON. */
  push(...events: Event[]): void {
    for (const event of events) {
      this.#events.push(event);
      for (const reader of this.#readers) reader.write(frame(this.#events.length, event));
    }
  }

  end(): void {
    this.#isOver = true;
    for (const reader of this.#readers) reader.end("event: end\ndata: {}\n\n");
  }

  /** Cuts the connections of all readers, as a network does. */
  cut(): void {
    for (const reader of this.#readers) reader.destroy();
    this.#readers.clear();
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    const seen = Number(request.headers["last-event-id"] ?? 0) || 0;
    let text = "";
    for (let at = seen; at < this.#events.length; at++) {
      text += frame(at + 1, this.#events[at] ?? {});
      if (text.length < 256 * 1024) continue;
      if (!response.write(text)) await new Promise((resolve) => response.once("drain", resolve));
      text = "";
    }
    response.write(text);
    if (this.#isOver) return void response.end("event: end\ndata: {}\n\n");
    this.#readers.add(response);
    response.once("close", () => this.#readers.delete(response));
  }

  get readers(): number {
    return this.#readers.size;
  }
}

function frame(id: number, event: Event): string {
  return `id: ${id}\ndata: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`;
}

export class StudioCloud {
  readonly jobs: CloudJob[] = [];
  readonly streams = new Map<string, JobStream>();
  readonly deployments: Body[] = [];
  readonly keys = new Map<string, Body[]>();
  readonly cancelled: string[] = [];
  readonly asked: Body[] = [];
  /** Requests that the cloud's API doesn't have. */
  readonly unknown: string[] = [];
  /** `Last-Event-ID`s of the streams that were opened. */
  readonly resumed: (string | undefined)[] = [];
  /** A model's answer, in pieces. At a `null`, the stream stays open until the client leaves. */
  answer: (body: Body) => (string | null)[] = () => ["Hello", " there."];
  /** Resolves when a client has left an unfinished answer. */
  readonly abandoned: Promise<void>;
  headers: Record<string, string> = {};
  /** If given, `GET /v1/me` is refused with this message. */
  refusal?: string;
  #abandon = () => {};
  #server: Server;
  #port = 0;

  private constructor() {
    this.abandoned = new Promise((resolve) => {
      this.#abandon = resolve;
    });
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<StudioCloud> {
    const cloud = new StudioCloud();
    await new Promise<void>((resolve) => cloud.#server.listen(0, "127.0.0.1", resolve));
    cloud.#port = (cloud.#server.address() as AddressInfo).port;
    return cloud;
  }

  /** Starts a cloud that is closed when the test ends. */
  static async forTest(): Promise<StudioCloud> {
    const cloud = await StudioCloud.start();
    onTestFinished(() => cloud.close());
    return cloud;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  add(job: Partial<CloudJob> = {}, events: Iterable<Event> = []): JobStream {
    const id = job.id ?? `job_${this.jobs.length + 1}`;
    this.jobs.unshift({
      orgId: "o",
      projectId: "p",
      name: `run ${this.jobs.length + 1}`,
      status: "running",
      config: { model: "acme/base", maxSteps: 100 },
      createdAt: new Date(Date.now() - 60_000).toISOString(),
      startedAt: new Date(Date.now() - 50_000).toISOString(),
      ...job,
      id,
    });
    const stream = new JobStream();
    for (const event of events) stream.push(event);
    this.streams.set(id, stream);
    if (job.status !== undefined && !["running", "queued"].includes(job.status)) stream.end();
    return stream;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(this.headers)) response.setHeader(name, value);
    const { pathname } = new URL(request.url ?? "/", "http://cloud");
    let text = "";
    for await (const chunk of request) text += chunk;
    const body: Body = text === "" ? {} : JSON.parse(text);
    const call = `${request.method} ${pathname}`;
    const handled = this.#account(call, body, response) || this.#job(call, body, request, response);
    if (handled || this.#endpoint(call, body, response)) return;
    this.unknown.push(call);
    json(response, 404, { error: `no such route: ${call}` });
  }

  #account(call: string, body: Body, response: ServerResponse): boolean {
    switch (call) {
      case "GET /v1/me":
        if (this.refusal !== undefined) json(response, 401, { error: this.refusal });
        else
          json(response, 200, {
            user: { id: "u", name: "Ada" },
            orgs: [{ id: "o", slug: "acme" }],
          });
        return true;
      case "POST /v1/projects":
        json(response, 201, { project: { id: "p", slug: body.slug, name: body.name, orgId: "o" } });
        return true;
      case "POST /v1/inference/chat":
        this.asked.push(body);
        this.#chat(body, response);
        return true;
      default:
        return false;
    }
  }

  #chat(body: Body, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const piece of this.answer(body)) {
      if (piece === null) {
        response.once("close", this.#abandon);
        return;
      }
      const choices = [{ index: 0, delta: { content: piece }, finish_reason: null }];
      response.write(`data: ${JSON.stringify({ model: "m", choices })}\n\n`);
    }
    const last = {
      model: "m",
      choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
      usage: { completion_tokens: 3 },
    };
    response.end(`data: ${JSON.stringify(last)}\n\ndata: [DONE]\n\n`);
  }

  #job(call: string, body: Body, request: IncomingMessage, response: ServerResponse): boolean {
    if (call === "GET /v1/jobs") json(response, 200, { jobs: this.jobs });
    else if (call === "POST /v1/jobs") {
      this.add({ name: body.name, config: body.config });
      json(response, 201, { job: this.jobs[0] });
    } else {
      const [, method, id, rest] = /^(\w+) \/v1\/jobs\/([^/]+)(.*)$/.exec(call) ?? [];
      const job = this.jobs.find((known) => known.id === id);
      if (id === undefined) return false;
      if (!job) json(response, 404, { error: "job not found" });
      else if (`${method}${rest}` === "GET") json(response, 200, { job });
      else if (`${method}${rest}` === "POST/cancel") this.#cancel(job, response);
      else if (`${method}${rest}` === "GET/events/stream") {
        this.resumed.push(request.headers["last-event-id"] as string | undefined);
        void this.streams.get(id)?.serve(request, response);
      } else return false;
    }
    return true;
  }

  #cancel(job: CloudJob, response: ServerResponse): void {
    this.cancelled.push(job.id);
    job.status = "cancelled";
    job.completedAt = new Date().toISOString();
    this.streams.get(job.id)?.end();
    json(response, 200, {});
  }

  #endpoint(call: string, body: Body, response: ServerResponse): boolean {
    const now = new Date().toISOString();
    const [, method, id, keys, keyId] =
      /^(\w+) \/v1\/endpoints(?:\/([^/]+)(?:(\/keys)(?:\/([^/]+))?)?)?$/.exec(call) ?? [];
    if (method === undefined) return false;
    const found = this.deployments.find((known) => known.id === id);
    const list = this.keys.get(id ?? "") ?? [];
    if (id === undefined && method === "GET") {
      json(response, 200, { deployments: this.deployments });
    } else if (id === undefined && method === "POST") {
      const made = { orgId: "o", projectId: "p", urlFormat: "openai_compat", customDomain: null };
      const times = { enabled: true, createdAt: now, updatedAt: now };
      const deployment = { id: `dep_${this.deployments.length + 1}`, ...made, ...times, ...body };
      this.deployments.push(deployment);
      json(response, 201, { deployment });
    } else if (!found) json(response, 404, { error: "endpoint not found" });
    else if (keys === undefined && method === "GET") json(response, 200, { deployment: found });
    else if (keys === undefined && method === "PATCH") {
      json(response, 200, { deployment: Object.assign(found, body) });
    } else if (keys === undefined && method === "DELETE") {
      this.deployments.splice(this.deployments.indexOf(found), 1);
      response.writeHead(204).end();
    } else if (method === "GET") json(response, 200, { keys: list });
    else if (method === "POST") {
      const key = {
        id: `key_${list.length + 1}`,
        label: body.label,
        prefix: "ak_12",
        createdAt: now,
      };
      this.keys.set(id ?? "", [...list, { ...key, enabled: true, lastUsedAt: null }]);
      json(response, 201, { key: { ...key, plaintext: "ak_1234567890abcdef" } });
    } else if (method === "DELETE") {
      this.keys.set(
        id ?? "",
        list.filter((key) => key.id !== keyId),
      );
      response.writeHead(204).end();
    } else return false;
    return true;
  }
}

/** The events of a run that learns: a falling, noisy loss, with checkpoints. */
export function learning(
  steps: number,
  { seed = 1, last = steps } = {},
): Record<string, unknown>[] {
  let state = seed;
  const random = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  const start = Date.now() - 60_000;
  const at = (step: number) => new Date(start + step * 500).toISOString();
  const events: Record<string, unknown>[] = [
    { type: "training.started", timestamp: at(0), metadata: { totalSteps: steps } },
  ];
  for (let step = 1; step <= last; step++) {
    const loss = 2.4 * Math.exp((-3 * step) / steps) + 0.25 + (random() - 0.5) * 0.25;
    const isEval = step % Math.ceil(steps / 12) === 0;
    events.push({
      type: "training.log",
      timestamp: at(step),
      step,
      loss,
      evalLoss: isEval ? 2.4 * Math.exp((-2.8 * step) / steps) + 0.33 : null,
      learningRate: 2e-4 * (0.5 + 0.5 * Math.cos((Math.PI * step) / steps)),
      epoch: step / 50,
      samplesPerSecond: 80 + random() * 8,
    });
    if (step % Math.ceil(steps / 3) === 0) {
      const artifacts = [
        { name: "adapter_model.safetensors", size: 1_234_567, sha256: "0".repeat(64) },
      ];
      events.push({ type: "checkpoint.saved", timestamp: at(step), step, artifacts });
    }
  }
  return events;
}

export const completed = (): Record<string, unknown> => ({
  type: "training.completed",
  timestamp: new Date().toISOString(),
  metrics: { loss: 0.26 },
  artifacts: [{ name: "adapter_model.safetensors", size: 1_234_567, sha256: "0".repeat(64) }],
});

export const minutesAgo = (minutes: number): string =>
  new Date(Date.now() - minutes * 60_000).toISOString();
