// The backend for both sides, in its own process. It prints its URL once it listens. The job's name,
// `<kind>-<number>`, determines the contents of the stream and of the response to a chat.
import { createServer } from "node:http";

/** A `training.log` as the cloud sends it; `pad` makes it larger. */
function log(step, fields = {}) {
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
    ...fields,
  };
  return `id: ${step}\nevent: training.log\ndata: ${JSON.stringify(data)}\n\n`;
}

const COMPLETED = 'data: {"type":"training.completed","artifacts":[]}\n\n';
const CHECKPOINT = 'id: 1\ndata: {"type":"checkpoint.saved","step":1}\n\n';

function logs(from, to, fields) {
  const parts = [];
  for (let step = from; step <= to; step++) parts.push(log(step, fields));
  return parts.join("");
}

/** Writes a chunk `times` times, as fast as the client reads, and then ends. */
function pour(response, chunk, times, end = "") {
  let left = times;
  const push = () => {
    while (left-- > 0) if (!response.write(chunk)) return response.once("drain", push);
    response.end(end);
  };
  push();
}

const replays = new Map();

/** The whole stream of a replay, created once. */
function replay(job, events, fields) {
  if (!replays.has(job)) {
    replays.set(job, Buffer.from(logs(1, events, fields) + COMPLETED));
  }
  return replays.get(job);
}

/** Ten thousand events. @type {Buffer | undefined} */
let chunk;

/** The contents of each kind of stream. */
const STREAMS = {
  small: (response, job, events) => response.end(replay(job, events)),
  large: (response, job, events) => response.end(replay(job, events, { pad: "x".repeat(3900) })),
  huge: (response, job, events) => response.end(replay(job, events, { pad: "x".repeat(1e7) })),
  /** Any number of events in bounded memory, by repeating the same ten thousand. */
  long: (response, _job, events) => {
    chunk ??= Buffer.from(logs(1, 10_000));
    pour(response, chunk, events / 10_000, COMPLETED);
  },
  /** One event every 10 ms. Its loss is the time at which it was written, in µs of the monotonic clock. */
  paced: (response, _job, events) => {
    let step = 0;
    const timer = setInterval(() => {
      step++;
      response.write(log(step, { loss: Number(process.hrtime.bigint()) / 1000 }));
      if (step < events) return;
      clearInterval(timer);
      response.end(COMPLETED);
    }, 10);
  },
  asked: (response) => response.end(CHECKPOINT + COMPLETED),
};

const ANSWER = JSON.stringify({
  id: "chat-1",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [
    { index: 0, finish_reason: "stop", message: { role: "assistant", content: "billing" } },
  ],
  usage: { prompt_tokens: 20, completion_tokens: 1, total_tokens: 21 },
});
const MEGABYTE = Buffer.alloc(1e6, "data: x\n\n");

function answer(response, { stream, maxTokens }) {
  const type = stream ? "text/event-stream" : "application/json";
  response.writeHead(200, { "content-type": type });
  if (stream) pour(response, MEGABYTE, maxTokens);
  else response.end(ANSWER);
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (request.method === "GET") {
    const job = pathname.split("/")[3];
    const [kind, events] = job.split("-");
    response.writeHead(200, { "content-type": "text/event-stream" });
    STREAMS[kind](response, job, Number(events));
    return;
  }
  let text = "";
  request.on("data", (chunk) => {
    text += chunk;
  });
  request.on("end", () => {
    const body = JSON.parse(text);
    if (pathname === "/v1/inference/chat") return answer(response, body);
    const { name: id } = body;
    const job = { id, orgId: "o", projectId: "p", name: id, status: "queued", config: {} };
    response.writeHead(201, { "content-type": "application/json" });
    response.end(JSON.stringify({ job: { ...job, createdAt: "2026-01-01T00:00:00.000Z" } }));
  });
});

server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`http://127.0.0.1:${server.address().port}\n`);
});
