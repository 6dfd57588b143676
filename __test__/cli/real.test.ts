// The whole path with nothing stood in for: `arkor start --local` trains the example's data with the
// real backend. What is asserted was computed.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { arkor, isAlive, type Running } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { entry, jobOf } from "../support/real-run.ts";

/** The process of the backend: the only child of the command. */
function backendOf(running: Running): number {
  const listing = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const rows = listing.trim().split("\n");
  const children = rows.map((row) => row.trim().split(/\s+/).map(Number));
  const pid = children.find(([, parent]) => parent === running.pid)?.[0];
  if (pid === undefined) throw new Error("the command has no child");
  return pid;
}

describe("arkor start --local", () => {
  it("takes a project to a trained adapter", async () => {
    const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 4, saveSteps: 2 }) });
    const { code, stdout, stderr } = await arkor(["start", "--local"], project).exit;
    const job = jobOf(stdout);
    const losses = [...stdout.matchAll(/^step=\d+ loss=(\S+)$/gm)].map(([, loss]) => Number(loss));
    expect(losses).toHaveLength(4);
    for (const loss of losses) expect(loss).toBeGreaterThan(0);
    expect(stdout).toContain("checkpoint=2 answer=string\n");
    expect(stdout).toContain(`Job ${job} finished with status=completed\n`);
    expect(stdout).toMatch(new RegExp(`Adapter: \\.arkor/local/jobs/${job}/adapter\\n$`));
    expect(readdirSync(project.path(`.arkor/local/jobs/${job}/adapter`))).toEqual(
      expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors"]),
    );
    // The named model isn't on this machine: stderr says that arkor-tiny replaces it.
    expect(stderr).toContain("arkor-tiny");
    expect(code).toBe(0);
  });

  it("--dry-run takes it there in a few steps", async () => {
    const project = new Project({
      "src/arkor/index.ts": entry({ maxSteps: 1000, saveSteps: 500 }),
    });
    const { code, stdout } = await arkor(["start", "--local", "--dry-run"], project).exit;
    expect(stdout).toContain("finished with status=completed\n");
    expect([...stdout.matchAll(/^step=/gm)].length).toBeLessThan(100);
    expect(code).toBe(0);
  });

  it("goes on with a run whose backend was killed, after its last checkpoint", async () => {
    const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 40, saveSteps: 2 }) });
    const running = arkor(["start", "--local"], project);
    await running.until("stdout", /checkpoint=2 /);
    process.kill(backendOf(running), "SIGKILL");
    const { code, stdout, stderr } = await running.exit;
    expect(stderr).toMatch(
      /arkor-local was ended by SIGKILL; starting it again on port \d+ \(1 of 3\)/,
    );
    expect(Number(stderr.match(/^resumed after step (\d+)$/m)?.[1])).toBeGreaterThanOrEqual(2);
    const steps = [...stdout.matchAll(/^step=(\d+) /gm)].map(([, step]) => Number(step));
    expect(steps).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect(stdout).toContain("finished with status=completed\n");
    expect(code).toBe(0);
  });

  it("Ctrl-C cancels the run, keeps its checkpoints, and ends the backend", async () => {
    const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 5000, saveSteps: 2 }) });
    const running = arkor(["start", "--local"], project);
    await running.until("stdout", /checkpoint=2 /);
    const backend = backendOf(running);
    running.kill("SIGINT");
    const { code, stdout, stderr } = await running.exit;
    const [, kept = "nowhere"] = stderr.match(/Its checkpoints are in (\S+)\. To go on /) ?? [];
    expect(readdirSync(project.path(kept)).length).toBeGreaterThan(0);
    expect(stdout).toContain("finished with status=cancelled\n");
    expect(isAlive(backend)).toBe(false);
    expect(code).toBe(130);
  });
});

it("arkor local serves a project in another terminal: start, jobs and attach", async () => {
  const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 2, saveSteps: 2 }) });
  const serving = arkor(["local"], project);
  const [, url, token] = await serving.until(
    "stdout",
    /ARKOR_CLOUD_API_URL=(\S+)\n.*ARKOR_LOCAL_TOKEN=(\S+)\n/,
  );
  const at = project.at({ url: url ?? "" }, { ARKOR_LOCAL_TOKEN: token });
  const started = await arkor(["start"], at).exit;
  expect(started.code).toBe(0);
  const job = jobOf(started.stdout);
  const listed = await arkor(["jobs", "--json"], at).exit;
  expect(JSON.parse(listed.stdout)).toMatchObject([{ id: job, status: "completed" }]);
  const attached = await arkor(["attach", job], at).exit;
  expect(attached.code).toBe(0);
  expect(attached.stdout).toContain("step=2 loss=");
  expect((await arkor(["whoami"], at).exit).code).toBe(0);
  serving.kill("SIGINT");
  expect((await serving.exit).code).toBe(0);
});
