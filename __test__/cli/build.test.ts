// `arkor build`: what is bundled, what stays an import, and how errors are told.
import { existsSync, readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";

const NOTHING_TO_RUN =
  "error: Training entry must export `arkor` (from createArkor({...})) or `trainer` " +
  "(from createTrainer({...})), or default-export one of them.\n";

it("bundles src/arkor/index.ts with what it imports, and leaves packages as imports", async () => {
  const project = new Project({
    "src/arkor/index.ts": `export { trainer } from "./trainer.js";`,
    "src/arkor/trainer.ts": `
      import { createTrainer } from "arkor";
      import { readFileSync } from "node:fs";
      const name: string = "from-the-other-file";
      export const trainer = createTrainer({ name, model: "m", dataset: { type: "blob", url: String(readFileSync) } });
    `,
  });
  const { code, stdout, stderr } = await arkor(["build"], project).exit;
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: "Built .arkor/build/index.mjs\n",
    stderr: "",
  });
  const bundle = project.read(".arkor/build/index.mjs");
  expect(bundle).toContain('from "arkor"');
  expect(bundle).toContain("from-the-other-file");
  expect(bundle).toContain("//# sourceMappingURL=index.mjs.map");
  expect(JSON.parse(project.read(".arkor/build/index.mjs.map")).sources).toContain(
    "../../src/arkor/trainer.ts",
  );
});

it("leaves no temporary file behind", async () => {
  const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
  await arkor(["build"], project).exit;
  await arkor(["build"], project).exit;
  expect(readdirSync(project.path(".arkor/build")).sort()).toEqual(["index.mjs", "index.mjs.map"]);
});

it("takes the entry that it is given", async () => {
  const project = new Project({ "train/mine.ts": handMadeTrainer() });
  const { code } = await arkor(["build", "train/mine.ts"], project).exit;
  expect(code).toBe(0);
  expect(project.read(".arkor/build/index.mjs")).toContain("by hand");
});

it.each([
  [[], "src/arkor/index.ts"],
  [["train/mine.ts"], "train/mine.ts"],
  [["train"], "train"],
])("with %j says which entry is missing, and how to go on", async (args, entry) => {
  const project = new Project({ "train/other.ts": "" });
  const { code, stderr } = await arkor(["build", ...args], project).exit;
  expect(code).toBe(1);
  expect(stderr).toBe(
    `error: Build entry not found: ${project.path(entry)}. ` +
      "Create src/arkor/index.ts or pass an explicit entry argument.\n",
  );
});

it("tells the first error of the source as file:line:column, and shows the line", async () => {
  const project = new Project({
    "src/arkor/index.ts": `export { trainer } from "./missing.js";\nconst = 1;\n`,
  });
  const { code, stderr } = await arkor(["build"], project).exit;
  expect(code).toBe(1);
  expect(stderr.split("\n")).toEqual([
    `error: src/arkor/index.ts:2:7: Expected identifier but found "="`,
    "      2 │ const = 1;",
    "        ╵       ^",
    "",
  ]);
});

it("refuses an entry that exports no trainer, and keeps the bundle that was there", async () => {
  const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
  await arkor(["build"], project).exit;
  const before = project.read(".arkor/build/index.mjs");
  project.write("src/arkor/index.ts", "export const other = 1;");
  const { code, stderr } = await arkor(["build"], project).exit;
  expect({ code, stderr }).toEqual({ code: 1, stderr: NOTHING_TO_RUN });
  expect(project.read(".arkor/build/index.mjs")).toBe(before);
});

it("shows the stack only with ARKOR_DEBUG=1", async () => {
  const project = new Project();
  const plain = await arkor(["build"], project).exit;
  const debug = await arkor(["build"], { ...project, env: { ARKOR_DEBUG: "1" } }).exit;
  expect(plain.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(debug.stderr).toMatch(/\n {4}at .*build\.js/);
  expect(existsSync(project.path(".arkor"))).toBe(false);
});
