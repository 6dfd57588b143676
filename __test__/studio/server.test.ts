// The server's calls, as the page and scripts make them.
import { execFileSync } from "node:child_process";
import { createServer, type Server } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { listen } from "../../cli/dev/listen.js";
import { arkor, isAlive } from "../support/command.ts";
import { completed, learning, StudioCloud } from "./support/cloud.ts";
import { cloudProject, cloudStudio, ENTRY } from "./support/cloud-project.ts";
import { startStudio } from "./support/studio.ts";

const post = (body: unknown) => ({ method: "POST", body: JSON.stringify(body) });

it("a path that is no call is a 404 in JSON", async () => {
  const studio = await cloudStudio(await StudioCloud.forTest());
  const answer = await studio.api("/api/nothing");
  expect(answer.status).toBe(404);
  expect(await answer.json()).toEqual({ error: "No such call: GET /api/nothing" });
});

it("a directory without a project has no jobs, and asks nobody", async () => {
  const cloud = await StudioCloud.forTest();
  const project = cloudProject(cloud);
  project.write(".arkor/state.json", "");
  const studio = await startStudio(project, { backend: cloud });
  expect(await (await studio.api("/api/jobs")).json()).toEqual({ jobs: [] });
  const answer = await studio.api("/api/deployments");
  expect([answer.status, await answer.json()]).toEqual([
    404,
    { error: "This directory has no project in the cloud yet. Its first run makes it." },
  ]);
  expect(cloud.unknown).toEqual([]);
});

it("jobs are proxied, what the backend refuses too", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "a" });
  const studio = await cloudStudio(cloud);
  expect(await (await studio.api("/api/jobs")).json()).toMatchObject({ jobs: [{ id: "a" }] });
  expect(await (await studio.api("/api/jobs/a")).json()).toMatchObject({ job: { id: "a" } });
  const unknown = await studio.api("/api/jobs/b");
  expect([unknown.status, await unknown.json()]).toEqual([404, { error: "job not found" }]);
  expect((await studio.api("/api/jobs/a/cancel", { method: "POST" })).status).toBe(200);
  expect(cloud.cancelled).toEqual(["a"]);
});

it("the backend's words about this version's age are passed on", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "a" });
  cloud.headers = {
    deprecation: "true",
    warning: '299 - "Upgrade soon"',
    sunset: "Wed, 01 Jan 2031 00:00:00 GMT",
  };
  const studio = await cloudStudio(cloud);
  for (const at of ["/api/jobs", "/api/jobs/a", "/api/jobs/a/events"]) {
    const { headers, body } = await studio.api(at);
    await body?.cancel();
    expect([at, headers.get("deprecation"), headers.get("warning"), headers.get("sunset")]).toEqual(
      [at, "true", '299 - "Upgrade soon"', "Wed, 01 Jan 2031 00:00:00 GMT"],
    );
  }
});

it("Last-Event-ID goes to the backend, so that a stream resumes", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "a", status: "completed" }, learning(3));
  const studio = await cloudStudio(cloud);
  const answer = await studio.api("/api/jobs/a/events", { headers: { "last-event-id": "4" } });
  const text = await answer.text();
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
  expect(text).toMatch(/^id: 5\n/);
  expect(text).toContain("event: end");
});

it("a job's summary has its last loss and its best eval loss", async () => {
  const cloud = await StudioCloud.forTest();
  const log = (step: number, loss: number, evalLoss: number | null) => ({
    type: "training.log",
    step,
    loss,
    evalLoss,
  });
  const events = [log(1, 3, 2.5), log(2, 2, 1.5), log(3, 1, 1.75)];
  cloud.add({ id: "done", status: "completed" }, [...events, completed()]);
  cloud.add({ id: "live" }, events);
  const studio = await cloudStudio(cloud);
  const expected = { step: 3, loss: 1, bestEvalLoss: 1.5, bestEvalStep: 2 };
  const summary = async (at: string) => (await studio.api(at)).json();
  expect(await summary("/api/jobs/done/summary?finished=true")).toEqual(expected);
  expect(await summary("/api/jobs/live/summary?finished=false")).toEqual(expected);
});

it("the entry's trainer is shown with the config that would be submitted", async () => {
  const studio = await cloudStudio(await StudioCloud.forTest());
  const answer = await studio.api("/api/manifest");
  expect([answer.status, await answer.json()]).toEqual([
    200,
    {
      entry: "src/arkor/index.ts",
      trainer: {
        name: "tickets",
        config: {
          model: "acme/base",
          datasetSource: { type: "huggingface", name: "acme/tickets" },
          maxSteps: 100,
        },
      },
    },
  ]);
});

it.each([
  ["a syntax error", `export const trainer = (;\n`, { line: 1, text: "export const trainer = (;" }],
  ["a throw at the top level", `const a: number = 1;\nthrow new Error("no " + a);\n`, { line: 2 }],
])("a broken entry, %s, is a 400 with its place", async (_, source, location) => {
  const cloud = await StudioCloud.forTest();
  const studio = await cloudStudio(
    cloud,
    `${source}${ENTRY.replace("export const", "export let")}`,
  );
  const answer = await studio.api("/api/manifest");
  expect(answer.status).toBe(400);
  const manifest = await answer.json();
  expect(manifest).toMatchObject({
    trainer: null,
    error: expect.stringMatching(/./),
    location: { file: "src/arkor/index.ts", ...location },
  });
  const asked = await studio.api("/api/manifest?broken=200");
  expect([asked.status, await asked.json()]).toEqual([200, manifest]);
});

it("a dataset's token is shown by no call", async () => {
  const cloud = await StudioCloud.forTest();
  const datasetSource = { type: "blob", url: "https://data.example/a.jsonl", token: "hunter2" };
  cloud.add({ id: "a", config: { model: "acme/base", datasetSource } });
  const source = ENTRY.replace(/dataset: .*/, `dataset: ${JSON.stringify(datasetSource)},`);
  const studio = await cloudStudio(cloud, source);
  for (const at of ["/api/manifest", "/api/jobs", "/api/jobs/a"]) {
    const answer = await studio.api(at);
    const text = await answer.text();
    expect([at, answer.status, text.includes("data.example"), text.includes("hunter2")]).toEqual([
      at,
      200,
      true,
      false,
    ]);
  }
});

it("an edit of the entry, or of what it imports, shows at the next question", async () => {
  const studio = await cloudStudio(
    await StudioCloud.forTest(),
    `import { steps } from "./steps.ts";\n${ENTRY.replace("maxSteps: 100", "maxSteps: steps")}`,
  );
  const steps = async () =>
    (await (await studio.api("/api/manifest")).json()).trainer?.config.maxSteps;
  studio.project.write("src/arkor/steps.ts", "export const steps = 7;\n");
  expect(await steps()).toBe(7);
  studio.project.write("src/arkor/steps.ts", "export const steps = 4321;\n");
  expect(await steps()).toBe(4321);
});

it("a run outlives the request that started it, and its whole output can be had again", async () => {
  const cloud = await StudioCloud.forTest();
  const studio = await cloudStudio(cloud);
  const started = await studio.api("/api/train", post({}));
  const id = started.headers.get("x-arkor-run");
  // The page is closed.
  await started.body?.cancel();
  await expect.poll(async () => (await runs()).at(0)?.jobId).toBe("job_1");
  cloud.streams.get("job_1")?.push({ type: "training.started" }, completed());
  cloud.streams.get("job_1")?.end();
  const output = await (await studio.api(`/api/runs/${id}/output`)).text();
  expect(output).toMatch(/^Started job job_1\n/m);
  // One is written to stdout and the other to stderr: two pipes, which keep no order between them.
  expect(output).toMatch(/^Job job_1 finished with status=completed$/m);
  expect(output).toMatch(/^Summary\n[\s\S]*\n---\nexit=0\n$/m);
  expect((await runs())[0]).toMatchObject({ id, jobId: "job_1", exitCode: 0, dryRun: false });

  async function runs() {
    return (await (await studio.api("/api/runs")).json()).runs;
  }
});

it("a run is stopped by cancelling its job, or only no longer watched", async () => {
  const cloud = await StudioCloud.forTest();
  const studio = await cloudStudio(cloud);
  const runs = async () => (await (await studio.api("/api/runs")).json()).runs;
  const start = async (expected: string) => {
    const { headers, body } = await studio.api("/api/train", post({ dryRun: true }));
    await body?.cancel();
    await expect.poll(async () => (await runs()).at(0)?.jobId).toBe(expected);
    return headers.get("x-arkor-run");
  };
  const cancelled = await start("job_1");
  expect(cloud.jobs[0]?.config).toMatchObject({ dryRun: true });
  await studio.api(`/api/runs/${cancelled}/stop`, post({ cancel: true }));
  expect(cloud.cancelled).toEqual(["job_1"]);
  expect(await (await studio.api(`/api/runs/${cancelled}/output`)).text()).toMatch(/exit=1\n$/);

  const left = await start("job_2");
  await studio.api(`/api/runs/${left}/stop`, post({}));
  expect(await (await studio.api(`/api/runs/${left}/output`)).text()).toMatch(/exit=\d+\n$/);
  expect(cloud.cancelled).toEqual(["job_1"]);
});

it.each([
  ["outside of the project", "../../etc/passwd", /outside of the project/],
  ["that isn't there", "src/nothing.ts", /there is no src\/nothing.ts/],
  ["that is no text", 7, /file must be a path/],
])("a file %s is not run", async (_, file, message) => {
  const studio = await cloudStudio(await StudioCloud.forTest());
  const answer = await studio.api("/api/train", post({ file }));
  expect([answer.status, (await answer.json()).error]).toEqual([
    400,
    expect.stringMatching(message),
  ]);
});

it("an answer that nobody waits for any more is aborted on the backend", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.answer = () => ["Once", null];
  const studio = await cloudStudio(cloud);
  const body = { messages: [{ role: "user", content: "?" }], baseModel: "m", stream: true };
  const answer = await studio.api("/api/inference/chat", post(body));
  const reader = answer.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await cloud.abandoned;
  expect(cloud.asked).toEqual([body]);
});

it.each([
  ["a slug that begins with a dash", { slug: "-a" }, /^slug:/],
  ["a slug of one letter", { slug: "a" }, /^slug:/],
  ["no target", { target: undefined }, /^target is missing/],
  ["a checkpoint without a step", checkpoint(undefined), /^target.adapter.step/],
  ["an unknown auth mode", { authMode: "maybe" }, /^authMode/],
  ["days without the mode", { runRetentionDays: 3 }, /^runRetentionDays/],
])("an endpoint with %s is refused before anything is created", async (_, change, message) => {
  const cloud = await StudioCloud.forTest();
  const studio = await cloudStudio(cloud);
  const body = { slug: "ab", authMode: "none", ...checkpoint(5), ...change };
  const answer = await studio.api("/api/deployments", post(body));
  expect([answer.status, (await answer.json()).error]).toEqual([
    400,
    expect.stringMatching(message),
  ]);
  expect(cloud.deployments).toEqual([]);
});

function checkpoint(step: number | undefined) {
  return { target: { kind: "adapter", adapter: { kind: "checkpoint", jobId: "j", step } } };
}

it("an endpoint is created, changed, given keys and deleted", async () => {
  const cloud = await StudioCloud.forTest();
  const studio = await cloudStudio(cloud);
  const call = async (at: string, init?: RequestInit) => {
    const answer = await studio.api(`/api/deployments${at}`, init);
    return [answer.status, answer.status === 204 ? null : await answer.json()];
  };
  const created = await call("", post({ slug: "ab", authMode: "none", ...checkpoint(5) }));
  expect(created).toMatchObject([201, { deployment: { id: "dep_1", slug: "ab" } }]);
  const change = { method: "PATCH", body: JSON.stringify({ enabled: false }) };
  expect(await call("/dep_1", change)).toMatchObject([200, { deployment: { enabled: false } }]);
  expect(await call("/dep_1")).toMatchObject([200, { deployment: { enabled: false } }]);
  expect(await call("/dep_1/keys", post({ label: "  " }))).toEqual([
    400,
    { error: "label must be 1 to 80 characters." },
  ]);
  const key = await call("/dep_1/keys", post({ label: " web " }));
  expect(key).toMatchObject([201, { key: { label: "web", plaintext: "ak_1234567890abcdef" } }]);
  expect(await call("/dep_1/keys/key_1", { method: "DELETE" })).toEqual([204, null]);
  expect(await call("/dep_1/keys")).toEqual([200, { keys: [] }]);
  expect(await call("/dep_1", { method: "DELETE" })).toEqual([204, null]);
  expect(cloud.unknown).toEqual([]);
});

it("a cloud that can't be reached is a 502 with a sentence", async () => {
  const cloud = await StudioCloud.forTest();
  const studio = await cloudStudio(cloud);
  cloud.close();
  const answer = await studio.api("/api/jobs");
  expect([answer.status, (await answer.json()).error]).toEqual([
    502,
    expect.stringMatching(/^Can't reach the backend: /),
  ]);
});

describe("the default port", () => {
  const tenInARow = async () => {
    for (let first = 20_000; ; first += 10) {
      const held = await Promise.all(
        Array.from({ length: 10 }, (_, at) => hold(first + at).catch(() => undefined)),
      );
      if (held.every((server) => server !== undefined)) return { first, held };
      for (const server of held) server?.close();
    }
  };
  const hold = (port: number) =>
    new Promise<Server>((resolve, reject) => {
      const server = createServer().once("error", reject);
      server.listen({ host: "127.0.0.1", port, exclusive: true }, () => resolve(server));
      onTestFinished(() => void server.close());
    });
  const listenFrom = async (first: number) => {
    const said: string[] = [];
    const listening = listen(
      undefined,
      () => {},
      (line) => said.push(line),
      first,
    );
    return { said, ended: await listening.catch((error: unknown) => error) };
  };

  it("is the next free one of ten, and each one that isn't is said", async () => {
    const { first, held } = await tenInARow();
    await new Promise((resolve) => held[9]?.close(resolve));
    const { said, ended } = await listenFrom(first);
    const { port, servers } = ended as Awaited<ReturnType<typeof listen>>;
    for (const server of servers) server.close();
    expect(port).toBe(first + 9);
    expect(said).toEqual(
      Array.from({ length: 9 }, (_, at) => {
        return `Port ${first + at} is in use; trying ${first + at + 1}.`;
      }),
    );
  });

  it("is one clear error when all ten are busy", async () => {
    const { first } = await tenInARow();
    const { said, ended } = await listenFrom(first);
    expect(said).toHaveLength(9);
    // `CliError` ends a command with one line and exit code 1.
    expect(ended).toMatchObject({
      name: "CliError",
      message: `The ports ${first} to ${first + 9} are in use. Give another one with --port.`,
    });
  });
});

it("a port that was asked for and is in use is one clear error", async () => {
  const server = createServer();
  const port = await new Promise<number>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
  const project = cloudProject(await StudioCloud.forTest());
  const { code, stdout, stderr } = await arkor(["dev", "-p", String(port)], project.at(undefined))
    .exit;
  server.close();
  expect([code, stdout, stderr]).toEqual([
    1,
    "",
    `error: Port ${port} is in use. Give another one with --port.\n`,
  ]);
});

it.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("%s ends it and the runs it started, and says what goes on", async (signal, code) => {
  const cloud = await StudioCloud.forTest();
  const studio = await cloudStudio(cloud);
  const { body } = await studio.api("/api/train", post({}));
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  while (!/Started job/.test(output)) output += (await reader?.read())?.value ?? "";
  await expect.poll(() => cloud.streams.get("job_1")?.readers).toBeGreaterThan(0);
  const children = childrenOf(studio.running.pid);
  const start = performance.now();
  studio.running.kill(signal);
  const exit = await studio.running.exit;
  expect(performance.now() - start).toBeLessThan(5000);
  expect(exit.code).toBe(code);
  expect(exit.stderr).toContain(
    "Job job_1 goes on in the cloud. To watch it again: arkor attach job_1.",
  );
  expect(cloud.cancelled).toEqual([]);
  expect(children.length).toBeGreaterThan(0);
  expect(children.filter(isAlive)).toEqual([]);
});

/** The processes whose parent is this one. */
function childrenOf(pid: number): number[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).split("\n");
  return lines
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child = 0, parent]) => (parent === pid ? [child] : []));
}
