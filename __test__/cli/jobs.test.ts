// `arkor jobs`, `cancel` and `attach`: a project's jobs on the backend.
import { describe, expect, it } from "vitest";
import { jobsTable } from "../../cli/jobs.js";
import { Backend, JOB, json, type StreamScript } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { arkorAt } from "../support/terminal.ts";

const STATE = JSON.stringify({ orgSlug: "the org", projectSlug: "p", projectId: "i" });
const SCOPE = { orgSlug: "the org", projectSlug: "p" };

const ENTRY = `
  import { createTrainer } from "arkor";
  export const trainer = createTrainer({
    name: "run",
    model: "m",
    dataset: { type: "blob", url: "https://data.test/rows.jsonl" },
    callbacks: {
      onLog: ({ step }) => console.log("callback: step " + step),
      onCompleted: ({ artifacts }) => console.log("callback: " + artifacts.length + " artifacts"),
    },
  });
`;

const JOBS = [
  {
    ...JOB,
    id: "job-1",
    status: "completed",
    name: "first",
    createdAt: "2026-01-01T08:00:00Z",
    startedAt: "2026-01-01T08:00:10Z",
    completedAt: "2026-01-01T08:02:15Z",
  },
  {
    ...JOB,
    id: "job-2",
    status: "running",
    name: "second",
    createdAt: "2026-01-02T09:05:00Z",
    startedAt: "2026-01-02T09:05:00Z",
    unknown: [1],
  },
];

/** What the commands print about the backend that they use. */
const asking = (backend: { url: string }) => `Using the cloud at ${backend.url}.\n`;

async function withProject(...scripts: StreamScript[]) {
  const backend = await Backend.start(...scripts);
  backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs: JOBS }));
  const project = new Project({ ".arkor/state.json": STATE, "src/arkor/index.ts": ENTRY });
  return { backend, project: project.signIn(backend) };
}

describe("arkor jobs", () => {
  it("lists the project's jobs, the newest first", async () => {
    const { backend, project } = await withProject();
    const { code, stdout } = await arkor(["jobs"], project.at(backend)).exit;
    expect(code).toBe(0);
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(/^ID {5}STATUS {5}CREATED {11}TOOK +NAME$/),
      expect.stringMatching(/^job-2 {2}running {4}2026-01-02 09:05 {2}\d+d\d\dh +second$/),
      expect.stringMatching(/^job-1 {2}completed {2}2026-01-01 08:00 {2}2m05s +first$/),
      "",
    ]);
    expect(backend.requests[0]?.query).toEqual(SCOPE);
  });

  it("shows a name's control characters as such", async () => {
    const { backend, project } = await withProject();
    const jobs = [{ ...JOB, name: "a\u001b[31m\tname\u009b" }];
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs }));
    const { stdout } = await arkor(["jobs"], project.at(backend)).exit;
    expect(stdout).toMatch(/ a\ufffd\[31m name\ufffd\n$/);
  });

  it("--json prints what the backend says, unknown fields and all", async () => {
    const { backend, project } = await withProject();
    const { stdout } = await arkor(["jobs", "--json"], project.at(backend)).exit;
    expect(JSON.parse(stdout)).toEqual(JOBS);
  });

  it("says how to submit the first one", async () => {
    const { backend, project } = await withProject();
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs: [] }));
    const { code, stdout } = await arkor(["jobs"], project.at(backend)).exit;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "No jobs yet. Submit one with: arkor start\n",
    });
  });

  it("in a narrow window cuts the name, then leaves out columns, but never the id", () => {
    const jobs = [{ ...JOB, status: "failed" as const, name: "a name that is long" }];
    const options = { now: 0, width: 47, paint: (_: unknown, text: string) => text };
    expect(jobsTable(jobs, { ...options, width: 24 })).toEqual([
      "ID     STATUS  NAME",
      "job-1  failed  a name t…",
    ]);
    expect(jobsTable(jobs, { ...options, width: 14 })).toEqual(["ID     STATUS", "job-1  failed"]);
    expect(jobsTable(jobs, options)).toEqual([
      "ID     STATUS  CREATED           TOOK  NAME",
      "job-1  failed  2026-01-01 00:00  -     a name …",
    ]);
  });
});

describe("arkor jobs at a terminal", () => {
  it.each([
    [40, "completed, dry", "ID                        STATUS"],
    [
      100,
      "completed (dry run)",
      "ID                        STATUS               CREATED           TOOK  NAME",
    ],
  ])("marks dry runs, and in %d columns fits", async (columns, status, titles) => {
    const { backend, project } = await withProject();
    const config = { ...JOB.config, dryRun: true };
    const job = { ...JOB, id: "job_0123456789ab01234567", status: "completed", config };
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs: [job] }));
    const terminal = arkorAt(["jobs"], { ...project.at(backend), columns });
    expect(await terminal.exit).toBe(0);
    expect(terminal.lines[1]).toBe(titles);
    expect(terminal.lines[2]).toMatch(`${job.id}  ${status}`);
    for (const line of terminal.lines.slice(1)) expect(line.length).toBeLessThanOrEqual(columns);
    expect(terminal.raw).toContain("\u001b[32mcompleted");
  });

  it("colours the states, and fits a window of 40 columns", async () => {
    const { backend, project } = await withProject();
    const terminal = arkorAt(["jobs"], { ...project.at(backend), columns: 40 });
    expect(await terminal.exit).toBe(0);
    expect(terminal.lines).toEqual([
      `Using the cloud at ${backend.url}.`,
      "ID     STATUS     NAME",
      "job-2  running    second",
      "job-1  completed  first",
    ]);
    expect(terminal.raw).toContain("\u001b[32mcompleted");
  });

  it("has no colours with NO_COLOR", async () => {
    const { backend, project } = await withProject();
    const terminal = arkorAt(["jobs"], project.at(backend, { NO_COLOR: "1" }));
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("completed");
    expect(terminal.raw).not.toContain("\u001b[32m");
  });
});

describe("arkor cancel", () => {
  it("cancels the job on the backend", async () => {
    const { backend, project } = await withProject();
    const jobs = [{ ...JOB, status: "cancelled" }];
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs }));
    const { code, stdout } = await arkor(["cancel", "job-1"], project.at(backend)).exit;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Job job-1 is cancelled.\n" });
    expect(backend.to("POST /v1/jobs/job-1/cancel")[0]?.query).toEqual(SCOPE);
  });

  it.each([
    [
      [{ ...JOB, status: "completed" }],
      "Job job-1 was not cancelled: it had already finished with status=completed\n",
    ],
    [
      [{ ...JOB, status: "running" }],
      "Job job-1 is being cancelled; its status is still running.\n",
    ],
    [[], "The backend accepted the request to cancel job job-1.\n"],
    ["no list", "The backend accepted the request to cancel job job-1.\n"],
  ])("tells what has come of it: %j", async (jobs, expected) => {
    const { backend, project } = await withProject();
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs }));
    const { code, stdout } = await arkor(["cancel", "job-1"], project.at(backend)).exit;
    expect({ code, stdout }).toEqual({ code: 0, stdout: expected });
  });

  it("tells what the backend says of a job that it does not know", async () => {
    const { backend, project } = await withProject();
    backend.on("POST /v1/jobs/job%2F9/cancel", (_, response) =>
      json(response, 404, { error: "no such job" }),
    );
    const { code, stderr } = await arkor(["cancel", "job/9"], project.at(backend)).exit;
    const told = `${asking(backend)}error: no such job\n`;
    expect({ code, stderr }).toEqual({ code: 1, stderr: told });
  });
});

describe("arkor attach", () => {
  it("watches a job from its first event on, with the entry's callbacks, and submits nothing", async () => {
    const { backend, project } = await withProject((stream) =>
      stream
        .log(1)
        .log(2)
        .event("training.completed", { artifacts: [1, 2] }, 3)
        .end(),
    );
    const { code, stdout } = await arkor(["attach", "job-1"], project.at(backend)).exit;
    expect(stdout).toBe(
      "Watching job job-1\ncallback: step 1\ncallback: step 2\ncallback: 2 artifacts\n" +
        "Job job-1 finished with status=completed\n",
    );
    expect(code).toBe(0);
    expect(backend.to("POST /v1/jobs")).toEqual([]);
    expect(backend.opened[0]?.query).toEqual(SCOPE);
    expect(backend.opened[0]?.headers["last-event-id"]).toBeUndefined();
  });

  it("takes the entry that it is given", async () => {
    const { backend, project } = await withProject((stream) => stream.log(1).completed());
    project.write("other.ts", ENTRY.replaceAll("callback:", "other:"));
    const { stdout } = await arkor(["attach", "job-1", "other.ts"], project.at(backend)).exit;
    expect(stdout).toContain("other: step 1\n");
  });

  it("ends with 1 when the job has failed", async () => {
    const { backend, project } = await withProject((stream) =>
      stream.event("training.failed", { error: "out of memory" }, 1).end(),
    );
    const { code, stderr } = await arkor(["attach", "job-1"], project.at(backend)).exit;
    const told = `${asking(backend)}error: the run failed: out of memory\n`;
    expect({ code, stderr }).toEqual({ code: 1, stderr: told });
  });

  it("Ctrl-C leaves the job alone, twice cancels it", async () => {
    const { backend, project } = await withProject((stream) => void stream.log(1));
    const running = arkor(["attach", "job-1"], project.at(backend));
    await running.until("stdout", /callback: step 1/);
    running.kill("SIGINT");
    await running.until("stderr", /Stopped watching; job job-1 continues/);
    expect(backend.to("POST /v1/jobs/job-1/cancel")).toEqual([]);
    running.kill("SIGINT");
    expect((await running.exit).code).toBe(130);
    expect(backend.to("POST /v1/jobs/job-1/cancel")).toHaveLength(1);
  });

  it("tells that there is no such job before it opens a stream", async () => {
    const { backend, project } = await withProject();
    backend.on("GET /v1/jobs/job-9", (_, response) =>
      json(response, 404, { error: "no such job" }),
    );
    const { code, stdout, stderr } = await arkor(["attach", "job-9"], project.at(backend)).exit;
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: "",
      stderr: `${asking(backend)}error: no such job\n`,
    });
    expect(backend.requests).toHaveLength(1);
  });
});

it("names the commands of an error as the package manager runs them", async () => {
  const project = new Project({ "src/arkor/index.ts": ENTRY });
  const said = async (env: Record<string, string>) =>
    (await arkor(["jobs"], project.at(undefined, env)).exit).stderr;
  expect(await said({ npm_config_user_agent: "pnpm/11.0.0 npm/? node/v24.0.0" })).toMatch(
    /Run `pnpm exec arkor login` first, or train here: pnpm exec arkor start --local\n$/,
  );
  expect(await said({ npm_execpath: "/usr/lib/npm/bin/npm-cli.js" })).toMatch(
    /Run `npx arkor login` first, or train here: npx arkor start --local\n$/,
  );
});

describe("jobs, cancel and attach make neither an identity nor a project", () => {
  it.each([[["jobs"]], [["cancel", "job-1"]], [["attach", "job-1"]]])("%j", async (args) => {
    const backend = await Backend.start();
    const project = new Project({ "src/arkor/index.ts": ENTRY });
    const nobody = await arkor(args, project.at(backend)).exit;
    expect(nobody).toMatchObject({
      code: 1,
      stderr:
        "error: Not signed in, and no run of this project is on this machine. Run `arkor login` first, or " +
        "train here: arkor start --local\n",
    });
    project.signIn(backend);
    const nothing = await arkor(args, project.at(backend)).exit;
    expect(nothing.code).toBe(1);
    expect(nothing.stderr).toMatch(
      /^Using the cloud at .*\nerror: No \.arkor\/state\.json found in .*: no run of this project was submitted from here\. `arkor start` submits the first one\.\n$/,
    );
    expect(backend.requests).toEqual([]);
  });
});
