// The backend of a memory check, in a process of its own: what it holds must not count. Prints its
// URL when it listens. The job's name says what its stream does.
import { createServer } from "node:http";

const log = (step, pad = "") =>
  `id: ${step}\ndata: {"type":"training.log","step":${step},"loss":0.5,"pad":"${pad}"}\n\n`;
const COMPLETED = 'data: {"type":"training.completed"}\n\n';

/** Writes as fast as the reader takes it, until `bytes` are out. */
function pour(response, chunk, bytes) {
  let left = bytes;
  const push = () => {
    while (left > 0) {
      left -= chunk.length;
      if (!response.write(chunk)) return response.once("drain", push);
    }
  };
  push();
}

const STREAMS = {
  /** A gigabyte of small events. */
  flood: (response) => {
    let step = 0;
    const batch = () => {
      const parts = [];
      for (let n = 0; n < 1000; n++) parts.push(log(++step));
      return Buffer.from(parts.join(""));
    };
    let left = 2 ** 30;
    const push = () => {
      while (left > 0) {
        const chunk = batch();
        left -= chunk.length;
        if (!response.write(chunk)) return response.once("drain", push);
      }
    };
    push();
  },
  /** 64 MiB of one line. */
  endless: (response) => pour(response, Buffer.alloc(65_536, "x"), 64 * 2 ** 20),
  /** One event of 10 MB. */
  huge: (response) => response.end(log(1, "x".repeat(10_000_000)) + COMPLETED),
  /** One event, then nothing until the job is cancelled. */
  held: (response, job) => {
    response.write(log(1));
    held.set(job, response);
  },
  /** A short run of twenty events. */
  short: (response) => {
    const events = Array.from({ length: 20 }, (_, n) => log(n + 1));
    response.end(events.join("") + COMPLETED);
  },
};

const held = new Map();

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const [, , , id, rest] = pathname.split("/");
  request.resume();
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    return STREAMS[id.split("-")[0]](response, id);
  }
  if (rest === "cancel") {
    for (const stream of held.values()) stream.end(COMPLETED);
    held.clear();
    return response.writeHead(200).end("{}");
  }
  let text = "";
  request.on("data", (chunk) => {
    text += chunk;
  });
  request.on("end", () => {
    const { name } = JSON.parse(text);
    const job = { id: name, orgId: "o", projectId: "p", name, status: "queued", config: {} };
    response.writeHead(201, { "content-type": "application/json" });
    response.end(JSON.stringify({ job: { ...job, createdAt: "2026-01-01T00:00:00Z" } }));
  });
});

server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`http://127.0.0.1:${server.address().port}\n`);
});
