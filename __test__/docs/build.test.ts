// `npm run docs`: the site is built, and every page is in it. The build fails for a link that leads nowhere.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, it } from "vitest";
import { pages } from "../../scripts/docs/stage.mjs";
import { execute } from "../../scripts/try/project.mjs";
import { ROOT } from "../support/process.ts";

const dist = path.join(ROOT, "target/docs/dist");

beforeAll(async () => {
  rmSync(dist, { recursive: true, force: true });
  const { code, output } = await execute(ROOT, [process.execPath, "scripts/docs.mjs"]);
  expect(code, output).toBe(0);
}, 240_000);

it("has every page", () => {
  const missing = [...pages().values()]
    .map((page) => page.replace(/\.md$/, ".html"))
    .filter((page) => !existsSync(path.join(dist, page)));
  expect(missing).toEqual([]);
});

it("has the API reference", () => {
  const page = readFileSync(path.join(dist, "reference/functions/createTrainer.html"), "utf8");
  expect(page).toContain("createTrainer");
});

it("has a search index, which knows a word of a page", () => {
  const chunks = path.join(dist, "assets/chunks");
  const index = readdirSync(chunks).filter((file) => file.startsWith("@localSearchIndex"));
  expect(index).toHaveLength(1);
  expect(readFileSync(path.join(chunks, index[0] ?? ""), "utf8")).toMatch(/alpaca/i);
});
