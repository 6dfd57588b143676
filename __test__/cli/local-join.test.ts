// A local backend that already serves the project: the commands find it, use it and leave it running.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Backend, JOB, json } from "../support/backend.ts";
import { arkor, isAlive, ROOT, type Running } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { entry, jobOf } from "../support/real-run.ts";

const SERVER = ".arkor/local/server.json";
const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));

/** A project that `arkor local` serves. */
async function served(options: Parameters<typeof entry>[0]) {
  const project = new Project({ "src/arkor/index.ts": entry(options) });
  const at = project.at(undefined);
  const serving = arkor(["local"], at);
  await serving.until("stdout", /Ctrl-C ends it\.\n/);
  const { pid, url } = JSON.parse(project.read(SERVER));
  return { project, at, serving, pid, url };
}

/** Ends `arkor local`. The exit code shows that it was still running. */
async function end(serving: Running) {
  serving.kill("SIGINT");
  expect((await serving.exit).code).toBe(0);
}

describe("with a backend that `arkor local` has started", () => {
  it("start --local trains there and leaves it running; jobs and attach find it", async () => {
    const { at, serving, pid, url } = await served({ maxSteps: 2, saveSteps: 2 });
    const { code, stdout, stderr } = await arkor(["start", "--local"], at).exit;
    expect(code).toBe(0);
    expect(stderr).toContain(`Using the local backend that runs at ${url}.\n`);
    expect(stdout).toContain("\ncompleted\n");
    expect(isAlive(pid)).toBe(true);

    const job = jobOf(stdout);
    const listed = await arkor(["jobs", "--json"], at).exit;
    expect(JSON.parse(listed.stdout)).toMatchObject([{ id: job, status: "completed" }]);
    const attached = await arkor(["attach", job], at).exit;
    expect(attached.stdout).toContain("step=2 loss=");
    await end(serving);
  });

  it("Ctrl-C on start --local cancels the run only, and attach --local says how to come back", async () => {
    const { at, serving, pid } = await served({ maxSteps: 5000, saveSteps: 2 });
    const running = arkor(["start", "--local"], at);
    await running.until("stdout", /checkpoint=2 /);
    running.kill("SIGINT");
    const { code, stdout } = await running.exit;
    expect(code).toBe(130);
    expect(stdout).toContain("finished with status=cancelled\n");
    expect(isAlive(pid)).toBe(true);

    const other = arkor(["start", "--local"], at);
    await other.until("stdout", /^step=1 /m);
    const job = jobOf(other.stdout);
    const watching = arkor(["attach", job, "--local"], at);
    await watching.until("stdout", /^step=1 /m);
    watching.kill("SIGINT");
    await watching.until(
      "stderr",
      new RegExp(`arkor attach ${job} --local\\. .*arkor cancel ${job} --local\\.\\n`),
    );
    const cancelled = await arkor(["cancel", job, "--local"], at).exit;
    expect(cancelled).toMatchObject({ code: 0, stdout: `Job ${job} is cancelled.\n` });
    expect((await other.exit).stdout).toContain("finished with status=cancelled\n");
    await end(serving);
  });

  it.each([
    ["--port", "0"],
    ["--base-model", "m"],
  ])("start --local refuses %s", async (flag, value) => {
    const { at, serving, pid, url } = await served({ maxSteps: 2, saveSteps: 2 });
    const { code, stdout, stderr } = await arkor(["start", "--local", flag, value], at).exit;
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `error: ${flag} is for a local backend that starts now, but the local backend at ${url} ` +
        `(process ${pid}) serves this project already. Stop that one first, or leave ${flag} out.\n`,
    });
    await end(serving);
  });

  it.each([
    ["is 0.0.9", "0.0.9"],
    ["doesn't say its version,", undefined],
  ])("every command refuses one of another version: it %s", async (is, other) => {
    const { project, at, serving, pid, url } = await served({ maxSteps: 2, saveSteps: 2 });
    const announced = JSON.parse(project.read(SERVER));
    project.write(SERVER, JSON.stringify({ ...announced, version: other }));
    project.write("pnpm-lock.yaml", "lockfileVersion: '9.0'\n");
    for (const args of [["start", "--local"], ["jobs"], ["dev", "--local", "--port", "0"]]) {
      const { code, stderr } = await arkor(args, at).exit;
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr:
          `error: the local backend at ${url} (process ${pid}) ${is} and arkor is ${version}; they must be the ` +
          `same version. Stop that one, and run: pnpm add @arkor/local@${version}\n`,
      });
    }
    await end(serving);
  });
});

describe("jobs, cancel and attach", () => {
  it("ask the cloud when somebody is signed in, and the local backend with --local", async () => {
    const [cloud, local] = [await Backend.start(), await Backend.start()];
    for (const [backend, name] of [
      [cloud, "cloud"],
      [local, "local"],
    ] as const) {
      const jobs = [{ ...JOB, name }];
      backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs }));
      backend.on("GET /v1/me", (_, response) => json(response, 200, {}));
    }
    const state = { orgSlug: "the org", projectSlug: "p", projectId: "i" };
    const project = new Project({ ".arkor/state.json": JSON.stringify(state) }).signIn(cloud);
    project.write(SERVER, JSON.stringify({ url: local.url, token: "t", version }));
    const named = async (...args: string[]) => {
      const { stdout } = await arkor(["jobs", "--json", ...args], project.at(undefined)).exit;
      return JSON.parse(stdout)[0].name;
    };
    expect(await named()).toBe("cloud");
    expect(await named("--local")).toBe("local");
    expect(local.to("GET /v1/jobs")[0]?.headers.authorization).toBe("Bearer t");
  });
});
