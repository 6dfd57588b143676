// `arkor start --local --resume`: a run that was cancelled goes on, with the real local backend.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Backend, gate, JOB, json } from "../support/backend.ts";
import { arkor, ROOT } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";
import { entry, jobOf } from "../support/real-run.ts";

const STEPS = 300;

const stepsOf = (stdout: string) =>
  [...stdout.matchAll(/^step=(\d+) /gm)].map(([, step]) => Number(step));

const resume = (project: Project, job: string) =>
  arkor(["start", "--local", "--resume", job], project).exit;

it("a run that was cancelled goes on after its last checkpoint as a new job, and the callbacks see it", async () => {
  const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: STEPS, saveSteps: 5 }) });
  const running = arkor(["start", "--local"], project);
  await running.until("stdout", /^step=7 /m);
  running.kill("SIGINT");
  const cancelled = await running.exit;
  const job = jobOf(cancelled.stdout);
  expect(cancelled.stderr).toContain(`arkor start --local --resume ${job}\n`);

  const { code, stdout, stderr } = await resume(project, job);
  expect(code).toBe(0);
  expect(jobOf(stdout)).not.toBe(job);
  const [, from] = stderr.match(new RegExp(`^resumed after step (\\d+) of job ${job}$`, "m")) ?? [];
  const first = Number(from) + 1;
  expect(first).toBeGreaterThan(5);
  const expected = Array.from({ length: STEPS + 1 - first }, (_, index) => first + index);
  expect(stepsOf(stdout)).toEqual(expected);
  expect(stdout).toContain("\ncompleted\n");
  expect(stdout).toContain(`Job ${jobOf(stdout)} finished with status=completed\n`);
  expect(stdout).toContain(`Adapter: .arkor/local/jobs/${jobOf(stdout)}/adapter\n`);

  const again = await resume(project, jobOf(stdout));
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toMatch(/^error: the job \S+ is completed: only one that failed or /m);
});

it("says what the backend says of a job that there isn't, in one line", async () => {
  const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 2, saveSteps: 2 }) });
  const { code, stdout, stderr } = await resume(project, "job/9");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^error: .*no such job.*$/im);
});

describe("is refused before anything starts", () => {
  it.each([
    ["in the cloud", [], "--resume is for the local backend; add --local."],
    [
      "with --dry-run",
      ["--local", "--dry-run"],
      "--dry-run is for a job that is submitted; with --resume it goes on as it was. Leave one out.",
    ],
  ])("%s", async (_, args, message) => {
    const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
    const { code, stderr } = await arkor(["start", ...args, "--resume", "j"], project).exit;
    expect({ code, stderr }).toEqual({ code: 1, stderr: `error: ${message}\n` });
    expect(project.has(".arkor")).toBe(false);
  });
});

it("needs a trainer of createTrainer's", async () => {
  const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
  const { code, stderr } = await resume(project, "j");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: --resume needs a trainer made by createTrainer\.$/m);
});

it("Ctrl-C before the backend has answered cancels the new job", async () => {
  const backend = await Backend.start();
  const asked = "POST /v1/jobs/job-0/resume";
  const answer = gate();
  backend.on("GET /v1/me", (_, response) => json(response, 200, {}));
  backend.on(asked, async (_, response) => {
    await answer.promise;
    json(response, 201, { job: JOB });
  });
  const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
  const project = new Project({
    "src/arkor/index.ts": entry({ maxSteps: 2, saveSteps: 2 }),
    ".arkor/local/server.json": JSON.stringify({ url: backend.url, token: "t", version }),
  });
  const running = arkor(["start", "--local", "--resume", "job-0"], project.at(undefined));
  await backend.until(() => backend.to(asked).length === 1);
  running.kill("SIGINT");
  await running.until("stderr", /Cancelling the run\./);
  answer.open();
  expect((await running.exit).code).toBe(130);
  expect(backend.to(asked)[0]?.query.orgSlug).toBe("local");
  expect(backend.to(`POST /v1/jobs/${JOB.id}/cancel`)).toHaveLength(1);
});
