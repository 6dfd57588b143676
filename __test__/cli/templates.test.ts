// The templates of `arkor init`: their data, and that training raises the score.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { templateData } from "../../scripts/template-data.mjs";
import { arkor, ROOT } from "../support/command.ts";
import { Project } from "../support/project.ts";

const MAX_FILE_BYTES = 150_000;
/** Even with the chat template around it, such a row is well below the `maxLength` of the templates. */
const MAX_ROW_BYTES = 200;

interface Row {
  messages: [{ role: "user"; content: string }, { role: "assistant"; content: string }];
}

const read = (file: string) => readFileSync(path.join(ROOT, file), "utf8");

function rowsOf(template: string, kind: "" | ".heldout") {
  const lines = read(`cli/templates/${template}/data/${template}${kind}.jsonl`).trim().split("\n");
  return lines.map((line) => {
    const { messages }: Row = JSON.parse(line);
    expect(messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    return { question: messages[0].content, answer: messages[1].content };
  });
}

/** How often each word that `pattern` matches occurs in the answers. */
function counts(answers: string[], pattern: RegExp): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [word] of answers.join("\n").matchAll(pattern)) found[word] = (found[word] ?? 0) + 1;
  return found;
}

it("their data are what scripts/template-data.mjs writes", () => {
  const files = templateData();
  expect(Object.keys(files)).toHaveLength(8);
  for (const [file, text] of Object.entries(files)) {
    // Not by toEqual, which would print all of it.
    expect([file, read(file) === text]).toEqual([file, true]);
    expect(Buffer.byteLength(text)).toBeLessThan(MAX_FILE_BYTES);
  }
});

describe.each([
  ["triage", 400, 60],
  ["translate", 600, 50],
  ["redaction", 500, 50],
])("the data of %s", (template, trainRows, heldOutRows) => {
  const train = rowsOf(template, "");
  const heldOut = rowsOf(template, ".heldout");

  it("are short rows, and enough of them", () => {
    expect([train.length, heldOut.length]).toEqual([trainRows, heldOutRows]);
    for (const { question, answer } of [...train, ...heldOut]) {
      expect(question.trim()).toBe(question);
      expect(answer).not.toBe("");
      expect(Buffer.byteLength(question + answer)).toBeLessThanOrEqual(MAX_ROW_BYTES);
    }
  });

  it("hold out no question that training shows, and ask none twice", () => {
    // Questions that differ only in case, punctuation or numbers count as the same.
    const bare = (text: string) => text.toLowerCase().replace(/[^\p{L} ]/gu, "");
    const trained = new Set(train.map(({ question }) => bare(question)));
    expect(heldOut.filter(({ question }) => trained.has(bare(question)))).toEqual([]);
    expect(new Set(heldOut.map(({ question }) => bare(question))).size).toBe(heldOutRows);
  });
});

describe("what the held-out rows ask", () => {
  it("each team of triage as often as any other", () => {
    const teams = ["account", "billing", "delivery", "feedback", "technical"];
    const each = (count: number) => Object.fromEntries(teams.map((team) => [team, count]));
    const answers = (kind: "" | ".heldout") => rowsOf("triage", kind).map(({ answer }) => answer);
    expect(counts(answers(""), /^.+$/gm)).toEqual(each(80));
    expect(counts(answers(".heldout"), /^.+$/gm)).toEqual(each(12));
  });

  it("translations that training doesn't show, of words that it does", () => {
    const answers = rowsOf("translate", "").map(({ answer }) => answer);
    const heldOut = rowsOf("translate", ".heldout").map(({ answer }) => answer);
    expect(heldOut.filter((answer) => answers.includes(answer))).toEqual([]);
    const words = (texts: string[]) => Object.keys(counts(texts, /[\p{L}]+/gu));
    expect(words(answers)).toEqual(expect.arrayContaining(words(heldOut)));
    const days = Object.values(counts(answers, /\b\p{L}+(?:tag|woch)\b/gu));
    expect(days).toHaveLength(7);
    expect(Math.max(...days)).toBeLessThan(2 * Math.min(...days));
  });

  it("redactions with names, streets and pairs of sentences that training doesn't show", () => {
    const train = rowsOf("redaction", "");
    const heldOut = rowsOf("redaction", ".heldout");
    const patterns = new Set(train.map(({ answer }) => answer));
    expect(heldOut.filter(({ answer }) => patterns.has(answer))).toEqual([]);
    const values = (rows: typeof train) => {
      const kept = new Set(rows.flatMap(({ answer }) => answer.match(/\p{L}+/gu) ?? []));
      const all = rows.flatMap(({ question }) => question.match(/\b\p{Lu}\p{L}+/gu) ?? []);
      return new Set(all.filter((word) => !kept.has(word)));
    };
    const known = values(train);
    const streets = /^(Road|Lane|Street|View)$/;
    expect([...values(heldOut)].filter((word) => known.has(word) && !streets.test(word))).toEqual(
      [],
    );
    const kinds = counts(
      train.map(({ answer }) => answer),
      /\{\w+\}/g,
    );
    expect(Object.keys(kinds).sort()).toEqual(["{ADDRESS}", "{EMAIL}", "{NAME}", "{PHONE}"]);
    expect(Math.max(...Object.values(kinds))).toBeLessThan(2 * Math.min(...Object.values(kinds)));
  });
});

it("examples/triage is what `arkor init --template triage` makes", async () => {
  const project = new Project();
  const args = ["init", "-y", "--skip-install", "--name", "ticket-triage"];
  const { stdout } = await arkor(args, project.at(undefined)).exit;
  const files = [...stdout.matchAll(/^Created ((?:src|data)\/\S+|[\w.]+\.ts|tsconfig\.json)$/gm)];
  expect(files.length).toBeGreaterThanOrEqual(7);
  for (const [, file = ""] of files) {
    const same = read(`examples/triage/${file}`) === project.read(file);
    expect([file, same]).toEqual([file, true]);
  }
});

describe("a run of few steps", () => {
  async function run(...flags: string[]) {
    const project = new Project();
    await arkor(["init", "-y", "--skip-install"], project.at(undefined)).exit;
    const change = (file: string, from: string, to: string) => {
      const text = project.read(file);
      expect(text).toContain(from);
      project.write(file, text.replace(from, to));
    };
    change("arkor.config.ts", "maxSteps: 300", "maxSteps: 2");
    change("src/arkor/trainer.ts", "saveSteps: 100", "saveSteps: 1");
    const messages = (content: string, right: string) => ({
      messages: [
        { role: "user", content },
        { role: "assistant", content: right },
      ],
    });
    // A model that always gives the same answer is right once.
    const rows = [
      messages("One\n\n  two\r\nthree", "no\nteam"),
      messages("Four", "nobody"),
      messages("Five", "a"),
      messages("Six", "b"),
    ];
    project.write(
      "data/triage.heldout.jsonl",
      rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
    );
    const at = project.at(undefined, { HF_HUB_OFFLINE: "1" });
    return arkor(["start", "--local", ...flags], at).exit;
  }

  it("prints each sampled row on one line, and what helps when less than half is right", async () => {
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^After 1 steps:\n {2}One two three → .* \(should be no team\)\n {2}Four → .*\)$/m,
    );
    expect(stdout).toContain("The built-in model, arkor-tiny, is too small for varied data.");
    expect(stdout).toContain('Train a real model: "HuggingFaceTB/SmolLM2-135M-Instruct"');
    expect(stdout).toContain("  Put more rows into data/triage.jsonl.\n");
    expect(stdout).not.toContain("Make it yours");
  });

  it("that is a dry run is judged by no score", async () => {
    const { code, stdout } = await run("--dry-run");
    expect(code).toBe(0);
    expect(stdout).toContain("It was a dry run of a few steps:\n");
    expect(stdout).not.toContain("too small");
  });
});

it("triage labels at least 80 % of the held-out tickets right after training, and few before", async () => {
  const project = new Project();
  await arkor(["init", "-y", "--skip-install"], project.at(undefined)).exit;
  const at = project.at(undefined, { HF_HUB_OFFLINE: "1" });
  const { code, stdout } = await arkor(["start", "--local"], at).exit;
  expect(code).toBe(0);
  const score = /^Before: (\d+) of 60 held-out tickets right\. After: (\d+) of 60\.$/m;
  const [, before = 60, after = 0] = (stdout.match(score) ?? []).map(Number);
  expect(before).toBeLessThan(30);
  expect(after).toBeGreaterThanOrEqual(48);
  expect(stdout).toMatch(/npx arkor chat -m "Where is my parcel/);
  expect(stdout).toContain("Make it yours:\n");
  expect(stdout).not.toContain("Less than half");
  // The command prints the progress; the template prints no loss of its own.
  expect(stdout).not.toMatch(/loss/i);
  const checkpoints = [...stdout.matchAll(/^After (\d+) steps:$/gm)].map(([, step]) => step);
  expect(checkpoints).toEqual(["100", "200", "300"]);
}, 300_000);
