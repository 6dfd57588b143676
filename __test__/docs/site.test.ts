// The site that `npm run docs` builds: every page is in its sidebar, and every link leads somewhere.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { pages, sidebar, withLinks } from "../../scripts/docs/stage.mjs";
import { textOf } from "../support/markdown.ts";
import { ROOT } from "../support/process.ts";

const known = pages();
const links = sidebar().flatMap(({ items }) => items.map(({ link }) => link));
const addressOf = (page: string) => `/${page.replace(/(index)?\.md$/, "")}`;
const repository = "https://repository.example/arkor";

describe("the sidebar, which docs/README.md is", () => {
  const listed = [...known].filter(
    ([source]) => source !== "docs/README.md" && !source.startsWith("docs/decisions/"),
  );

  it.each(listed)("has %s", (_, page) => {
    expect(links).toContain(addressOf(page));
  });

  it("has the decisions, and nothing twice", () => {
    expect(links).toContain("/decisions/");
    expect(new Set(links).size).toBe(links.length);
  });
});

describe("links", () => {
  const sources = [...known.keys()].filter((source) => source.endsWith(".md"));

  it.each(sources)("of %s lead to a page or to a file", (source) => {
    const text = withLinks(textOf(source), source, { pages: known, repository });
    const all = [...known.values(), "decisions/index.md"];
    // VitePress checks the pages when it builds the site; this takes no build.
    const prose = text.replace(/^ *```[\s\S]*?^ *```$/gm, "");
    for (const [, target] of prose.matchAll(/\]\(\.\/([^)\s#]+)/g)) {
      const from = path.posix.dirname(known.get(source) ?? "");
      expect(all).toContain(path.posix.join(from, target));
    }
  });

  it("to what isn't a page go to the repository, and a wrong one is an error", () => {
    const site = { pages: known, repository };
    const of = (target: string) => withLinks(`[x](${target})`, "docs/infer.md", site);
    expect(of("../package.json")).toBe(`[x](${repository}/blob/main/package.json)`);
    expect(of("callbacks.md#what-a-throw-does")).toBe("[x](./callbacks.md#what-a-throw-does)");
    expect(() => of("nowhere.md")).toThrow("docs/infer.md links to nowhere.md");
  });
});

it("docs/options.md has every option of createTrainer", () => {
  const declarations = readFileSync(path.join(ROOT, "index.d.ts"), "utf8");
  const optionsOf = (name: string) => {
    const [, body = ""] =
      declarations.match(new RegExp(`interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`)) ?? [];
    return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, option]) => option);
  };
  const input = optionsOf("TrainerInput").filter((option) => option !== "lora");
  const all = [...input, ...optionsOf("LoraConfig").map((option) => `lora.${option}`)];
  expect(all.length).toBeGreaterThan(20);
  const rows = [...textOf("docs/options.md").matchAll(/^\| `([\w.]+)` /gm)].map(([, row]) => row);
  expect(rows.sort()).toEqual(all.sort());
});
