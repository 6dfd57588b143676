// Connections that break at any byte: nothing lost, nothing twice, never two callbacks at once.
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { createTrainer, type Trainer, writeState } from "../../index.js";
import { CREDENTIALS, JOB, temporaryDirectory } from "../support/backend.ts";

type Break = "FIN" | "RST";

/** Where one connection of a job's stream breaks; undefined if it doesn't. */
type Plan = (job: string, connection: number) => { at: number; how: Break } | undefined;

/**
 * A backend that honours `Last-Event-ID`. It uses bare sockets, so that a connection breaks exactly where planned.
 * Responses have no `Content-Length`, so a FIN is a clean end.
 */
async function startBackend(events: Buffer[], plan: Plan) {
  const end = Buffer.from('data: {"type":"training.completed"}\n\n');
  const whole = Buffer.concat([...events, end]);
  const starts = [0];
  for (const event of events) starts.push((starts.at(-1) ?? 0) + event.length);
  const connections = new Map<string, number>();

  function answer(socket: Socket, request: string) {
    const [, method, target] = /^(\w+) (\S+)/.exec(request) ?? [];
    if (method === "POST") {
      const name = JSON.parse(request.slice(request.indexOf("\r\n\r\n") + 4)).name;
      const body = JSON.stringify({ job: { ...JOB, id: name } });
      socket.end(
        `HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      return;
    }
    const job = /jobs\/([^/]+)/.exec(target)?.[1] ?? "";
    const connection = connections.get(job) ?? 0;
    connections.set(job, connection + 1);
    const last = Number(/last-event-id: (\d+)/i.exec(request)?.[1] ?? 0);
    const rest = whole.subarray(starts[last]);
    const cut = plan(job, connection);
    socket.write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n");
    if (!cut) return void socket.end(rest);
    socket.write(rest.subarray(0, cut.at), () => {
      if (cut.how === "FIN") socket.end();
      else socket.resetAndDestroy();
    });
  }

  const server = createServer({ noDelay: true }, (socket) => {
    let request = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      request += chunk;
      const head = request.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(request)?.[1] ?? 0);
      if (request.length >= head + 4 + length) answer(socket, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const cwd = temporaryDirectory();
  await writeState({ orgSlug: CREDENTIALS.orgSlug, projectSlug: "p", projectId: "i" }, cwd);
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return (name: string, onLog: (step: number) => unknown): Trainer =>
    createTrainer(
      {
        name,
        model: "m",
        dataset: { type: "blob", url: "u" },
        callbacks: { onLog: ({ step }) => onLog(step) },
      },
      { baseUrl, credentials: CREDENTIALS, cwd, reconnectDelayMs: 0 },
    );
}

function log(step: number): Buffer {
  return Buffer.from(`id: ${step}\ndata: {"type":"training.log","step":${step}}\n\n`);
}

it.each(["FIN", "RST"] as const)(
  "a stream of 200 events cut at every byte offset by %s: 200 callbacks, in order",
  async (how) => {
    const events = Array.from({ length: 200 }, (_, index) => log(index + 1));
    const bytes = events.reduce((sum, event) => sum + event.length, 0);
    const trainer = await startBackend(events, (job, connection) =>
      connection === 0 ? { at: Number(job.split("-")[1]), how } : undefined,
    );
    const expected = events.map((_, index) => index + 1).join();
    let next = 0;
    const worker = async () => {
      while (next <= bytes) {
        const at = next++;
        const steps: number[] = [];
        await trainer(`cut-${at}`, (step) => void steps.push(step)).wait();
        if (steps.join() !== expected) throw new Error(`cut at ${at}: ${steps.join()}`);
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    expect(next).toBeGreaterThan(bytes);
  },
);

it("1000 random drops over 100 000 events: none lost, none twice, never two at once", async () => {
  const count = 100_000;
  const drops = 1000;
  const events = Array.from({ length: count }, (_, index) => log(index + 1));
  // A small generator with a fixed seed (mulberry32): the same drops every time.
  let seed = 42;
  const random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const bytes = events.reduce((sum, event) => sum + event.length, 0);
  let dropped = 0;
  const trainer = await startBackend(events, () => {
    if (dropped === drops) return undefined;
    dropped++;
    return {
      at: Math.floor((random() * 2 * bytes) / (drops * 1.1)),
      how: random() < 0.5 ? "FIN" : "RST",
    };
  });
  let running = 0;
  let expected = 1;
  await trainer("drops", async (step) => {
    if (++running !== 1) throw new Error("two callbacks at once");
    expect(step).toBe(expected++);
    if (step % 64 === 0) await new Promise(setImmediate);
    running--;
  }).wait();
  expect([expected - 1, dropped]).toEqual([count, drops]);
});
