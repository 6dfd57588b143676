// The backend that both sides talk to, in a process of its own. It prints its URL when it listens.
// `GET /v1/jobs/<workload>-<events>/events/stream` replays that many events as fast as they are taken.
import { createServer } from "node:http";

/** A `training.log` as the cloud sends it; `pad` makes it larger. */
function log(step, pad = "") {
  const data = {
    type: "training.log",
    jobId: "bench",
    timestamp: "2026-01-01T00:00:00.000Z",
    step,
    loss: 1.2345678,
    evalLoss: null,
    learningRate: 0.0002,
    epoch: 0.125,
    samplesPerSecond: 12.5,
  };
  const text = JSON.stringify(pad ? { ...data, pad } : data);
  return `id: ${step}\nevent: training.log\ndata: ${text}\n\n`;
}

const COMPLETED = 'data: {"type":"training.completed","artifacts":[]}\n\n';

function replay(events, pad = "") {
  const parts = [];
  for (let step = 1; step <= events; step++) parts.push(log(step, pad));
  return Buffer.from(parts.join("") + COMPLETED);
}

const bodies = new Map();

/** @param {string} job `small-200000`, `large-20000` or `huge-1` */
function bodyOf(job) {
  if (!bodies.has(job)) {
    const [kind, events] = job.split("-");
    const pads = { small: "", large: "x".repeat(3900), huge: "x".repeat(10_000_000) };
    bodies.set(job, replay(Number(events), pads[kind]));
  }
  return bodies.get(job);
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (request.method === "POST") {
    let text = "";
    request.on("data", (chunk) => {
      text += chunk;
    });
    request.on("end", () => {
      const id = JSON.parse(text).name;
      bodyOf(id);
      const job = { id, orgId: "o", projectId: "p", name: id, status: "queued", config: {} };
      response.writeHead(201, { "content-type": "application/json" });
      response.end(JSON.stringify({ job: { ...job, createdAt: "2026-01-01T00:00:00.000Z" } }));
    });
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(bodyOf(url.pathname.split("/")[3]));
});

server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`http://127.0.0.1:${server.address().port}\n`);
});
