// What the page weighs, and what it costs to install.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { ROOT } from "../support/command.ts";

const KIB = 1024;
const PAGE = path.join(ROOT, "cli/dev/page");

it("the page is at most 200 KiB of JavaScript and CSS, gzipped", () => {
  const sizes = readdirSync(path.join(PAGE, "assets"))
    .filter((name) => /\.(js|css)$/.test(name))
    .map((name) => gzipSync(readFileSync(path.join(PAGE, "assets", name)), { level: 9 }).length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.info(`${(total / KIB).toFixed(1)} KiB gzipped`);
  expect(total).toBeGreaterThan(0);
  expect(total).toBeLessThanOrEqual(200 * KIB);
});

it("the page has no inline code, and names nothing but its own origin", () => {
  const html = readFileSync(path.join(PAGE, "index.html"), "utf8");
  expect(html).not.toMatch(/<style|style=|\son\w+=/);
  expect([...html.matchAll(/<script[^>]*>(.*?)<\/script>/gs)].map(([, code]) => code)).toEqual([
    "",
  ]);
  for (const [, address = ""] of html.matchAll(/(?:src|href)="([^"]*)"/g)) {
    expect(address).toMatch(/^\//);
  }
});

it("Studio adds one runtime dependency: its router, which has none", () => {
  const { dependencies } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
  expect(Object.keys(dependencies).sort()).toEqual([
    "@clack/prompts",
    "commander",
    "esbuild",
    "hono",
    "package-manager-detector",
  ]);
  const router = JSON.parse(
    readFileSync(path.join(ROOT, "node_modules/hono/package.json"), "utf8"),
  );
  expect(Object.keys(router.dependencies ?? {})).toEqual([]);
});
