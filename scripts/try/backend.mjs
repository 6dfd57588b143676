// A backend on 127.0.0.1 with one short run: two logs, then the end. That's enough to show that an installed
// arkor works.
import { once } from "node:events";
import { createServer } from "node:http";

const JOB = {
  id: "job-1",
  orgId: "local",
  projectId: "project",
  name: "trial",
  status: "queued",
  config: {},
  createdAt: "2026-01-01T00:00:00.000Z",
};
const EVENTS = [
  { type: "training.started" },
  { type: "training.log", step: 1, loss: 2 },
  { type: "training.log", step: 2, loss: 1 },
  { type: "training.completed", artifacts: [] },
];

/** @returns {Promise<{ env: Record<string, string>, close: () => void }>} `env` points arkor at it */
export async function startBackend() {
  const server = createServer((request, response) => {
    request.resume();
    if (request.url?.includes("/events/stream")) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const [id, event] of EVENTS.entries()) {
        response.write(`id: ${id}\ndata: ${JSON.stringify(event)}\n\n`);
      }
      response.end("event: end\n\n");
    } else {
      response.writeHead(201, { "content-type": "application/json" });
      response.end(JSON.stringify({ job: JOB }));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : "";
  const env = { ARKOR_CLOUD_API_URL: `http://127.0.0.1:${port}`, ARKOR_LOCAL_TOKEN: "trial" };
  return { env, close: () => server.close() };
}
