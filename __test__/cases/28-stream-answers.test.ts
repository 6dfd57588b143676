// Requests for an event stream whose response isn't a plain event stream.
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Backend, JOB, json } from "../support/backend.ts";
import { zstdFrame } from "../support/zstd.ts";

const STREAM = `GET /v1/jobs/${JOB.id}/events/stream`;

const event = (id: number, type: string, fields: object = {}) =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify({ type, jobId: JOB.id, ...fields })}\n\n`;
const WHOLE =
  event(1, "training.started") +
  event(2, "training.log", { step: 1, loss: 1 }) +
  event(3, "training.completed", { artifacts: [] });

it("204 ends the run, as `end` does: the job is asked for once and nothing is opened again", async () => {
  const backend = await Backend.start();
  backend.on(STREAM, (_, response) => response.writeHead(204).end());
  backend.on(`GET /v1/jobs/${JOB.id}`, (_, response) =>
    json(response, 200, { job: { ...JOB, status: "cancelled" } }),
  );
  const { job } = await backend.trainer().wait();
  expect(job.status).toBe("cancelled");
  expect(backend.opened).toHaveLength(1);
  expect(backend.to(`GET /v1/jobs/${JOB.id}`)).toHaveLength(1);
});

it.each([
  [
    "a login page",
    "text/html; charset=utf-8",
    "<html>Sign in to the Wi-Fi\n\n</html>",
    "text/html",
  ],
  ["JSON", "application/json", '{"error":"maintenance"}', "application/json"],
])("%s with a 200 is a failure that names the type", async (_, type, body, named) => {
  const backend = await Backend.start((stream) => void stream.completed().end());
  let answered = 0;
  backend.on(STREAM, (request, response) => {
    answered++;
    if (answered > 1) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.end(WHOLE);
    }
    response.writeHead(200, { "content-type": type });
    response.end(body);
    return request;
  });
  const reasons: string[] = [];
  const context = {
    onReconnect: ({ error }: { error?: unknown }) => void reasons.push(String(error)),
  };
  const { job } = await backend.trainer({}, context).wait();
  expect(job.status).toBe("completed");
  expect(reasons).toEqual([
    `Error: The event stream was answered with ${named}, not text/event-stream`,
  ]);
});

describe("a compressed stream is read as it comes", () => {
  const codings: [string, (bytes: Buffer) => Buffer][] = [
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
    ["zstd", zstdFrame],
  ];
  it.each(codings)("%s", async (coding, compress) => {
    const backend = await Backend.start();
    const accepted: unknown[] = [];
    backend.on(STREAM, ({ headers }, response) => {
      accepted.push(headers["accept-encoding"]);
      response.writeHead(200, {
        "content-type": "text/event-stream",
        "content-encoding": coding,
      });
      response.end(compress(Buffer.from(WHOLE)));
    });
    const steps: number[] = [];
    const { job } = await backend
      .trainer({ callbacks: { onLog: ({ step }) => void steps.push(step) } })
      .wait();
    expect(job.status).toBe("completed");
    expect(steps).toEqual([1]);
    expect(String(accepted[0])).toContain(coding);
  });
});
