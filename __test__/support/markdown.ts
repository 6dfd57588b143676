// Markdown → its fenced code blocks. What follows the language in a fence says what a block is for:
//   file=PATH   the block is this file of the page's project
//   run         it is run, and the next `text` block is what it must print
//   test        it is run by Vitest
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./process.ts";

export interface Block {
  page: string;
  line: number;
  language: string;
  flags: Set<string>;
  file: string | undefined;
  code: string;
  /** The `text` block right after it. */
  output: string | undefined;
}

/** The pages whose code is held to, relative to the checkout. */
export const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "local/README.md",
  "examples/triage/README.md",
  "bench/README.md",
  "index.d.ts",
  ...readdirSync(path.join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file.split(path.sep).join("/")}`),
];

/** A page's Markdown; of the declarations, what their comments say. */
export function textOf(page: string): string {
  const text = readFileSync(path.join(ROOT, page), "utf8");
  if (!page.endsWith(".d.ts")) return text;
  return text.replace(/^(?! *\/?\*).*$/gm, "").replace(/^ *\/?\*+\/? ?/gm, "");
}

export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const lines = textOf(page).split("\n");
  for (let at = 0; at < lines.length; at++) {
    const [, fence, info] = lines[at].match(/^ *(```+)(.*)$/) ?? [];
    if (fence === undefined) continue;
    const end = lines.findIndex((line, index) => index > at && line.trim() === fence);
    if (end < 0) throw new Error(`${page}:${at + 1}: this block has no end`);
    const [language, ...rest] = info.trim().split(/\s+/);
    const code = `${lines.slice(at + 1, end).join("\n")}\n`;
    const last = blocks.at(-1);
    if (language === "text" && last && onlyBlank(lines, last.line + lineCount(last) + 1, at)) {
      last.output = code;
    }
    blocks.push({
      page,
      line: at + 1,
      language,
      flags: new Set(rest.filter((flag) => !flag.includes("="))),
      file: rest.find((flag) => flag.startsWith("file="))?.slice("file=".length),
      code,
      output: undefined,
    });
    at = end;
  }
  return blocks;
}

const lineCount = ({ code }: Block) => code.split("\n").length - 1;

const onlyBlank = (lines: string[], from: number, to: number) =>
  lines.slice(from, to).every((line) => line.trim() === "");

export const ALL_BLOCKS = PAGES.flatMap(blocksOf);

/** `…` in a documented output stands for anything, a line of its own for any lines. */
export function outputPattern(output: string): RegExp {
  const lines = output
    .trimEnd()
    .split("\n")
    .map((line) =>
      line === "…"
        ? "(?:.*\\n)*?"
        : `${line
            .split("…")
            .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
            .join(".*")}\\n`,
    );
  return new RegExp(`^${lines.join("")}$`);
}
