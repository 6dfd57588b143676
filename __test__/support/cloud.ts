// A backend that behaves like the cloud and sends the given events. Its tests are about how `arkor start`
// handles the events, not about where they come from.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface CloudOptions {
  /** The events to stream, in this order. The stream stays open after the last one unless that is final. */
  events: Record<string, unknown>[];
  /** Status codes for the first requests of the stream. Events follow after those. */
  refusals?: number[];
  /** Headers for every response. */
  headers?: Record<string, string>;
}

export interface Submission {
  name: string;
  config: Record<string, unknown>;
}

export class Cloud {
  /** `POST` bodies by path. */
  readonly posted: { path: string; body: Submission | undefined }[] = [];
  #url = "";

  /** The environment variables that a process needs to use this backend. */
  get env(): Record<string, string> {
    return { ARKOR_CLOUD_API_URL: this.#url, ARKOR_LOCAL_TOKEN: "a-token" };
  }

  static async start({ events, refusals = [], headers = {} }: CloudOptions): Promise<Cloud> {
    const cloud = new Cloud();
    const job = {
      id: "job-1",
      orgId: "o",
      projectId: "p",
      name: "n",
      status: "queued",
      config: {},
      createdAt: "2025-01-01T00:00:00Z",
    };
    const server = createServer(async (request, response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      const path = new URL(request.url ?? "/", "http://localhost").pathname;
      if (request.method === "POST") cloud.posted.push({ path, body: await bodyOf(request) });
      if (path === "/v1/jobs") {
        response.writeHead(201, { "content-type": "application/json" });
        response.end(JSON.stringify({ job }));
      } else if (path === "/v1/jobs/job-1/events/stream") {
        const refusal = refusals.shift();
        if (refusal !== undefined) return void response.writeHead(refusal).end();
        response.writeHead(200, { "content-type": "text/event-stream" });
        const sent = Number(request.headers["last-event-id"] ?? 0);
        for (const [index, event] of events.entries()) {
          if (index + 1 <= sent) continue;
          const data = { jobId: "job-1", timestamp: "2025-01-01T00:00:01Z", ...event };
          response.write(`id: ${index + 1}\ndata: ${JSON.stringify(data)}\n\n`);
        }
        if (/completed|failed/.test(String(events.at(-1)?.type))) response.end("event: end\n\n");
      } else {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify({ job }));
      }
    });
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cloud.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return cloud;
  }
}

async function bodyOf(request: IncomingMessage): Promise<Submission | undefined> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? undefined : JSON.parse(text);
}
