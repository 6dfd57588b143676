import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { CloudApiError, createTrainer } from "../../index.js";
import { Backend, CREDENTIALS, gate, JOB, json, rejection } from "../support/backend.ts";
import { runScript } from "../support/process.ts";

describe("start", () => {
  it("T1: submits the job once, whoever asks and however often", async () => {
    const backend = await Backend.start();
    const trainer = backend.trainer({ lora: { r: 8, alpha: 16 }, maxSteps: 3 });
    const [a, b] = await Promise.all([trainer.start(), trainer.start()]);
    expect([a, b, await trainer.start()]).toEqual(Array(3).fill({ jobId: JOB.id }));
    const jobs = backend.to("POST /v1/jobs");
    expect(jobs).toHaveLength(1);
    expect(JSON.parse(jobs[0].body)).toEqual({
      name: "run",
      config: {
        model: "m",
        datasetSource: { type: "blob", url: "https://data.test/rows.jsonl" },
        loraR: 8,
        loraAlpha: 16,
        maxSteps: 3,
      },
    });
    expect(jobs[0].query).toEqual({
      orgSlug: "the org",
      projectSlug: path.basename(backend.directory).toLowerCase(),
    });
    expect(jobs[0].headers.authorization).toBe(`Bearer ${CREDENTIALS.token}`);
    const { version } = JSON.parse(
      readFileSync(path.join(__dirname, "../../package.json"), "utf8"),
    );
    expect(jobs[0].headers["x-arkor-client"]).toBe(`arkor/${version}`);
  });

  it("T1: inherited fields and accessors of the input are part of the config", async () => {
    class Input {
      name = "run";
      get model() {
        return "m";
      }
      get dataset() {
        return { type: "blob", url: "u" } as const;
      }
    }
    const backend = await Backend.start();
    const input = Object.create(new Input(), { maxSteps: { value: 5 } });
    const context = { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory };
    await createTrainer(input, context).start();
    expect(JSON.parse(backend.to("POST /v1/jobs")[0].body)).toEqual({
      name: "run",
      config: { model: "m", datasetSource: { type: "blob", url: "u" }, maxSteps: 5 },
    });
  });

  it("T1: a byte order mark before the answer is none of its matter", async () => {
    const backend = await Backend.start();
    backend.on("POST /v1/jobs", (_, response) =>
      response.writeHead(201).end(`\ufeff${JSON.stringify({ job: JOB })}`),
    );
    expect(await backend.trainer().start()).toEqual({ jobId: JOB.id });
  });

  it("T1: a failed start can be tried again", async () => {
    const backend = await Backend.start();
    backend.on("POST /v1/jobs", (_, response) => json(response, 503, { error: "busy" }));
    const trainer = backend.trainer();
    const error = await rejection(trainer.start());
    expect(error).toBeInstanceOf(CloudApiError);
    expect(error).toMatchObject({ status: 503, message: "busy", name: "CloudApiError" });
    backend.on("POST /v1/jobs", (_, response) => json(response, 201, { job: JOB }));
    expect(await trainer.start()).toEqual({ jobId: JOB.id });
  });

  it("T1: a job without a required field is refused by the field's name", async () => {
    const backend = await Backend.start();
    const { createdAt: _, ...lacking } = JOB;
    backend.on("POST /v1/jobs", (_, response) => json(response, 201, { job: lacking }));
    await expect(backend.trainer().start()).rejects.toThrow(/POST \/v1\/jobs.*job\.createdAt/);
  });

  it("T1: a field of any name in the input, and any job that JSON.parse reads, are no error", async () => {
    const backend = await Backend.start();
    const text = JSON.stringify({ job: JOB }).replace("{}", '{"a":1e400,"b":"\\ud800"}');
    backend.on("POST /v1/jobs", (_, response) => response.writeHead(201).end(text));
    // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
    const odd = { 'we"ird': 1, lora: null, name: "\ud800" } as any;
    expect(await backend.trainer(odd).start()).toEqual({ jobId: JOB.id });
    expect(backend.to("POST /v1/jobs")[0].body).toContain('"name":"\\ud800"');
  });

  it("T1, T33: a failure that nobody waits for is an unhandled rejection, as with any promise", async () => {
    const { stdout } = await runScript(`
      process.on("unhandledRejection", ({ message }) => console.log(message));
      const context = { baseUrl: "http://127.0.0.1:1", cwd: "/", credentials: { mode: "oauth" } };
      const input = { name: "run", model: "m", dataset: { type: "blob", url: "u" } };
      const trainer = arkor.createTrainer(input, context);
      trainer.start();
    `);
    expect(stdout).toBe("createTrainer: missing field `accessToken`\n");
  });

  it("an input that is no object is refused, and a context that is null is none", () => {
    for (const wrong of [undefined, null, "run"]) {
      // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
      expect(() => createTrainer(wrong as any)).toThrow("the first argument must be an object");
    }
    const input = { name: "run", model: "m", dataset: { type: "blob", url: "u" } } as const;
    // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
    expect(createTrainer(input, null as any).name).toBe("run");
    expect(createTrainer(input, { maxReconnectAttempts: Infinity }).name).toBe("run");
  });

  it("T2: opens no stream and runs no callback", async () => {
    const backend = await Backend.start((stream) => stream.log(1).completed().end());
    let called = 0;
    const count = () => called++;
    await backend.trainer({ callbacks: { onLog: count, onCompleted: count } }).start();
    // If the trainer had opened a stream, that request would arrive before this one.
    await fetch(`${backend.url}/marker`);
    expect(backend.opened).toHaveLength(0);
    expect(called).toBe(0);
  });
});

describe("wait", () => {
  it("T3: starts, dispatches, and resolves at the terminal event", async () => {
    const backend = await Backend.start((stream) => {
      stream.event("training.started", {}, 1).log(2);
      stream.event("training.completed", { artifacts: [{ name: "a" }] }, 3);
    });
    const calls: string[] = [];
    const result = await backend
      .trainer({
        callbacks: {
          onStarted: ({ job }) => calls.push(`started ${job.status} ${job.startedAt}`),
          onLog: ({ step }) => calls.push(`log ${step}`),
          onCompleted: ({ job, artifacts }) =>
            calls.push(`completed ${job.status} ${JSON.stringify(artifacts)}`),
        },
      })
      .wait();
    expect(calls).toEqual(["started running at 1", "log 2", 'completed completed [{"name":"a"}]']);
    expect(result.job).toMatchObject({ id: JOB.id, status: "completed", completedAt: "at 3" });
    expect(result.artifacts).toEqual([{ name: "a" }]);
  });

  it("T3: a failed run resolves too", async () => {
    const backend = await Backend.start((stream) =>
      stream.event("training.failed", { error: "out of memory" }, 1),
    );
    const errors: unknown[] = [];
    const result = await backend
      .trainer({ callbacks: { onFailed: ({ error, job }) => errors.push(error, job.status) } })
      .wait();
    expect(errors).toEqual(["out of memory", "failed"]);
    expect(result).toMatchObject({
      job: { status: "failed", error: "out of memory", completedAt: "at 1" },
      artifacts: [],
    });
  });

  it("T4: concurrent and later calls share one run and one result", async () => {
    const backend = await Backend.start((stream) => stream.log(1).completed());
    let logs = 0;
    const trainer = backend.trainer({ callbacks: { onLog: () => logs++ } });
    const [a, b] = await Promise.all([trainer.wait(), trainer.wait()]);
    expect(b).toBe(a);
    expect(await trainer.wait()).toBe(a);
    expect(logs).toBe(1);
    expect(backend.opened).toHaveLength(1);
  });

  it("T4: after a rejection the next call resumes after the last event id", async () => {
    const backend = await Backend.start((stream) => stream.log(1).log(2).end());
    const steps: number[] = [];
    const trainer = backend.trainer({ callbacks: { onLog: ({ step }) => steps.push(step) } });
    expect(await rejection(trainer.wait())).toMatchObject({ status: 410 });
    expect(backend.opened.map(({ headers }) => headers["last-event-id"])).toEqual([undefined, "2"]);
    expect(await rejection(trainer.wait())).toMatchObject({ status: 410 });
    expect(backend.opened[2].headers["last-event-id"]).toBe("2");
    expect(steps).toEqual([1, 2]);
    expect(backend.to("POST /v1/jobs")).toHaveLength(1);
  });
});

describe("cancel", () => {
  it("T5: before start does nothing", async () => {
    const backend = await Backend.start();
    await backend.trainer().cancel();
    expect(backend.requests).toEqual([]);
  });

  it("T5: after a start that failed does nothing", async () => {
    const backend = await Backend.start();
    backend.on("POST /v1/jobs", (_, response) => json(response, 503, { error: "busy" }));
    const trainer = backend.trainer();
    const starting = rejection(trainer.start());
    await trainer.cancel();
    expect(await starting).toMatchObject({ status: 503 });
    expect(backend.requests.map(({ path }) => path)).toEqual(["/v1/projects", "/v1/jobs"]);
  });

  it("T5: waits for a start in flight, then cancels", async () => {
    const backend = await Backend.start();
    const { promise, open } = gate();
    backend.on("POST /v1/jobs", async (_, response) => {
      await promise;
      json(response, 201, { job: JOB });
    });
    const trainer = backend.trainer();
    const starting = trainer.start();
    const cancelling = trainer.cancel();
    await backend.until(() => backend.to("POST /v1/jobs").length === 1);
    expect(backend.to(`POST /v1/jobs/${JOB.id}/cancel`)).toHaveLength(0);
    open();
    await Promise.all([starting, cancelling]);
    const [request] = backend.to(`POST /v1/jobs/${JOB.id}/cancel`);
    expect(request.query).toMatchObject({ orgSlug: "the org" });
  });

  it("T5: sends one request, and a non-2xx answer rejects with CloudApiError", async () => {
    const backend = await Backend.start();
    backend.on(`POST /v1/jobs/${JOB.id}/cancel`, (_, response) =>
      response.writeHead(409).end("done"),
    );
    const trainer = backend.trainer();
    await trainer.start();
    const error = await rejection(trainer.cancel());
    expect(error).toBeInstanceOf(CloudApiError);
    expect(error).toMatchObject({ status: 409, message: "done" });
    expect(backend.to(`POST /v1/jobs/${JOB.id}/cancel`)).toHaveLength(1);
  });
});

describe("the process", () => {
  const prelude = (backend: Backend) => `
    const trainer = (callbacks) => arkor.createTrainer(
      { name: "run", model: "m", dataset: { type: "blob", url: "u" }, callbacks },
      ${JSON.stringify({ baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory })},
    );`;

  it("T6: stays alive while wait() is pending and exits by itself when it has settled", async () => {
    const { promise, open } = gate();
    const backend = await Backend.start(async (stream) => {
      stream.log(1);
      await promise;
      stream.completed();
    });
    const running = runScript(
      `${prelude(backend)}
      trainer({ onLog: () => { console.log("log"); } }).wait()
        .then(({ job }) => console.log(job.status));`,
    );
    await backend.until(() => backend.opened.length === 1);
    open();
    expect(await running).toEqual({ code: 0, stdout: "log\ncompleted\n", stderr: "" });
  });

  it("T6: stays alive for start(), cancel() and infer, and exits after them", async () => {
    const backend = await Backend.start((stream) =>
      stream.event("checkpoint.saved", { step: 1 }, 1).completed(),
    );
    backend.on("POST /v1/inference/chat", (_, response) => json(response, 200, { answer: 42 }));
    const finished = await runScript(
      `${prelude(backend)}
      let infer;
      const run = trainer({ onCheckpoint: (context) => { infer = context.infer; } });
      await run.start();
      await run.wait();
      console.log((await (await infer({ messages: [] })).json()).answer);
      await run.cancel();
      console.log("cancelled");`,
    );
    expect(finished).toEqual({ code: 0, stdout: "42\ncancelled\n", stderr: "" });
  });

  it("T6: an infer body that nobody reads does not keep it alive", async () => {
    const backend = await Backend.start((stream) =>
      stream.event("checkpoint.saved", { step: 1 }, 1).completed(),
    );
    backend.on("POST /v1/inference/chat", (_, response) => {
      response.writeHead(200).write("the beginning");
    });
    const finished = await runScript(
      `${prelude(backend)}
      await trainer({ onCheckpoint: ({ infer }) => infer({ messages: [] }) }).wait();
      console.log("done");`,
    );
    expect(finished).toEqual({ code: 0, stdout: "done\n", stderr: "" });
  });
});
