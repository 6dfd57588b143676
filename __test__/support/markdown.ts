// Extracts the fenced code blocks from Markdown. The text after the language in a fence tells what a block is
// for:
//   file=PATH   the block is this file of the page's project
//   run         it's run, and must print the next `text` block
//   test        Vitest runs it
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
  /** The `text` block directly after it. */
  output: string | undefined;
}

/** The pages whose code is checked, relative to the checkout. */
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

/** The Markdown of a page. For declarations, that's the text of their comments. */
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

/** In a documented output, `…` matches any text, and any number of lines if it's alone on its line. */
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
