// Commands about a local run when no backend serves the project: they start one for themselves.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Backend, json } from "../support/backend.ts";
import { arkor, isAlive, ROOT } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { entry, jobOf } from "../support/real-run.ts";
import { arkorAt, KEY } from "../support/terminal.ts";

const SERVER = ".arkor/local/server.json";
const STARTED = "Using a local backend, started for this command.\n";
const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));

/** A project with a run that is completed. */
async function trained() {
  const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 2, saveSteps: 1 }) });
  const at = project.at(undefined);
  const { code, stdout } = await arkor(["start", "--local"], at).exit;
  expect(code).toBe(0);
  return { project, at, job: jobOf(stdout) };
}

/** A project whose backend was killed during the run. */
async function interrupted() {
  const source = entry({ maxSteps: 5000, saveSteps: 2 }, { asks: false });
  const project = new Project({ "src/arkor/index.ts": source });
  const at = project.at(undefined);
  const running = arkor(["start", "--local"], at);
  await running.until("stdout", /^checkpoint=2$/m);
  const { pid } = JSON.parse(project.read(SERVER));
  running.kill("SIGKILL");
  await running.exit;
  process.kill(pid, "SIGKILL");
  const job = jobOf(running.stdout);
  const events = () => project.read(`.arkor/local/jobs/${job}/events.jsonl`);
  return { project, at, job, events };
}

describe("after arkor start --local", () => {
  it("jobs, chat, attach and jobs rm need no flag, and leave no backend behind", async () => {
    const { project, at, job } = await trained();
    const listed = await arkor(["jobs"], at).exit;
    expect(listed.stdout).toContain(job);
    expect(listed.stderr).toBe(STARTED);

    const args = ["-m", "Where is my parcel?", "--max-tokens", "4", "--json"];
    const newest = await arkor(["chat", ...args], at).exit;
    expect(newest.stderr).toBe(`${STARTED}Job ${job} (real) answers.\n`);
    expect(JSON.parse(newest.stdout)).toMatchObject({
      answer: expect.any(String),
      model: `${job}/adapter`,
      usage: { completion_tokens: expect.any(Number) },
    });
    const one = await arkor(["chat", `${job}/1`, ...args], at).exit;
    expect(JSON.parse(one.stdout)).toMatchObject({ model: `${job}/checkpoint-1` });

    const attached = await arkor(["attach", job], at).exit;
    expect(attached).toMatchObject({ code: 0, stderr: expect.stringContaining(STARTED) });
    expect(attached.stdout).toContain("step=2 loss=");

    const removed = await arkor(["jobs", "rm", job, "-y"], at).exit;
    expect(removed.stdout).toMatch(new RegExp(`^Deleted job ${job}, \\d.* [kM]B\\.\\n$`));
    expect(project.has(`.arkor/local/jobs/${job}`)).toBe(false);
    expect(project.has(SERVER)).toBe(false);
  });

  it("a model that stands in is named", async () => {
    const { at } = await trained();
    const { stderr } = await arkor(["chat", "no/model", "-m", "Hi", "--max-tokens", "1"], at).exit;
    expect(stderr).toContain("warning: arkor-tiny stands in: no/model is not on this machine.\n");
    expect(stderr).not.toContain("arkor-local:");
  });

  it("the local backend is asked though somebody is signed in, if the project has no run in the cloud or the job is a local one", async () => {
    const { project, at, job } = await trained();
    const cloud = await Backend.start();
    cloud.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs: [] }));
    project.signIn(cloud);
    expect((await arkor(["jobs"], at).exit).stderr).toBe(STARTED);
    const state = { orgSlug: "the org", projectSlug: "p", projectId: "i" };
    project.write(".arkor/state.json", JSON.stringify(state));
    expect((await arkor(["jobs"], at).exit).stderr).toBe(`Using the cloud at ${cloud.url}.\n`);
    expect((await arkor(["jobs", "--local"], at).exit).stderr).toBe(STARTED);
    expect((await arkor(["cancel", job], at).exit).stdout).toMatch(/already finished/);
  });

  it("an address in server.json that isn't this machine's is never asked", async () => {
    const { project, at } = await trained();
    const other = await Backend.start();
    const url = other.url.replace("127.0.0.1", "localhost");
    project.write(SERVER, JSON.stringify({ url, token: "t", version }));
    expect((await arkor(["jobs"], at).exit).stderr).toBe(STARTED);
    expect(other.requests).toEqual([]);
  });
});

describe("a run that was interrupted", () => {
  it("isn't gone on with by jobs, chat and jobs rm; cancel cancels it as it is", async () => {
    const { project, at, job, events } = await interrupted();
    const before = events();
    expect((await arkor(["jobs", "--json"], at).exit).stdout).toContain('"status": "running"');
    const asked = await arkor(["chat", job, "-m", "Hi", "--max-tokens", "1"], at).exit;
    expect(asked.stderr).toMatch(/Job \S+ is running: its checkpoint of step \d+ answers\.\n/);
    const kept = await arkor(["jobs", "rm", job, "-y"], at).exit;
    expect(kept).toMatchObject({ code: 1, stdout: "" });
    expect(kept.stderr).toContain(
      `error: Job ${job} is running. Cancel it first: arkor cancel ${job} --local\n`,
    );
    expect(events()).toBe(before);
    expect((await arkor(["cancel", job], at).exit).stdout).toBe(`Job ${job} is cancelled.\n`);
    expect((await arkor(["jobs", "rm", job, "-y"], at).exit).code).toBe(0);
    expect(project.has(`.arkor/local/jobs/${job}`)).toBe(false);
  });

  it("goes on while attach watches it, and Ctrl-C leaves it for the next backend", async () => {
    const { project, at, job } = await interrupted();
    const watching = arkor(["attach", job], at);
    const [, from] = await watching.until("stderr", /goes on after step (\d+);/);
    await watching.until("stdout", new RegExp(`^step=${Number(from) + 1} `, "m"));
    const { pid } = JSON.parse(project.read(SERVER));
    watching.kill("SIGINT");
    const { code, stderr } = await watching.exit;
    expect(code).toBe(130);
    expect(stderr).toContain(`Stopped watching; job ${job} stops with its local backend`);
    expect(isAlive(pid)).toBe(false);
    expect(JSON.parse(project.read(`.arkor/local/jobs/${job}/job.json`)).status).toBe("running");
  });
});

describe("while a conversation has its backend", () => {
  it("other commands share it, and a run isn't submitted to it", async () => {
    const { project, at, job } = await trained();
    const terminal = arkorAt(["chat"], at);
    await terminal.until(/\n> ?$/);
    const { url, pid } = JSON.parse(project.read(SERVER));
    const listed = await arkor(["jobs"], at).exit;
    expect(listed.stderr).toBe(`Using the local backend that runs at ${url}.\n`);
    expect(listed.stdout).toContain(job);
    for (const args of [
      ["start", "--local"],
      ["dev", "--local", "--port", "0"],
    ]) {
      const { code, stderr } = await arkor(args, at).exit;
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr:
          `error: the local backend at ${url} (process ${pid}) runs no jobs: another command, such as ` +
          "arkor chat, has started it for itself. End that command first.\n",
      });
    }
    terminal.press("\u0004");
    expect(await terminal.exit).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });
});

describe("arkor jobs rm", () => {
  it("asks first, and Enter alone deletes nothing", async () => {
    const { project, at, job } = await trained();
    const terminal = arkorAt(["jobs", "rm", job], at);
    await terminal.until(new RegExp(`Delete job ${job} \\(real\\)`));
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("Nothing was deleted.");
    expect(project.has(`.arkor/local/jobs/${job}/adapter`)).toBe(true);

    const again = arkorAt(["jobs", "rm", job], at);
    await again.until(/Delete job/);
    again.press("y");
    expect(await again.exit).toBe(0);
    expect(project.has(`.arkor/local/jobs/${job}`)).toBe(false);
  });

  it("refuses without a terminal and -y, and a job that there isn't", async () => {
    const project = new Project({ ".arkor/local/jobs/x": "" });
    const at = project.at(undefined);
    const blind = await arkor(["jobs", "rm", "job_1"], at).exit;
    expect({ code: blind.code, stderr: blind.stderr }).toEqual({
      code: 1,
      stderr:
        "error: Can't ask for confirmation: not a terminal. Add -y to delete without asking.\n",
    });
    const none = await arkor(["jobs", "rm", "job_1", "-y"], at).exit;
    expect({ code: none.code, stderr: none.stderr }).toEqual({
      code: 1,
      stderr: `${STARTED}error: There is no job job_1 on this machine. To list them: arkor jobs --local\n`,
    });
  });
});

describe("where nothing was ever run", () => {
  it.each([
    [["jobs", "--local"]],
    [["cancel", "j", "--local"]],
    [["attach", "j", "--local"]],
    [["chat", "-m", "Hi", "--local"]],
    [["jobs", "rm", "j", "-y"]],
  ])("%j says how to train, and makes no store", async (args) => {
    const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 2, saveSteps: 2 }) });
    const { code, stderr } = await arkor(args, project.at(undefined)).exit;
    const message =
      "error: No run of this project is on this machine. Train here: arkor start --local\n";
    expect({ code, stderr }).toEqual({ code: 1, stderr: message });
    expect(project.has(".arkor")).toBe(false);
  });

  it("a model can be asked with --local", async () => {
    const project = new Project();
    const args = ["chat", "arkor-tiny", "--local", "-m", "Hi", "--max-tokens", "2"];
    const { code, stderr } = await arkor(args, project.at(undefined)).exit;
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `${STARTED}(cut off: --max-tokens sets how long an answer may be)\n`,
    });
  });
});
