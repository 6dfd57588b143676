// The end of `arkor start` when the project's code has left something open, or waits for nothing.
import { expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";

const FAILED = `return { job: { id: "job-1", status: "failed", error: "no" }, artifacts: [] };`;

it.each([
  ["a timer", "setInterval(() => {}, 1000);"],
  ["a server", `import { createServer } from "node:net"; createServer().listen(0, "127.0.0.1");`],
  [
    "a connection",
    `import { connect, createServer } from "node:net";
     const server = createServer().listen(0, "127.0.0.1", () => {
       connect(server.address().port, "127.0.0.1");
       server.unref();
     });`,
  ],
  [
    "something",
    `import { Worker } from "node:worker_threads"; new Worker("setInterval(() => {}, 1000)", { eval: true });`,
  ],
  ["a file watcher", `import { watch } from "node:fs"; watch(".");`],
])("does not wait for %s that the entry has left open, and says so", async (what, open) => {
  const project = new Project({ "src/arkor/index.ts": open + handMadeTrainer() });
  const { code, stdout, stderr } = await arkor(["start"], project).exit;
  expect(stdout).toBe("Started job job-1\nJob job-1 finished with status=completed\n");
  expect(stderr).toContain(`warning: the project left `);
  expect(stderr).toContain(what);
  expect(code).toBe(0);
});

it("keeps the exit code of a failed run when something was left open", async () => {
  const project = new Project({
    "src/arkor/index.ts": `setInterval(() => {}, 1000); ${handMadeTrainer({ wait: FAILED })}`,
  });
  expect((await arkor(["start"], project).exit).code).toBe(1);
});

it("loses nothing that was printed when it does not wait", async () => {
  const project = new Project({
    "src/arkor/index.ts": `
      const timer = setInterval(() => {}, 1000);
      setTimeout(() => process.stdout.write("x".repeat(4_000_000) + "end"), 200);
      ${handMadeTrainer()}`,
  });
  const { stdout } = await arkor(["start"], project).exit;
  expect(stdout.slice(stdout.indexOf("x"))).toBe(`${"x".repeat(4_000_000)}end`);
});

it("waits without a word for what a callback has begun and ends soon", async () => {
  const project = new Project({
    "src/arkor/index.ts": handMadeTrainer({
      wait: `
        setTimeout(() => console.log("uploaded"), 300);
        return { job: { id: "job-1", status: "completed" }, artifacts: [] };`,
    }),
  });
  const { code, stdout, stderr } = await arkor(["start"], project).exit;
  expect(stdout).toMatch(/finished with status=completed\nuploaded\n$/);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

it.each([
  ["an entry", "await new Promise(() => {});"],
  ["wait()", handMadeTrainer({ wait: "await new Promise(() => {});" })],
])("reported success when %s waits for what never comes", async (_, source) => {
  const project = new Project({
    "src/arkor/index.ts": source.includes("export") ? source : `${source}${handMadeTrainer()}`,
  });
  const { code, stderr } = await arkor(["start"], project).exit;
  expect(stderr).toBe("error: the entry waits for a promise that nothing can settle any more.\n");
  expect(code).toBe(1);
});

it("says that an entry which awaits something at its top level is still loading", async () => {
  const project = new Project({
    "src/arkor/index.ts": `setInterval(() => {}, 1000); await new Promise(() => {}); ${handMadeTrainer()}`,
  });
  const running = arkor(["start"], project);
  await running.until(
    "stderr",
    /^The entry is still loading: it awaits something at its top level\.$/m,
  );
  running.kill("SIGKILL");
  await running.exit;
});

it("fails when the entry ends the process before there is a trainer", async () => {
  const project = new Project({ "src/arkor/index.ts": `process.exit(0); ${handMadeTrainer()}` });
  const { code, stdout, stderr } = await arkor(["start"], project).exit;
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: "",
    stderr: "error: the entry ended the process before it exported a trainer.\n",
  });
});

it("names what is in the place of the directory that it builds into", async () => {
  const project = new Project({ ".arkor/build": "mine", "src/arkor/index.ts": handMadeTrainer() });
  const { code, stderr } = await arkor(["start"], project).exit;
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `error: ${project.path(".arkor/build")} has to be a directory. Move away what is in its place.\n`,
  });
});
