// A page's project: a directory that contains the page's blocks as files, and in which "arkor" is this
// checkout.
import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll } from "vitest";
import { binaryPath } from "../../local/index.js";
import { ALL_BLOCKS, type Block, PAGES } from "./markdown.ts";
import { ROOT } from "./process.ts";

const TOOLS = [
  "typescript",
  "vitest",
  "@types/node",
  "eventsource-parser",
  "esbuild",
  "csv-parse",
  "openai",
  "ai",
  "@ai-sdk/openai-compatible",
];

const home = realpathSync(mkdtempSync(path.join(tmpdir(), "arkor-docs-")));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const links: [string, string][] = [
  ["arkor", ROOT],
  ["@arkor/local", path.join(ROOT, "local")],
  ...TOOLS.map((tool): [string, string] => [tool, path.join(ROOT, "node_modules", tool)]),
];
for (const [name, target] of links) {
  const link = path.join(home, "node_modules", name);
  mkdirSync(path.dirname(link), { recursive: true });
  symlinkSync(target, link, "junction");
}

export const directoryOf = (page: string) => path.join(home, page.replace(/\W+/g, "-"));

/** The file of a block's code: the one that the block names, or one that's named after its line. */
export function fileOf(block: Block): string {
  const extension = block.language === "ts" ? "mts" : block.language === "js" ? "mjs" : "txt";
  return path.join(directoryOf(block.page), block.file ?? `line-${block.line}.${extension}`);
}

/** Writes every page's files and its data. */
function writeProjects() {
  for (const page of PAGES) {
    mkdirSync(path.join(directoryOf(page), "data"), { recursive: true });
    writeFileSync(path.join(directoryOf(page), "package.json"), '{ "type": "module" }\n');
    cpSync(
      path.join(ROOT, "examples/triage/data/triage.jsonl"),
      path.join(directoryOf(page), "data/tickets.jsonl"),
    );
  }
  for (const block of ALL_BLOCKS) {
    if (block.file === undefined && block.language !== "ts" && block.language !== "js") continue;
    const file = fileOf(block);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, block.code);
  }
  const compilerOptions = {
    target: "es2022",
    lib: ["es2022"],
    module: "nodenext",
    moduleResolution: "nodenext",
    allowJs: true,
    checkJs: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
    types: ["node"],
  };
  const include = PAGES.flatMap((page) =>
    ["ts", "mts", "mjs"].map(
      (extension) => `${path.basename(directoryOf(page))}/**/*.${extension}`,
    ),
  );
  writeFileSync(path.join(home, "tsconfig.json"), JSON.stringify({ compilerOptions, include }));
}
writeProjects();

export const tsconfig = path.join(home, "tsconfig.json");

/** Replaces the temporary files in a compiler's messages with the page and line of the block. */
export function inPages(output: string): string {
  return ALL_BLOCKS.reduce((text, block) => {
    const name = path.relative(home, fileOf(block)).split(path.sep).join("/");
    return text.replaceAll(name, `${block.page}:${block.line}:`);
  }, output);
}

let started: Promise<NodeJS.ProcessEnv> | undefined;

/** The environment variables for a local backend that all pages share. */
export function localBackend(): Promise<NodeJS.ProcessEnv> {
  started ??= startLocalBackend();
  return started;
}

async function startLocalBackend(): Promise<NodeJS.ProcessEnv> {
  const binary = binaryPath();
  if (!existsSync(binary)) throw new Error("npm run build -- --local first");
  const args = ["--port", "0", "--store", path.join(home, "store"), "--with-parent"];
  const child: ChildProcess = spawn(binary, args, { stdio: ["pipe", "pipe", "ignore"] });
  afterAll(() => void child.kill());
  if (!child.stdout) throw new Error("unreachable: stdout is a pipe");
  for await (const line of createInterface(child.stdout)) {
    const { url, token } = JSON.parse(line);
    return { ARKOR_CLOUD_API_URL: url, ARKOR_LOCAL_TOKEN: token };
  }
  throw new Error("arkor-local ended before it was ready");
}
