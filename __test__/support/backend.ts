// A backend on 127.0.0.1 for which the test scripts every response. Its network traffic is real.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import {
  type Credentials,
  createTrainer,
  type Trainer,
  type TrainerContext,
  type TrainerInput,
  type TrainingJob,
} from "../../index.js";

export const JOB = {
  id: "job-1",
  orgId: "org",
  projectId: "project",
  name: "run",
  status: "queued",
  config: {} as TrainingJob["config"],
  createdAt: "2026-01-01T00:00:00.000Z",
} satisfies TrainingJob;

export const CREDENTIALS = {
  mode: "anon",
  token: "the-token",
  anonymousId: "anonymous-1",
  arkorCloudApiUrl: "http://127.0.0.1:1",
  orgSlug: "the org",
} satisfies Credentials;

/** A received request, with its whole body. */
export interface Received {
  method: string;
  path: string;
  /** Path and query, unparsed. */
  target: string;
  query: Record<string, string>;
  headers: IncomingMessage["headers"];
  body: string;
}

export type Handler = (request: Received, response: ServerResponse) => unknown;
/** The script for one request of the event stream. */
export type StreamScript = (stream: EventStream) => unknown;

/** One open event stream, from the backend's side. */
export class EventStream {
  constructor(
    readonly request: Received,
    readonly response: ServerResponse,
  ) {}

  get lastEventId(): string | undefined {
    return this.request.headers["last-event-id"] as string | undefined;
  }

  /** Resolves when the client has closed the connection. */
  get closed(): Promise<void> {
    return new Promise((resolve) => this.response.once("close", () => resolve()));
  }

  write(bytes: string | Uint8Array): this {
    this.response.write(bytes);
    return this;
  }

  /** Sends an event like the cloud, without an id if `id` is undefined. */
  event(type: string, fields: object = {}, id?: string | number): this {
    const data = JSON.stringify({ type, jobId: JOB.id, timestamp: `at ${id}`, ...fields });
    return this.write(`${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${data}\n\n`);
  }

  /** A `training.log` whose step is its id. */
  log(step: number, fields: object = {}): this {
    return this.event("training.log", { step, loss: 1 / step, ...fields }, step);
  }

  completed(id: number | undefined = 1_000_000): this {
    return this.event("training.completed", { artifacts: [] }, id);
  }

  end(): void {
    this.response.end();
  }

  /** Breaks the connection. */
  destroy(): void {
    this.response.destroy();
  }
}

export class Backend {
  readonly requests: Received[] = [];
  readonly sockets = new Set<Socket>();
  readonly directory: string;
  #scripts: StreamScript[] = [];
  #handlers = new Map<string, Handler>();
  #watchers = new Set<() => void>();

  private constructor(
    readonly server: Server,
    readonly url: string,
  ) {
    this.directory = temporaryDirectory();
    server.on("request", (request, response) => void this.#answer(request, response));
    server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => {
        this.sockets.delete(socket);
        this.#wake();
      });
    });
  }

  static async start(...scripts: StreamScript[]): Promise<Backend> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const backend = new Backend(server, `http://127.0.0.1:${port}`);
    backend.#scripts = scripts;
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return backend;
  }

  /** Sets the handler for `METHOD /path`. */
  on(route: string, handler: Handler): this {
    this.#handlers.set(route, handler);
    return this;
  }

  /** Creates a trainer for this backend that reconnects without delay. */
  trainer(input: Partial<TrainerInput> = {}, context: TrainerContext = {}): Trainer {
    return createTrainer(
      {
        name: "run",
        model: "m",
        dataset: { type: "blob", url: "https://data.test/rows.jsonl" },
        ...input,
      },
      {
        baseUrl: this.url,
        credentials: CREDENTIALS,
        cwd: this.directory,
        reconnectDelayMs: 1,
        ...context,
      },
    );
  }

  /** The requests to a path, in order. */
  to(route: string): Received[] {
    return this.requests.filter(({ method, path }) => `${method} ${path}` === route);
  }

  get opened(): Received[] {
    return this.to(`GET /v1/jobs/${JOB.id}/events/stream`);
  }

  /** Resolves once `condition` holds. It's checked after every request and every closed socket. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  #wake() {
    for (const look of [...this.#watchers]) look();
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse) {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const url = new URL(incoming.url ?? "/", this.url);
    const request: Received = {
      method: incoming.method ?? "",
      path: url.pathname,
      target: incoming.url ?? "",
      query: Object.fromEntries(url.searchParams),
      headers: incoming.headers,
      body,
    };
    this.requests.push(request);
    this.#wake();
    const handler = this.#handlers.get(`${request.method} ${request.path}`);
    if (handler) return void (await handler(request, response));
    if (request.path === `/v1/jobs/${JOB.id}/events/stream`) {
      const script = this.#scripts.shift();
      if (!script) return json(response, 410, { error: "the script has no further stream" });
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      return void (await script(new EventStream(request, response)));
    }
    switch (`${request.method} ${request.path}`) {
      case "POST /v1/projects": {
        const { name, slug } = JSON.parse(body);
        return json(response, 201, { project: { id: "p", slug, name, orgId: "o" } });
      }
      case "POST /v1/jobs":
        return json(response, 201, { job: JOB });
      case `GET /v1/jobs/${JOB.id}`:
        return json(response, 200, { job: JOB });
      case `POST /v1/jobs/${JOB.id}/cancel`:
        return json(response, 200, {});
      default:
        return json(response, 404, { error: `no such route: ${request.method} ${request.path}` });
    }
  }
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), "arkor-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A promise, and the functions that settle it. */
export function gate<T = void>() {
  let open!: (value: T) => void;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** The value that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`resolved with ${JSON.stringify(value)} instead of rejecting`);
}
