// Ctrl-C on a cloud run: once leaves it running, twice cancels it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it, onTestFinished } from "vitest";
import { ARKOR, arkor } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";

const ENDLESS = {
  wait: `console.log("waiting"); await new Promise(() => setInterval(() => {}, 1000));`,
  cancel: `console.log("cancel was called");`,
};

it("once says that the run goes on and how to cancel it, and exits with 130", async () => {
  const running = arkor(["start"], new Project({ "src/arkor/index.ts": handMadeTrainer(ENDLESS) }));
  await running.until("stdout", /waiting/);
  running.kill("SIGINT");
  const { code, stdout, stderr } = await running.exit;
  expect(code).toBe(130);
  expect(stderr).toBe(
    "Stopped watching; job job-1 continues. To watch it again: arkor attach job-1. " +
      "To cancel it: Ctrl-C again within 3 s, or arkor cancel job-1.\n",
  );
  expect(stdout).not.toContain("cancel was called");
});

it("twice cancels the run, and exits with 130", async () => {
  const running = arkor(["start"], new Project({ "src/arkor/index.ts": handMadeTrainer(ENDLESS) }));
  await running.until("stdout", /waiting/);
  running.kill("SIGINT");
  await running.until("stderr", /Stopped watching/);
  running.kill("SIGINT");
  const { code, stdout, stderr } = await running.exit;
  expect(code).toBe(130);
  expect(stdout).toContain("cancel was called\n");
  expect(stderr).toContain("Job job-1 is cancelled.\n");
});

it("twice tells it when the run can't be cancelled", async () => {
  const refused = { ...ENDLESS, cancel: `throw new Error("no such job")` };
  const running = arkor(["start"], new Project({ "src/arkor/index.ts": handMadeTrainer(refused) }));
  await running.until("stdout", /waiting/);
  running.kill("SIGINT");
  await running.until("stderr", /Stopped watching/);
  running.kill("SIGINT");
  const { code, stderr } = await running.exit;
  expect(code).toBe(130);
  expect(stderr).toContain("error: the run couldn't be cancelled: no such job\n");
});

it("while the job is being submitted cancels the submission, so that no run without a name is left", async () => {
  const submitting = {
    start: `console.log("submitting"); await new Promise((resolve) => { globalThis.submitted = resolve; })`,
    wait: `console.log("waiting"); await new Promise(() => setInterval(() => {}, 1000));`,
    cancel: `globalThis.submitted(); console.log("cancel was called");`,
  };
  const keepAlive = "setInterval(() => {}, 1000);\n";
  const running = arkor(
    ["start"],
    new Project({ "src/arkor/index.ts": keepAlive + handMadeTrainer(submitting) }),
  );
  await running.until("stdout", /submitting/);
  running.kill("SIGINT");
  const { code, stdout } = await running.exit;
  expect(code).toBe(130);
  expect(stdout).toContain("cancel was called\n");
  expect(stdout).not.toContain("waiting");
});

it("twice ends a process that a callback blocks, also when nobody reads its stderr any more", async () => {
  const blocked = { wait: `console.log("waiting"); for (;;);` };
  const project = new Project({ "src/arkor/index.ts": handMadeTrainer(blocked) });
  const [program, ...first] = ARKOR;
  const child = spawn(program, [...first, "start"], {
    ...project.at(undefined),
    env: { ...process.env, ...project.at(undefined).env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let stdout = "";
  for await (const chunk of child.stdout) {
    stdout += chunk;
    if (stdout.includes("waiting")) break;
  }
  child.stderr.destroy();
  const end = once(child, "exit");
  // Two signals may arrive as one, so keep sending them until the process ends.
  const pressing = setInterval(() => child.kill("SIGINT"), 100);
  onTestFinished(() => clearInterval(pressing));
  expect((await end)[1]).toBe("SIGINT");
});
