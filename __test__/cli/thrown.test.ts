// What the project's own code throws: its place in the sources, in the error, in Node's warning and in the
// summary.
import { describe, expect, it } from "vitest";
import { Backend } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";
import { arkorAt } from "../support/terminal.ts";

const ENTRY = "src/arkor/index.ts";
const TRAINER = "src/arkor/trainer.ts";

/**
 * A run with two logs and these callbacks. The stream is reopened after each log, and the trainer is in its own module.
 */
async function project(callbacks: string, before = "") {
  const backend = await Backend.start(
    (stream) => {
      stream.event("training.started", { metadata: { totalSteps: 2 } }, 1);
      stream.log(2, { step: 1, loss: 2, evalLoss: 3 });
    },
    (stream) => stream.log(3, { step: 2, loss: 1, evalLoss: 2 }),
    (stream) => stream.completed(4),
  );
  const files = {
    [ENTRY]: `${before}\nexport { trainer } from "./trainer.js";`,
    [TRAINER]: [
      'import { createTrainer } from "arkor";',
      "interface Row { text: string }",
      "const rows: Row[] = [];",
      'const dataset = { type: "blob", url: "https://data.test/rows.jsonl" } as const;',
      'export const trainer = createTrainer({ name: "run", model: "m", dataset,',
      `  callbacks: { ${callbacks} } }, { reconnectDelayMs: 1 });`,
    ].join("\n"),
  };
  const made = new Project(files).signIn(backend);
  return { made, at: made.at(backend) };
}

const THROWS = "onLog: () => { rows[0].text; }";
/** The position of `.text` in the line above. */
const PLACE = `${TRAINER}:6:39`;

describe("a callback", () => {
  it("has its place in the warning, and in the summary how often it threw", async () => {
    const { made, at } = await project(THROWS);
    const { code, stderr } = await arkor(["start"], at).exit;
    expect(code).toBe(0);
    const words = "Cannot read properties of undefined (reading 'text')";
    const warned = stderr.slice(stderr.indexOf("(node:")).split("\n");
    expect(warned.slice(0, 2)).toEqual([
      expect.stringMatching(/ArkorCallbackWarning: onLog at step 1 threw: Cannot read/),
      `    at Object.onLog (${made.path(PLACE)})`,
    ]);
    expect(stderr).toContain(
      `  callback   onLog threw 2 times, first at step 1: ${PLACE}: ${words}\n`,
    );
  });

  it("has its whole stack in the warning, for listeners of the project", async () => {
    const listen = `process.on("warning", ({ name, detail }) => console.log(name + "|" + detail));`;
    const { made, at } = await project(THROWS, listen);
    const { stdout } = await arkor(["start"], at).exit;
    expect(stdout).toContain("ArkorCallbackWarning|TypeError: Cannot read properties of undefined");
    expect(stdout).toContain(`(${made.path(PLACE)})\n    at #dispatch `);
  });

  it("is shown with its whole stack with ARKOR_DEBUG=1", async () => {
    const { at } = await project(THROWS);
    const env = { ...at.env, ARKOR_DEBUG: "1" };
    const { stderr } = await arkor(["start"], { ...at, env }).exit;
    expect(stderr).toMatch(/^ {4}at Object\.onLog .*\n {4}at #dispatch /m);
  });

  it("throws no error, and the summary says what it threw", async () => {
    const { at } = await project(`onLog: () => { throw "no\\u001b[2J words"; }`);
    const { code, stderr } = await arkor(["start"], at).exit;
    expect(code).toBe(0);
    expect(stderr).toContain(
      "  callback   onLog threw 2 times, first at step 1: no\ufffd[2J words\n",
    );
  });
});

describe("an entry", () => {
  const error = async (files: Record<string, string>) => {
    const { code, stderr } = await arkor(["start"], new Project(files)).exit;
    expect(code).toBe(1);
    return stderr;
  };
  const setup = (code: string) => ({
    [ENTRY]: `import "./setup.js";\n${handMadeTrainer()}`,
    "src/arkor/setup.ts": `interface A { a: number }\n${code}\n`,
  });

  it.each([
    [
      "asks a package for what it doesn't have",
      'import { createTrainr } from "arkor";\nconsole.log(createTrainr);',
      "src/arkor/setup.ts:2:10: The requested module 'arkor' does not provide an export named 'createTrainr'",
    ],
    [
      "rejects later, in a function",
      'async function load() { throw new RangeError("late"); }\nawait load();',
      "src/arkor/setup.ts:2:31: late",
    ],
    [
      "throws in a timer",
      'await new Promise(() => setTimeout(() => { throw new Error("in a timer"); }, 1));',
      "src/arkor/setup.ts:2:50: in a timer",
    ],
    [
      "throws an error whose message looks like a stack",
      'throw new Error("no\\n    at fake (/nowhere.ts:1:2)");',
      "src/arkor/setup.ts:2:7: no at fake (/nowhere.ts:1:2)",
    ],
    ["throws what is no error", 'throw "a string";', "a string"],
  ])("that %s", async (_, code, message) => {
    expect(await error(setup(code))).toBe(`error: ${message}\n`);
  });

  it("that imports part of a package that isn't installed", async () => {
    const files = setup('export { x } from "@acme/gone/part";');
    expect(await error({ ...files, "pnpm-lock.yaml": "" })).toBe(
      "error: src/arkor/setup.ts:2:19: The package @acme/gone isn't installed. Install it with: pnpm add @acme/gone\n",
    );
  });

  it("without a source map is named as it is", async () => {
    const bundle = ".arkor/build/index.mjs";
    const made = new Project({ [bundle]: 'import "not-there"; export const trainer = 1;' });
    const { stderr } = await arkor(["start", bundle], made).exit;
    expect(stderr).toBe(
      "error: The package not-there isn't installed. Install it with: npm install not-there\n",
    );
  });
});

describe("colours", () => {
  const broken = { [ENTRY]: "const = 1;" };
  const ESC = "\u001b[";

  it("mark an error in red on a terminal, and its line of source", async () => {
    const terminal = arkorAt(["start"], new Project(broken));
    expect(await terminal.exit).toBe(1);
    expect(terminal.raw).toContain(`${ESC}1m${ESC}31merror:${ESC}39m${ESC}22m ${ENTRY}:1:7: Exp`);
    expect(terminal.lines.slice(1)).toEqual(["      1 │ const = 1;", "        ╵       ^"]);
  });

  it.each([{ NO_COLOR: "1" }, { TERM: "dumb" }])("are left out with %j", async (env) => {
    const terminal = arkorAt(["start"], { ...new Project(broken), env });
    expect(await terminal.exit).toBe(1);
    expect(terminal.raw).not.toContain("\u001b");
  });
});

it.each([
  [
    ["start"],
    "error: Can't reach api.arkor.invalid (offline?). `--local` trains on this machine.\n",
  ],
  [["login", "--anonymous"], "error: Can't reach api.arkor.invalid (offline?).\n"],
])("without a network, %j says who can't be reached", async (args, message) => {
  const cloud = { url: "https://api.arkor.invalid" };
  const entry = `
    import { createTrainer } from "arkor";
    export const trainer = createTrainer({ name: "run", model: "m", dataset: { type: "huggingface", name: "a/b" } });
  `;
  const proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
  const env = Object.fromEntries(proxies.map((name) => [name, undefined]));
  const { code, stderr } = await arkor(args, new Project({ [ENTRY]: entry }).at(cloud, env)).exit;
  expect(stderr).toBe(message);
  expect(code).toBe(1);
});
