// docs/troubleshooting.md, "What is printed when": each example is provoked, and what the command prints on
// stderr is compared with the page.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { ARKOR, arkor, ROOT, run } from "../support/command.ts";
import { type Block, blocksOf, outputPattern, textOf } from "../support/markdown.ts";
import { Project } from "../support/project.ts";

const PAGE = "docs/troubleshooting.md";
const ENTRY = "src/arkor/index.ts";
const TICKETS = readFileSync(path.join(ROOT, "examples/triage/data/triage.jsonl"), "utf8");
/** A name that no name server knows. */
const NOWHERE = "https://api.arkor.invalid";
const WITHOUT_PROXY = Object.fromEntries(
  ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].map((name) => [name, undefined]),
);

/** What an example needs besides the code that it shows. */
interface Setting {
  files?: Record<string, string>;
  env?: Record<string, string | undefined>;
  /** The most blocks of 512 bytes in a file of the local backend. More fails as if the disk were full. */
  blocks?: number;
  withoutEntry?: boolean;
}
const GOOD = `
  import { createTrainer } from "arkor";
  export const trainer = createTrainer({
    name: "tickets", model: "arkor-tiny", dataset: { type: "file", path: "data/tickets.jsonl" },
  });
`;
const SETTINGS: Record<string, Setting> = {
  "The entry can't be bundled": {
    files: {
      [ENTRY]: `import { trainer } from "./trainr.js";\nimport { onLog } from "./callbaks.js";\nexport { onLog, trainer };\n`,
    },
  },
  "The entry imports a package that isn't installed": {
    files: { [ENTRY]: `import { retry } from "p-retry";\nexport const trainer = retry();\n` },
  },
  "The entry is missing": { withoutEntry: true },
  "A model isn't here": { env: { HF_HUB_OFFLINE: "1" } },
  "There's no network": { env: { ARKOR_CLOUD_API_URL: NOWHERE, ...WITHOUT_PROXY } },
  "There's no network, 2": {
    env: { ARKOR_CLOUD_API_URL: "http://127.0.0.1:1", ...WITHOUT_PROXY },
  },
  "The disk is full": { blocks: 400 },
  "The disk is full, 2": {},
};

interface Example {
  title: string;
  entry: Block | undefined;
  command: string;
  output: string;
}

function examplesOf(): Example[] {
  const text = textOf(PAGE);
  const lines = text.split("\n");
  const from = lines.indexOf("## What is printed when");
  const to = lines.indexOf("## Installing");
  const examples: Example[] = [];
  let entry: Block | undefined;
  let heading = "";
  let count = 0;
  for (const block of blocksOf(PAGE).filter(({ line }) => line > from && line <= to)) {
    const above = lines.slice(0, block.line).findLast((line) => line.startsWith("### ")) ?? "";
    if (above !== heading) [heading, entry, count] = [above, undefined, 0];
    if (block.language === "ts") entry = block;
    if (block.language !== "sh") continue;
    count += 1;
    const title = count === 1 ? heading.slice(4) : `${heading.slice(4)}, ${count}`;
    if (block.output === undefined) throw new Error(`${PAGE}:${block.line} shows no output`);
    examples.push({ title, entry, command: block.code.trim(), output: block.output });
  }
  return examples;
}

/** A local backend whose files can't grow beyond some blocks. */
function withFullDisk(project: Project, blocks: number) {
  const file = project.path("full.sh");
  const real = path.join(ROOT, "local/bin/arkor-local");
  // Without the trap, the signal would kill the backend before it could report anything.
  const script = `#!/bin/sh\ntrap '' XFSZ\nulimit -f ${blocks}\nexec '${real}' "$@"\n`;
  writeFileSync(file, script, { mode: 0o755 });
  return file;
}

const EXAMPLES = examplesOf();

describe(PAGE, () => {
  it("has an example of everything that it should", () => {
    const titles = EXAMPLES.map(({ title }) => title);
    expect(titles).toEqual(expect.arrayContaining(Object.keys(SETTINGS)));
    expect(EXAMPLES.length).toBeGreaterThan(15);
  });

  it.each(EXAMPLES.map((example): [string, Example] => [example.title, example]))(
    "shows what is printed: %s",
    async (title, { entry, command, output }) => {
      const setting = SETTINGS[title] ?? SETTINGS[title.replace(/, \d$/, "")] ?? {};
      const project = new Project({ "data/tickets.jsonl": TICKETS, ...setting.files });
      if (!setting.withoutEntry && setting.files?.[ENTRY] === undefined) {
        project.write(ENTRY, entry?.code ?? GOOD);
      }
      const { blocks } = setting;
      const full = blocks === undefined ? {} : { ARKOR_LOCAL_BIN: withFullDisk(project, blocks) };
      const at = project.at(undefined, { NO_COLOR: "1", ...setting.env, ...full });
      const [, args = ""] = command.match(/^arkor (.*)$/) ?? [];
      const running = args.includes(">")
        ? run("sh", ["-c", `${ARKOR.map((word) => `'${word}'`).join(" ")} ${args}`], at)
        : arkor(args.split(" "), at);
      const { code, stderr } = await running.exit;
      const shown = stderr.replaceAll("api.arkor.invalid", "api.arkor.ai");
      expect(shown).toMatch(outputPattern(output));
      expect(code).toBe(/^error: /m.test(output) ? 1 : 0);
    },
  );
});
