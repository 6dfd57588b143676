// `arkor start`: what it builds and runs, what it prints, and its exit code. The trainers are written out by
// hand where no backend is needed for what is tested.
import { rmSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";

const SAYING = (word: string) => handMadeTrainer({ start: `console.log("${word}")` });

describe("what it runs", () => {
  it("is built at every start, whatever has changed", async () => {
    const project = new Project({
      "src/arkor/index.ts": `export { trainer } from "./trainer.js";`,
      "src/arkor/trainer.ts": SAYING("one"),
    });
    expect((await arkor(["start"], project).exit).stdout).toContain("one\n");
    project.write("src/arkor/trainer.ts", SAYING("two"));
    expect((await arkor(["start"], project).exit).stdout).toContain("two\n");
    project.write(".arkor/build/index.mjs", SAYING("by other hands"));
    expect((await arkor(["start"], project).exit).stdout).toContain("two\n");
  });

  it.each([[["start", "exp.ts"]], [["build", "exp.ts"]]])(
    "without an entry is src/arkor/index.ts, also after %j",
    async (before) => {
      const project = new Project({
        "src/arkor/index.ts": SAYING("default"),
        "exp.ts": SAYING("experiment"),
      });
      expect((await arkor(before, project).exit).code).toBe(0);
      expect((await arkor(["start"], project).exit).stdout).toMatch(/^default\n/);
    },
  );

  it("is never what ran last when src/arkor/index.ts is gone", async () => {
    const project = new Project({ "exp.ts": SAYING("experiment") });
    await arkor(["build", "exp.ts"], project).exit;
    const { code, stdout, stderr } = await arkor(["start"], project).exit;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      /^error: Build entry not found: .*: arkor start \.arkor\/build\/index\.mjs\n$/,
    );
  });

  it("is a bundle without its sources when it is named", async () => {
    const project = new Project({
      "src/arkor/index.ts": `console.log(import.meta.url);\n${SAYING("one")}`,
    });
    await arkor(["build"], project).exit;
    rmSync(project.path("src"), { recursive: true });
    const before = project.read(".arkor/build/index.mjs");
    const { code, stdout } = await arkor(["start", ".arkor/build/index.mjs"], project).exit;
    expect(code).toBe(0);
    expect(stdout).toContain(`${pathToFileURL(project.path("src/arkor/index.ts"))}\none\n`);
    expect(project.read(".arkor/build/index.mjs")).toBe(before);
  });

  it("is the entry that is given, not that of another run at the same time", async () => {
    // Each entry waits in its first lines until both are built.
    const held = (word: string) =>
      `import { existsSync, writeFileSync } from "node:fs";
       writeFileSync("${word}.built", "");
       while (!existsSync("one.built") || !existsSync("two.built")) {}
       ${SAYING(word)}`;
    const project = new Project({ "one/exp.ts": held("one"), "two/exp.ts": held("two") });
    const runs = ["one", "two"].map((word) => arkor(["start", `${word}/exp.ts`], project).exit);
    const printed = (await Promise.all(runs)).map(({ stdout }) => stdout.split("\n")[0]);
    expect(printed).toEqual(["one", "two"]);
  });

  it("says that the entry is missing when there is nothing to run", async () => {
    const { code, stderr } = await arkor(["start"], new Project()).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: Build entry not found: .*\n$/);
  });
});

describe("a run", () => {
  it("prints the job and how it has finished on stdout, and exits with 0", async () => {
    const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
    const { code, stdout, stderr } = await arkor(["start"], project).exit;
    expect(stdout).toBe("Started job job-1\nJob job-1 finished with status=completed\n");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it("that fails says why on stderr, and exits with 1", async () => {
    const project = new Project({
      "src/arkor/index.ts": handMadeTrainer({
        wait: `return { job: { id: "job-1", status: "failed", error: "out of memory" }, artifacts: [] };`,
      }),
    });
    const { code, stdout, stderr } = await arkor(["start"], project).exit;
    expect(code).toBe(1);
    expect(stdout).toContain("Job job-1 finished with status=failed\n");
    expect(stderr).toBe("error: the run failed: out of memory\n");
  });

  it("that is cancelled exits with 1", async () => {
    const project = new Project({
      "src/arkor/index.ts": handMadeTrainer({
        wait: `return { job: { id: "job-1", status: "cancelled" }, artifacts: [] };`,
      }),
    });
    const { code, stdout } = await arkor(["start"], project).exit;
    expect(code).toBe(1);
    expect(stdout).toContain("Job job-1 finished with status=cancelled\n");
  });

  it("that can't be submitted tells the error with its cause in one line", async () => {
    const project = new Project({
      "src/arkor/index.ts": handMadeTrainer({
        start: `throw new TypeError("fetch failed", { cause: new Error("connect\\nECONNREFUSED") })`,
      }),
    });
    const { code, stdout, stderr } = await arkor(["start"], project).exit;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe("error: src/arkor/index.ts:4:34: fetch failed (connect ECONNREFUSED)\n");
  });

  it("of an entry that throws points into the source, with ARKOR_DEBUG=1 by the stack", async () => {
    const project = new Project({
      "src/arkor/index.ts": `import "./setup.js";\n${handMadeTrainer()}`,
      "src/arkor/setup.ts": `\n\nthrow new Error("no data");\n`,
    });
    const plain = await arkor(["start"], project).exit;
    const debug = await arkor(["start"], { ...project, env: { ARKOR_DEBUG: "1" } }).exit;
    expect(plain).toMatchObject({ code: 1, stderr: "error: src/arkor/setup.ts:3:7: no data\n" });
    expect(debug.stderr).toMatch(/src[/\\]arkor[/\\]setup\.ts:3/);
  });

  it("lives on when nobody reads its output any more", async () => {
    const project = new Project({
      "src/arkor/index.ts": handMadeTrainer({
        wait: `
          process.stdout.destroy();
          for (let line = 0; line < 3; line += 1) console.log("nobody reads this");
          return { job: { id: "job-1", status: "completed" }, artifacts: [] };`,
      }),
    });
    expect((await arkor(["start"], project).exit).code).toBe(0);
  });
});
