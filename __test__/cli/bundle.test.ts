// Bundling doesn't change what a module sees: its own location, and what its imports resolve to.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";

const ENTRY = "src/arkor/index.ts";

/** Runs a project whose modules assign what they see to `seen`. */
async function seenBy(project: Project, args: string[] = []): Promise<Record<string, unknown>> {
  const { code, stderr } = await arkor(["start", ...args], project).exit;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(project.read("seen.json"));
}

/** An entry that imports these modules and writes down their default exports. */
function entry(modules: Record<string, string>) {
  const names = Object.keys(modules);
  return [
    ...names.map((name) => `import ${name} from "${modules[name]}";`),
    `import { writeFileSync } from "node:fs";`,
    `writeFileSync("seen.json", JSON.stringify({ ${names.join(", ")} }));`,
    handMadeTrainer(),
  ].join("\n");
}

function placeOf(project: Project, file: string) {
  const filename = project.path(file);
  return { url: pathToFileURL(filename).href, dirname: path.dirname(filename), filename };
}

describe("a module's place", () => {
  const PLACE =
    "{ url: import.meta.url, dirname: import.meta.dirname, filename: import.meta.filename }";

  it.each([
    ["import.meta, field by field", "lib/place.ts", `export default ${PLACE};`],
    [
      "import.meta, taken apart",
      "lib/place.mts",
      "const { url, dirname, filename } = import.meta;\nexport default { url, dirname, filename };",
    ],
    [
      "__dirname and __filename in an ES module",
      "lib/place.ts",
      `import { pathToFileURL } from "node:url";
       const url: string = pathToFileURL(__filename).href;
       export default { url, dirname: __dirname, filename: __filename };`,
    ],
    [
      "__dirname and __filename in a CommonJS module",
      "lib/place.cjs",
      `const { pathToFileURL } = require("node:url");
       module.exports = { url: pathToFileURL(__filename).href, dirname: __dirname, filename: __filename };`,
    ],
    [
      "a __dirname of the module's own",
      "lib/place.ts",
      `import { dirname } from "node:path";
       import { fileURLToPath } from "node:url";
       const __filename = fileURLToPath(import.meta.url);
       const __dirname = dirname(__filename);
       export default { url: import.meta.url, dirname: __dirname, filename: __filename };`,
    ],
    ["a first line for the shell", "lib/place.ts", `#!/usr/bin/env node\nexport default ${PLACE};`],
    ["a path that a URL has to escape", "lib/a b#c%?/place.ts", `export default ${PLACE};`],
  ])("was that of the bundle, by %s", async (_, file, source) => {
    const project = new Project({
      [ENTRY]: entry({ place: `../../${file}`, other: "./other" }),
      "src/arkor/other.ts": `export default ${PLACE};`,
      [file]: source,
    });
    expect(await seenBy(project)).toEqual({
      place: placeOf(project, file),
      other: placeOf(project, "src/arkor/other.ts"),
    });
  });

  it("is where import.meta.resolve starts from", async () => {
    const project = new Project({
      [ENTRY]: entry({ found: "../lib/find" }),
      "src/lib/find.ts": `export default import.meta.resolve("./rows.jsonl");`,
    });
    expect(await seenBy(project)).toEqual({
      found: pathToFileURL(project.path("src/lib/rows.jsonl")).href,
    });
  });

  it("does not change what a text or a comment says", async () => {
    const project = new Project({
      [ENTRY]: entry({ text: "./text" }),
      "src/arkor/text.ts": `/* import.meta.url */ export default "import.meta.url, __dirname";`,
    });
    expect(await seenBy(project)).toEqual({ text: "import.meta.url, __dirname" });
  });

  it("goes along when the project is moved with its bundle", async () => {
    const project = new Project({
      [ENTRY]: `export const place = ${PLACE};\n${handMadeTrainer()}`,
    });
    await arkor(["build"], project).exit;
    expect(project.read(".arkor/build/index.mjs")).not.toContain(project.cwd);
  });

  it("does not move an error in the first line of a module", async () => {
    const project = new Project({ [ENTRY]: "const url = import.meta.url; const = 1;\n" });
    const { stderr } = await arkor(["build"], project).exit;
    expect(stderr.split("\n")).toEqual([
      `error: ${ENTRY}:1:36: Expected identifier but found "="`,
      "      1 │ const url = import.meta.url; const = 1;",
      `        ╵ ${" ".repeat(35)}^`,
      "",
    ]);
  });

  it("shows every error of a build with its line, and the first one in its message", async () => {
    const project = new Project({
      [ENTRY]: `import "./gone.js";\nimport "./gone-too.js";\nexport const trainer = 1;`,
    });
    const { code, stderr } = await arkor(["start"], project).exit;
    expect(code).toBe(1);
    expect(stderr.split("\n")).toEqual([
      `error: ${ENTRY}:1:8: Could not resolve "./gone.js" (and 1 more)`,
      `      1 │ import "./gone.js";`,
      "        ╵        ~~~~~~~~~~~",
      "",
      `✘ [ERROR] Could not resolve "./gone-too.js"`,
      "",
      `    ${ENTRY}:2:8:`,
      `      2 │ import "./gone-too.js";`,
      "        ╵        ~~~~~~~~~~~~~~~",
      "",
    ]);
  });
});

describe("a package", () => {
  const installed = (name: string, value: string) => ({
    [`node_modules/${name}/package.json`]: JSON.stringify({ name, main: "index.js" }),
    [`node_modules/${name}/index.js`]: `module.exports = "${value}";`,
  });

  it.each([
    [{ baseUrl: "./src" }],
    [{ paths: { "*": ["./src/*"] } }],
    [{ paths: { real: ["./src/real.ts"], "@acme/real": ["./src/real.ts"] } }],
  ])(
    "that is installed was replaced by the project's own file with %j",
    async (compilerOptions) => {
      const project = new Project({
        "tsconfig.json": JSON.stringify({ compilerOptions }),
        [ENTRY]: entry({ one: "real", two: "@acme/real", three: "path" }).replace(
          "three })",
          "three: typeof three.join })",
        ),
        "src/real.ts": `export default "captured";`,
        "src/path.ts": `export default "captured";`,
        "src/@acme/real.ts": `export default "captured";`,
        ...installed("real", "installed"),
        ...installed("@acme/real", "installed"),
      });
      expect(await seenBy(project)).toEqual({
        one: "installed",
        two: "installed",
        three: "function",
      });
      expect(project.read(".arkor/build/index.mjs")).toContain('from "@acme/real"');
    },
  );

  it("of the project's own paths is still found", async () => {
    const project = new Project({
      "tsconfig.json": JSON.stringify({
        compilerOptions: { baseUrl: ".", paths: { "@/*": ["./src/*"], "~lib": ["./src/lib"] } },
      }),
      "package.json": JSON.stringify({ name: "p", imports: { "#data": "./src/data.ts" } }),
      [ENTRY]: entry({ one: "@/one", lib: "~lib", data: "#data", two: "src/two" }),
      "src/one.ts": `export default 1;`,
      "src/two.ts": `export default 2;`,
      "src/lib/index.ts": `export default "lib";`,
      "src/data.ts": `export default "data";`,
    });
    expect(await seenBy(project)).toEqual({ one: 1, two: 2, lib: "lib", data: "data" });
  });

  it("of the workspace keeps its place, and finds what only it has installed", async () => {
    const project = new Project({
      [ENTRY]: entry({ labels: "@acme/labels", zod: "zod" }),
      ...installed("zod", "the project's"),
      "packages/labels/package.json": JSON.stringify({
        name: "@acme/labels",
        exports: "./src/index.ts",
      }),
      "packages/labels/src/index.ts": `
        import zod from "zod";
        import own from "own";
        export default { zod, own, file: import.meta.filename };`,
    });
    for (const [name, value] of [
      ["zod", "the package's"],
      ["own", "its own"],
    ]) {
      for (const [file, content] of Object.entries(installed(name, value))) {
        project.write(`packages/labels/${file}`, content);
      }
    }
    project.link("@acme/labels", "packages/labels");
    expect(await seenBy(project)).toEqual({
      labels: {
        zod: "the package's",
        own: "its own",
        file: project.path("packages/labels/src/index.ts"),
      },
      zod: "the project's",
    });
  });

  it("of the workspace in JavaScript may import TypeScript, and require what Node has", async () => {
    const project = new Project({
      [ENTRY]: entry({ tool: "tool" }),
      "packages/tool/package.json": JSON.stringify({ name: "tool", main: "index.js" }),
      "packages/tool/index.js": `
        const { sep } = require("node:path");
        const real = require("real");
        exports.default = { sep, real, more: require("./more").more };`,
      "packages/tool/more.ts": `export const more: number = 1;`,
      ...installed("real", "installed"),
    });
    project.link("tool", "packages/tool");
    const { tool } = await seenBy(project);
    expect(tool).toMatchObject({ default: { sep: path.sep, real: "installed", more: 1 } });
  });

  it("that isn't there fails where it is used, not when it is bundled", async () => {
    const project = new Project({
      [ENTRY]: `
        const optional = await import("not-installed").catch(() => "without");
        console.log(optional);
        ${handMadeTrainer()}`,
    });
    const { code, stdout } = await arkor(["start"], project).exit;
    expect(stdout).toMatch(/^without\n/);
    expect(code).toBe(0);
  });
});

describe("files that are none", () => {
  const fifo = (project: Project, file: string) => {
    project.write(`${file}.beside`, "");
    execFileSync("mkfifo", [project.path(file)]);
  };

  it.each([
    ["the entry", ENTRY, "Build entry not found"],
    ["a module", "src/arkor/trainer.ts", "trainer.ts is not a regular file"],
    ["the project's tsconfig.json", "tsconfig.json", "tsconfig.json is not a regular file"],
  ])("hung the command: a pipe as %s", async (_, file, message) => {
    const project = new Project();
    if (file !== ENTRY) project.write(ENTRY, `export { trainer } from "./trainer.js";`);
    if (file === "tsconfig.json") project.write("src/arkor/trainer.ts", handMadeTrainer());
    fifo(project, file);
    const { code, stderr } = await arkor(["build"], project).exit;
    expect(stderr).toContain(message);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
    expect(code).toBe(1);
  });

  const own = JSON.stringify({ compilerOptions: { paths: { "@/*": ["./src/*"] } } });

  it.each([
    ["a pipe", undefined],
    ["no JSON", '{ "compilerOptions": '],
  ])("broke the build: a tsconfig.json above the project that is %s", async (_, content) => {
    const above = new Project({
      "project/tsconfig.json": own,
      [`project/${ENTRY}`]: `export { trainer } from "@/trainer";`,
      "project/src/trainer.ts": handMadeTrainer(),
    });
    if (content === undefined) fifo(above, "tsconfig.json");
    else above.write("tsconfig.json", content);
    const { code, stderr } = await arkor(["build"], { cwd: above.path("project") }).exit;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it("are told when the project has no tsconfig.json but a broken one above it", async () => {
    const above = new Project({
      "tsconfig.json": "{ nothing",
      [`project/${ENTRY}`]: handMadeTrainer(),
    });
    const { code, stderr } = await arkor(["build"], { cwd: above.path("project") }).exit;
    expect(code).toBe(0);
    expect(stderr).toBe(
      `warning: ${above.path("tsconfig.json")} can't be read; building without it\n`,
    );
  });

  it("are named before an import that they would have led to its file", async () => {
    const project = new Project({
      "tsconfig.json": '{"compilerOptions":{',
      "src/lib/values.ts": "export const name = 1;",
      [ENTRY]: `import { name } from "@/lib/values"; console.log(name); ${handMadeTrainer()}`,
    });
    const { code, stderr } = await arkor(["build"], project).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: tsconfig\.json:1:\d+: .*\n/);
  });

  it("are an error where they are the project's own: a tsconfig.json that is no JSON", async () => {
    const project = new Project({ "tsconfig.json": "{ nothing", [ENTRY]: handMadeTrainer() });
    const { code, stderr } = await arkor(["build"], project).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: tsconfig\.json:1:\d+: .*\n/);
  });
});

it("takes a source that begins with a byte order mark", async () => {
  const project = new Project({ [ENTRY]: `\ufeff${handMadeTrainer({ start: "import.meta" })}` });
  expect((await arkor(["start"], project).exit).code).toBe(0);
  expect(readFileSync(project.path(".arkor/build/index.mjs"), "utf8")).not.toContain("\ufeff");
});
