// The benchmark can't rot, and what arkor is compared with does the same work.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { createPlainTrainer } from "../../bench/plain-node.mjs";
import { WORKLOADS } from "../../bench/workloads.mjs";
import type { TrainerCallbacks } from "../../index.js";
import { Backend, type EventStream, JOB, json, temporaryDirectory } from "../support/backend.ts";
import { ROOT } from "../support/process.ts";

it("the benchmark runs in its short form and reports every workload", () => {
  const file = path.join(temporaryDirectory(), "report.json");
  const script = path.join(ROOT, "bench/run.mjs");
  const args = [script, "--short", "--json", file];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
  const { report } = JSON.parse(readFileSync(file, "utf8"));
  const names = report.map(({ workload }: { workload: string }) => workload);
  expect(names).toEqual([...Object.keys(WORKLOADS), "import", "growth"]);
});

/** The two sides of the benchmark: what holds for one holds for the other. */
const SIDES = {
  arkor: (backend: Backend, callbacks: Partial<TrainerCallbacks>) => backend.trainer({ callbacks }),
  "plain Node": (backend: Backend, callbacks: Partial<TrainerCallbacks>) =>
    createPlainTrainer({
      name: "run",
      callbacks,
      baseUrl: backend.url,
      token: "t",
      reconnectDelayMs: 1,
    }),
};

describe.each(Object.entries(SIDES))("%s", (_, create) => {
  async function run(
    callbacks: Partial<TrainerCallbacks>,
    ...scripts: ((stream: EventStream) => unknown)[]
  ) {
    const backend = await Backend.start(...scripts);
    backend.on("POST /v1/inference/chat", (request, response) =>
      json(response, 200, { asked: JSON.parse(request.body) }),
    );
    const trainer = create(backend, callbacks);
    await trainer.start();
    return { backend, result: await trainer.wait() };
  }

  it("T3, T7, T8: each callback is awaited, in the order of the stream", async () => {
    const seen: unknown[] = [];
    const note = (name: string) => async () => {
      seen.push(name);
      await new Promise(setImmediate);
      seen.push(`${name} done`);
    };
    const callbacks = {
      onStarted: note("started"),
      onLog: note("log"),
      onCheckpoint: note("checkpoint"),
      onCompleted: note("completed"),
    };
    const { result } = await run(callbacks, (stream) =>
      stream
        .event("training.started", {}, 1)
        .log(2)
        .event("checkpoint.saved", { step: 2 }, 3)
        .completed(4),
    );
    const names = ["started", "log", "checkpoint", "completed"];
    expect(seen).toEqual(names.flatMap((name) => [name, `${name} done`]));
    expect(result).toMatchObject({ job: { status: "completed" }, artifacts: [] });
  });

  it("T9, T10: metrics are numbers or null, and this is the callbacks object", async () => {
    const seen: unknown[] = [];
    const callbacks: Partial<TrainerCallbacks> = {
      onLog(context) {
        seen.push(this, context);
      },
    };
    await run(callbacks, (stream) =>
      stream.log(1, { loss: 1.5, evalLoss: "x", epoch: null }).completed(),
    );
    expect(seen[0]).toBe(callbacks);
    const numbers = { loss: 1.5, evalLoss: null, learningRate: null, epoch: null };
    expect(seen[1]).toMatchObject({ step: 1, samplesPerSecond: null, ...numbers, job: JOB });
  });

  it("T3: a failed run resolves", async () => {
    const { result } = await run({}, (stream) =>
      stream.event("training.failed", { error: "out of memory" }, 1),
    );
    expect(result.job).toMatchObject({ status: "failed", error: "out of memory" });
  });

  it("T22, T24: a broken stream is opened again after the last event", async () => {
    const steps: number[] = [];
    const callbacks = { onLog: ({ step }: { step: number }) => void steps.push(step) };
    const { backend } = await run(
      callbacks,
      (stream) => stream.log(1).log(2).response.socket?.end(),
      (stream) => stream.log(3).completed(),
    );
    expect(steps).toEqual([1, 2, 3]);
    expect(backend.opened[1].headers["last-event-id"]).toBe("2");
  });

  it("T31: infer asks the checkpoint", async () => {
    const answers: unknown[] = [];
    const callbacks: Partial<TrainerCallbacks> = {
      onCheckpoint: async ({ infer }) => {
        answers.push(await (await infer({ messages: [], stream: false })).json());
      },
    };
    await run(callbacks, (stream) => stream.event("checkpoint.saved", { step: 5 }, 1).completed());
    const adapter = { kind: "checkpoint", jobId: JOB.id, step: 5 };
    expect(answers).toEqual([{ asked: { messages: [], stream: false, adapter } }]);
  });
});
