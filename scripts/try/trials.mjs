// The environments in which arkor has to run. Each trial is a few files in a clean project that has the
// package installed, and a command whose output shows whether it worked.
import path from "node:path";

/**
 * @typedef {object} Trial
 * @property {string} name as in the table of docs/getting-started.md
 * @property {Record<string, string>} needs the other packages that the project needs, with their versions
 * @property {Record<string, string>} files
 * @property {string[][]} commands the program (of node_modules/.bin, or node) and its arguments
 * @property {RegExp} prints what the last one must print
 */

const RUN = `
const steps = [];
const trainer = createTrainer({
  name: "trial",
  model: "unsloth/gemma-4-E4B-it",
  dataset: { type: "blob", url: "https://data.test/rows.jsonl" },
  callbacks: { onLog: ({ step }) => steps.push(step) },
});
const { job } = await trainer.wait();
`;
const TELL = 'console.log(job.status, steps.join(","));\n';
const IMPORT = 'import { createTrainer } from "arkor";\n';
const REQUIRE = 'const { createTrainer } = require("arkor");\n';
const ESM = IMPORT + RUN + TELL;
const CJS = `${REQUIRE}(async () => {${RUN}${TELL}})();\n`;
const DONE = /completed 1,2/;

const TYPED = `
import { createArkor, createTrainer, type CheckpointContext, type TrainingResult } from "arkor";

const steps: number[] = [];
const trainer = createTrainer({
  name: "trial",
  model: "any/model",
  dataset: { type: "huggingface", name: "acme/tickets" },
  callbacks: {
    onLog({ step, loss }) {
      steps.push(loss ?? step);
    },
    async onCheckpoint({ infer }: CheckpointContext) {
      const response: Response = await infer({ messages: [{ role: "user", content: "hi" }] });
      for await (const chunk of response.body ?? []) steps.push(chunk.length);
    },
  },
});
export const arkor = createArkor({ trainer });
export const run = (): Promise<TrainingResult> => trainer.wait();
// @ts-expect-error a wrong use must be seen: the types are not any
createTrainer({ name: 1 });
`;

/**
 * @param {string} module
 * @param {string} moduleResolution
 * @param {{ lib: string[], types: string[] }} globals the libraries that declare `Response` and `AbortSignal`
 * @returns {Trial}
 */
function typeChecked(module, moduleResolution, globals) {
  const compilerOptions = {
    target: "es2022",
    module,
    moduleResolution,
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    ...globals,
  };
  return {
    name: `TypeScript, moduleResolution ${moduleResolution}`,
    needs: { typescript: "5.9", "@types/node": "^20.19.43" },
    files: {
      [`${moduleResolution}/tsconfig.json`]: JSON.stringify({ compilerOptions }),
      [`${moduleResolution}/index.ts`]: TYPED,
      [`${moduleResolution}/other.cts`]:
        'import arkor = require("arkor");\nexport const models: readonly string[] = arkor.SUPPORTED_MODELS;\n',
    },
    commands: [["tsc", "-p", moduleResolution, "--listFiles"]],
    prints: /node_modules\/arkor\/index\.d\.ts/,
  };
}

/** @param {string} library */
const unitTest = (library) => `${library}
test("a run", async () => {${RUN}
  expect([job.status, ...steps]).toEqual(["completed", 1, 2]);
});
`;

/**
 * @param {"cjs" | "esm"} format
 * @param {string} program
 * @param {string[]} flags
 * @returns {Trial}
 */
function bundled(format, program, flags) {
  const [entry, out] = [`bundle.${format}.${format === "cjs" ? "cjs" : "mjs"}`, "out"];
  const common = ["--bundle", "--platform=node", "--log-level=warning", `--outdir=${out}`];
  const external = ["--external:@arkor/*", "--external:*.node"];
  return {
    name: `esbuild to ${format.toUpperCase()}, the addon external`,
    needs: { esbuild: "^0.28.2" },
    files: { [entry]: program },
    commands: [
      [
        "esbuild",
        entry,
        ...common,
        ...external,
        `--format=${format}`,
        `--out-extension:.js=${path.extname(entry)}`,
        ...flags,
      ],
      ["node", path.join(out, entry)],
    ],
    prints: DONE,
  };
}

/** The configuration that Next.js generates for `serverExternalPackages: ["arkor"]`. */
const WEBPACK = `
const path = require("node:path");
module.exports = {
  mode: "production",
  target: "node",
  entry: "./webpack.route.cjs",
  externals: { arkor: "commonjs arkor" },
  output: { path: path.resolve("out"), filename: "webpack.cjs" },
};
`;

const NODE = { lib: ["es2022"], types: ["node"] };
const DOM = { lib: ["es2022", "dom", "dom.asynciterable"], types: [] };

/** @type {Trial[]} */
export const TRIALS = [
  {
    name: "ESM (`import`)",
    needs: {},
    files: { "esm.mjs": ESM },
    commands: [["node", "esm.mjs"]],
    prints: DONE,
  },
  {
    name: "CommonJS (`require`)",
    needs: {},
    files: { "cjs.cjs": CJS },
    commands: [["node", "cjs.cjs"]],
    prints: DONE,
  },
  {
    name: "the `arkor` command",
    needs: {},
    files: {
      "src/arkor/index.ts":
        'import { createArkor, createTrainer } from "arkor";\nexport const arkor = createArkor({ trainer: createTrainer({\n  name: "trial", model: "any/model", dataset: { type: "blob", url: "https://data.test/rows.jsonl" },\n}) });\n',
    },
    commands: [["arkor", "start"]],
    prints: /Job job-1 finished with status=completed/,
  },
  typeChecked("node16", "node16", NODE),
  typeChecked("nodenext", "nodenext", NODE),
  typeChecked("preserve", "bundler", DOM),
  {
    name: "Vitest",
    needs: { vitest: "^4.1.12" },
    files: {
      "vitest/run.test.ts": unitTest(`import { expect, test } from "vitest";\n${IMPORT}`),
    },
    commands: [["vitest", "run", "--root", "vitest"]],
    prints: /1 passed/,
  },
  bundled("cjs", CJS, []),
  bundled("esm", ESM, [
    '--banner:js=import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
  ]),
];

/** The trials whose tools are too large to be a dependency of this repository. @type {Trial[]} */
export const MORE_TRIALS = [
  {
    name: "Jest",
    needs: { jest: "^30.0.0" },
    files: {
      "jest/run.test.js": unitTest(REQUIRE),
    },
    commands: [["jest", "--rootDir", "jest"]],
    prints: /1 passed/,
  },
  {
    name: "webpack, external as in a Next.js server route",
    needs: { webpack: "^5.100.0", "webpack-cli": "^7.0.0" },
    files: { "webpack.config.cjs": WEBPACK, "webpack.route.cjs": CJS },
    commands: [
      ["webpack", "--config", "webpack.config.cjs"],
      ["node", "out/webpack.cjs"],
    ],
    prints: DONE,
  },
  {
    name: "Bun",
    needs: { bun: "^1.3.0" },
    files: { "bun.ts": ESM },
    // Copies the binary of the platform's package to where Bun expects it, because these installations run no
    // scripts.
    commands: [
      ["node", "node_modules/bun/install.js"],
      ["bun", "bun.ts"],
    ],
    prints: DONE,
  },
  {
    name: "Deno",
    needs: { deno: "^2.5.0" },
    files: { "deno.mjs": ESM },
    commands: [["deno", "run", "--allow-all", "--node-modules-dir=manual", "deno.mjs"]],
    prints: DONE,
  },
];

const ROW = {
  messages: [
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Hi" },
  ],
};
/** A short run on the packed `arkor-local`, from the first row to the adapter. @type {Trial} */
export const TRAINING = {
  name: "`arkor start --local --dry-run` with the packed `@arkor/local`",
  needs: {},
  files: {
    "data.jsonl": `${JSON.stringify(ROW)}\n`.repeat(8),
    "src/arkor/index.ts":
      'import { resolve } from "node:path";\nimport { pathToFileURL } from "node:url";\nimport { createArkor, createTrainer } from "arkor";\nexport const arkor = createArkor({ trainer: createTrainer({\n  name: "trial", model: "arkor-tiny",\n  dataset: { type: "blob", url: pathToFileURL(resolve("data.jsonl")).href },\n}) });\n',
  },
  commands: [["arkor", "start", "--local", "--dry-run"]],
  prints: /finished with status=completed/,
};
