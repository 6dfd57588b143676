// The numbered rules in docs/contract.md are what the tests' titles and the engine's comments refer to.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../support/process.ts";

const RULE = /\bT\d{1,2}\b/g;

const read = (file: string) => readFileSync(path.join(ROOT, file), "utf8");
const tracked = (...patterns: string[]) =>
  execFileSync("git", ["ls-files", ...patterns], { cwd: ROOT, encoding: "utf8" })
    .trim()
    .split("\n");
const rulesIn = (text: string) => new Set(text.match(RULE) ?? []);

const defined = new Set(
  [...read("docs/contract.md").matchAll(/^- \*\*(T\d+)\*\*/gm)].map(([, rule]) => rule),
);

it("every rule is defined once, from T1 to T36", () => {
  expect([...defined]).toEqual(Array.from({ length: 36 }, (_, index) => `T${index + 1}`));
});

it("every rule has a test with its number in the title", () => {
  const titles = tracked("__test__/*.test.ts", "__test__/**/*.test.ts", "__test__/fire/*.ts").map(
    read,
  );
  const tested = rulesIn(
    titles
      .join("\n")
      .match(/["'`](?:T\d+[,:]? ?)+.*["'`]/g)
      ?.join("\n") ?? "",
  );
  expect([...defined].filter((rule) => !tested.has(rule))).toEqual([]);
});

it("every number in the engine and its tests leads to a rule", () => {
  const code = tracked("src", "lib", "__test__", "tests/*.rs").map(read).join("\n");
  expect([...rulesIn(code)].filter((rule) => !defined.has(rule))).toEqual([]);
});

it("no number stands where a user would read it", () => {
  const pages = tracked("index.d.ts", "README.md", "local/README.md", "docs/*.md").filter(
    (file) => !/^docs\/(contract\.md|decisions\/)/.test(file),
  );
  expect(pages.length).toBeGreaterThan(10);
  expect(pages.filter((file) => rulesIn(read(file)).size > 0)).toEqual([]);
});
