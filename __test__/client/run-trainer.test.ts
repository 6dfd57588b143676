// `runTrainer`: which files it runs, and what it prints.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { run } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";

const PRINTED = "Started job job-1\nJob job-1 finished with status=completed\n";

/** Calls `runTrainer` in its own process, which prints the error's message. */
function runTrainer(project: Project, file?: string, cwd = project.cwd) {
  const script = `
    require("arkor").runTrainer(${JSON.stringify(file)})
      .catch((error) => { console.log(error.message); process.exitCode = 1; });`;
  project.write("script.cjs", script);
  return run(process.execPath, [project.path("script.cjs")], { cwd }).exit;
}

/** TypeScript that no version of Node runs: an enum, and imports without an extension or with another one. */
const TYPESCRIPT = {
  "src/arkor/index.ts": `export { trainer } from "./trainer.js";`,
  "src/arkor/trainer.ts": `
    import { Word } from "../words";
    if (Word.One !== "one") throw new Error("not the enum");
    ${handMadeTrainer()}`,
  "src/words/index.ts": `export enum Word { One = "one" }`,
};

it("the default entry ended in ERR_UNKNOWN_FILE_EXTENSION on Node 20", async () => {
  const { code, stdout, stderr } = await runTrainer(new Project(TYPESCRIPT));
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: PRINTED, stderr: "" });
});

it.each(["lab/exp.ts", "lab/exp.mts", "lab/exp.cts", "lab/exp.tsx"])("runs %s", async (file) => {
  const project = new Project({ [file]: `const n: number = 1;\n${handMadeTrainer()}` });
  expect((await runTrainer(project, file)).stdout).toBe(PRINTED);
});

it("runs an entry of another directory, with that directory's packages", async () => {
  const project = new Project({
    ...TYPESCRIPT,
    "src/arkor/index.ts": `
      import { isArkor } from "arkor";
      if (isArkor(1)) throw new Error();
      export { trainer } from "./trainer";`,
  });
  const elsewhere = new Project();
  const entry = project.path("src/arkor/index.ts");
  expect((await runTrainer(project, entry, elsewhere.cwd)).stdout).toBe(PRINTED);
  expect(readdirSync(elsewhere.cwd)).toEqual(["node_modules"]);
});

it("imports JavaScript as it is", async () => {
  const project = new Project({ "exp.mjs": handMadeTrainer() });
  expect((await runTrainer(project, "exp.mjs")).stdout).toBe(PRINTED);
  expect(project.has(".arkor")).toBe(false);
});

it.each([
  ["that isn't there", () => {}],
  ["that is a directory", (project: Project) => project.write("exp.ts/index.ts", "")],
  ["that is a pipe", (project: Project) => execFileSync("mkfifo", [project.path("exp.ts")])],
])("refuses an entry %s", async (_, make) => {
  const project = new Project();
  make(project);
  const { code, stdout } = await runTrainer(project, "exp.ts");
  expect(stdout).toBe(
    `Training entry not found: ${project.path("exp.ts")}. Provide a path or create src/arkor/index.ts.\n`,
  );
  expect(code).toBe(1);
});

it.each(["exp.ts", "exp.mjs"])("refuses %s when it exports no trainer", async (file) => {
  const project = new Project({ [file]: "export const other = 1;" });
  const { stdout } = await runTrainer(project, file);
  expect(stdout).toBe(
    "Training entry must export `arkor` (from createArkor({...})) or `trainer` " +
      "(from createTrainer({...})), or default-export one of them.\n",
  );
});

it("names the place of an error in the source", async () => {
  const project = new Project({ "exp.ts": "\nconst = 1;\n" });
  expect((await runTrainer(project, "exp.ts")).stdout).toBe(
    `exp.ts:2:7: Expected identifier but found "="\n`,
  );
});
