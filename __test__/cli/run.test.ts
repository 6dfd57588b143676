// `arkor start` with a trainer of this package: what is seen of its run besides its callbacks.
import { expect, it } from "vitest";
import { Cloud } from "../support/cloud.ts";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";

const ENTRY = `
  import { createArkor, createTrainer } from "arkor";
  const trainer = createTrainer({
    name: "run",
    model: "m",
    dataset: { type: "blob", url: "https://data.test/rows.jsonl" },
    callbacks: {
      onLog: ({ step, loss }) => console.log("callback: step " + step + " loss " + loss),
      onFailed: ({ error }) => console.log("callback: failed " + error),
    },
  });
  export const arkor = createArkor({ trainer });
`;

const STARTED = { type: "training.started", metadata: { totalSteps: 2 } };
const LOG = { type: "training.log", step: 1, loss: 1.5, learningRate: 0.002, samplesPerSecond: 12 };
const COMPLETED = { type: "training.completed", artifacts: [] };

it("prints the progress on stderr, and leaves stdout to the result and the callbacks", async () => {
  const cloud = await Cloud.start({ events: [STARTED, LOG, COMPLETED] });
  const project = new Project({ "src/arkor/index.ts": ENTRY });
  const { code, stdout, stderr } = await arkor(["start"], { ...project, env: cloud.env }).exit;
  expect(stderr.split("\n")).toEqual([
    "Training n",
    "  device  this machine",
    "  steps   2",
    "step 1/2  loss 1.500  lr 2.0e-3  12 samples/s",
    "Summary",
    "  time  0s",
    "  loss  1.500",
    "Next",
    "  ask it    arkor chat job-1",
    "  use it    arkor export job-1 --to model --format ollama",
    "  all runs  arkor jobs",
    "",
  ]);
  expect(stdout).toBe(
    "Started job job-1\ncallback: step 1 loss 1.5\nJob job-1 finished with status=completed\n",
  );
  expect(code).toBe(0);
});

it("ends with 1 when the backend says that the run has failed", async () => {
  const cloud = await Cloud.start({
    events: [STARTED, { type: "training.failed", error: "out of memory" }],
  });
  const project = new Project({ "src/arkor/index.ts": ENTRY });
  const { code, stdout, stderr } = await arkor(["start"], { ...project, env: cloud.env }).exit;
  expect(stdout).toContain("callback: failed out of memory\n");
  expect(stdout).toContain("Job job-1 finished with status=failed\n");
  expect(stderr).toMatch(/^error: the run failed: out of memory\n(?!Summary)/m);
  expect(code).toBe(1);
});

it("tells a failure of several lines, with a terminal's escapes in it, in one plain line", async () => {
  const error = "out of\r\nmemory\n\tat \u001b[2J\u001b]0;title\u0007x";
  const cloud = await Cloud.start({ events: [STARTED, { type: "training.failed", error }] });
  const project = new Project({ "src/arkor/index.ts": ENTRY });
  const { code, stderr } = await arkor(["start"], { ...project, env: cloud.env }).exit;
  expect(stderr).toMatch(
    /^error: the run failed: out of memory at \ufffd\[2J\ufffd\]0;title\ufffdx\n$/m,
  );
  expect(code).toBe(1);
});

it.each([
  [["start"], undefined],
  [["start", "--dry-run"], true],
])("%j submits dryRun as %s", async (args, dryRun) => {
  const cloud = await Cloud.start({ events: [COMPLETED] });
  const project = new Project({ "src/arkor/index.ts": ENTRY });
  expect((await arkor(args, { ...project, env: cloud.env }).exit).code).toBe(0);
  expect(cloud.posted[0]?.body?.config.dryRun).toBe(dryRun);
});

it("says once, at its end, that the backend calls this version deprecated", async () => {
  const cloud = await Cloud.start({
    events: [LOG, COMPLETED],
    headers: { Deprecation: "true", Warning: '299 - "use 2.x"', Sunset: "some day" },
  });
  const project = new Project({ "src/arkor/index.ts": ENTRY });
  const { code, stderr } = await arkor(["start"], { ...project, env: cloud.env }).exit;
  expect(stderr).toMatch(/\nwarning: use 2\.x \(support ends on some day\)\n$/);
  expect(stderr.match(/2\.x/g)).toHaveLength(1);
  expect(code).toBe(0);
});

it("says that it reconnects, and why", async () => {
  const cloud = await Cloud.start({ events: [COMPLETED], refusals: [503] });
  const project = new Project({ "src/arkor/index.ts": ENTRY });
  const { code, stderr } = await arkor(["start"], { ...project, env: cloud.env }).exit;
  expect(stderr).toMatch(/^reconnecting in \d\.\d s \(attempt 1\): .*503.*\nSummary\n/);
  expect(code).toBe(0);
});

it("leaves a run alone at Ctrl-C, and cancels it at the second", async () => {
  const cloud = await Cloud.start({ events: [STARTED, LOG] });
  const project = new Project({ "src/arkor/index.ts": ENTRY });
  const running = arkor(["start"], { ...project, env: cloud.env });
  await running.until("stdout", /callback: step 1/);
  running.kill("SIGINT");
  await running.until("stderr", /Stopped watching/);
  expect(cloud.posted.map(({ path }) => path)).toEqual(["/v1/jobs"]);
  running.kill("SIGINT");
  expect((await running.exit).code).toBe(130);
  expect(cloud.posted.map(({ path }) => path)).toEqual(["/v1/jobs", "/v1/jobs/job-1/cancel"]);
});
