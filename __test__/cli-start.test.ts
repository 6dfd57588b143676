// `arkor start`: when it builds, what it prints, and its exit code. The trainers are written out by
// hand where no backend is needed for what is tested.
import { rmSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { arkor } from "./cli-support/command.ts";
import { handMadeTrainer, Project } from "./cli-support/project.ts";

const SAYING = (word: string) => handMadeTrainer({ start: `console.log("${word}")` });

describe("what it runs", () => {
  it("builds when there is no bundle, and not again when nothing has changed", async () => {
    const project = new Project({ "src/arkor/index.ts": SAYING("one") });
    expect((await arkor(["start"], project).exit).stdout).toContain("one\n");
    const built = statSync(project.path(".arkor/build/index.mjs")).ino;
    expect((await arkor(["start"], project).exit).stdout).toContain("one\n");
    expect(statSync(project.path(".arkor/build/index.mjs")).ino).toBe(built);
  });

  it("builds again when a file that the entry imports has changed", async () => {
    const project = new Project({
      "src/arkor/index.ts": `export { trainer } from "./trainer.js";`,
      "src/arkor/trainer.ts": SAYING("one"),
    });
    await arkor(["start"], project).exit;
    project.write("src/arkor/trainer.ts", SAYING("two"));
    expect((await arkor(["start"], project).exit).stdout).toContain("two\n");
  });

  it("builds again when a new file takes the place of one that was imported", async () => {
    const project = new Project({
      "src/arkor/index.ts": `export { trainer } from "./trainer";`,
      "src/arkor/trainer/index.ts": SAYING("one"),
    });
    await arkor(["start"], project).exit;
    project.write("src/arkor/trainer.ts", SAYING("two"));
    expect((await arkor(["start"], project).exit).stdout).toContain("two\n");
  });

  it("builds again when a tsconfig.json that redirects an import has changed", async () => {
    const settings = (file: string) =>
      JSON.stringify({ compilerOptions: { paths: { "@/trainer": [`./src/${file}`] } } });
    const project = new Project({
      "tsconfig.json": settings("one.ts"),
      "src/arkor/index.ts": `export { trainer } from "@/trainer";`,
      "src/one.ts": SAYING("one"),
      "src/two.ts": SAYING("two"),
    });
    expect((await arkor(["start"], project).exit).stdout).toContain("one\n");
    project.write("tsconfig.json", settings("two.ts"));
    expect((await arkor(["start"], project).exit).stdout).toContain("two\n");
  });

  it("builds again when a file that tsconfig.json extends has changed", async () => {
    const settings = (file: string) =>
      JSON.stringify({ compilerOptions: { paths: { "@/trainer": [`./src/${file}`] } } });
    const project = new Project({
      "tsconfig.json": `{ "extends": "./base" /* shared */ }`,
      "base.json": settings("one.ts"),
      "src/arkor/index.ts": `export { trainer } from "@/trainer";`,
      "src/one.ts": SAYING("one"),
      "src/two.ts": SAYING("two"),
    });
    expect((await arkor(["start"], project).exit).stdout).toContain("one\n");
    project.write("base.json", settings("two.ts"));
    expect((await arkor(["start"], project).exit).stdout).toContain("two\n");
  });

  it("builds again when the bundle itself was changed by other hands", async () => {
    const project = new Project({ "src/arkor/index.ts": SAYING("one") });
    await arkor(["start"], project).exit;
    project.write(".arkor/build/index.mjs", SAYING("tampered"));
    expect((await arkor(["start"], project).exit).stdout).toContain("one\n");
  });

  it("goes on with the entry that was built last", async () => {
    const project = new Project({
      "src/arkor/index.ts": SAYING("default"),
      "other.ts": SAYING("one"),
    });
    expect((await arkor(["start", "other.ts"], project).exit).stdout).toContain("one\n");
    project.write("other.ts", SAYING("two"));
    expect((await arkor(["start"], project).exit).stdout).toContain("two\n");
  });

  it("runs a bundle that was deployed without its sources, and says so", async () => {
    const project = new Project({ "src/arkor/index.ts": SAYING("one") });
    await arkor(["build"], project).exit;
    rmSync(project.path("src"), { recursive: true });
    const { code, stdout, stderr } = await arkor(["start"], project).exit;
    expect(code).toBe(0);
    expect(stdout).toContain("one\n");
    expect(stderr).toBe("No sources here: running .arkor/build/index.mjs as it was built.\n");
  });

  it("runs a bundle that was put there by hand", async () => {
    const project = new Project({ ".arkor/build/index.mjs": SAYING("by hand") });
    expect((await arkor(["start"], project).exit).stdout).toContain("by hand\n");
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
    expect(stderr).toBe("error: fetch failed (connect ECONNREFUSED)\n");
  });

  it("of an entry that throws points into the source with ARKOR_DEBUG=1", async () => {
    const project = new Project({
      "src/arkor/index.ts": `import "./setup.js";\n${handMadeTrainer()}`,
      "src/arkor/setup.ts": `\n\nthrow new Error("no data");\n`,
    });
    const plain = await arkor(["start"], project).exit;
    const debug = await arkor(["start"], { ...project, env: { ARKOR_DEBUG: "1" } }).exit;
    expect(plain).toMatchObject({ code: 1, stderr: "error: no data\n" });
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
