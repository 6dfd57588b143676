// Each view as axe sees it, in both themes, and on a narrow screen.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/command.ts";
import { browserForTests } from "./support/browser.ts";
import { StudioCloud } from "./support/cloud.ts";
import { busyCloud, cloudStudio, ENTRY } from "./support/cloud-project.ts";
import { chat, localProject, rowsFile } from "./support/local-project.ts";
import { type Studio, startStudio } from "./support/studio.ts";

const open = browserForTests();
const axe = readFileSync(path.join(ROOT, "node_modules/axe-core/axe.min.js"), "utf8");

const VIEWS: [name: string, hash: string, isReady: (page: Page) => Promise<void>][] = [
  ["overview", "#/", (page) => page.getByRole("link", { name: /Running/ }).waitFor()],
  ["jobs", "#/jobs", (page) => page.getByRole("link", { name: "live" }).waitFor()],
  ["running job", "#/jobs/live", (page) => page.getByText("checkpoint.saved").first().waitFor()],
  ["failed job", "#/jobs/failed", (page) => page.getByText("The run failed").waitFor()],
  ["unknown job", "#/jobs/none", (page) => page.getByText("no such job").waitFor()],
  ["playground", "#/playground?adapter=final:done&compare=base:acme/base", talk],
  ["dataset in the cloud", "#/dataset", (page) => page.getByText("arkor dev --local").waitFor()],
  ["endpoints", "#/endpoints", (page) => page.getByText("web", { exact: true }).waitFor()],
];

async function talk(page: Page) {
  await page.getByLabel("Message", { exact: true }).fill("Hi");
  await page.keyboard.press("Enter");
  await page.getByText("Hello there.").nth(1).waitFor();
}

/** What axe finds, one line each. */
async function violations(page: Page): Promise<string[]> {
  // Injected through the debugger: the page's content security policy would block a script tag.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

describe.each(["light", "dark"] as const)("axe, %s", (colorScheme) => {
  it("finds nothing in any view", async () => {
    const studio = await cloudStudio(await busyCloud());
    const { page, complaints } = await open({ colorScheme });
    await page.goto(studio.link);
    const found: Record<string, string[]> = {};
    for (const [name, hash, isReady] of VIEWS) {
      await page.goto(`${studio.origin}/${hash}`);
      await isReady(page);
      found[name] = await violations(page);
      for (const tab of name === "running job" ? ["Config", "Artifacts", "Samples"] : []) {
        await page.getByRole("tab", { name: tab }).click();
        found[tab] = await violations(page);
      }
    }
    await page.getByRole("button", { name: "New endpoint" }).click();
    await page.getByRole("dialog").waitFor();
    found.dialog = await violations(page);
    expect(Object.entries(found).filter(([, list]) => list.length > 0)).toEqual([]);
    expect(complaints.filter((text) => !text.includes("404"))).toEqual([]);
  });

  it("finds nothing in what is empty, broken, locked or offline", async () => {
    const cloud = await StudioCloud.forTest();
    const studio = await cloudStudio(cloud, `throw new Error("broken");\n${ENTRY}`);
    const { page } = await open({ colorScheme });
    const found: Record<string, string[]> = {};
    await page.goto(studio.origin);
    await page.getByText("Open Studio by its link").waitFor();
    found.locked = await violations(page);
    await page.goto(studio.link);
    await page.getByRole("alert").waitFor();
    found.broken = await violations(page);
    for (const [hash, words] of [
      ["#/jobs", "No jobs yet."],
      ["#/endpoints", "No endpoints yet."],
    ] as const) {
      await page.goto(`${studio.origin}/${hash}`);
      await page.getByText(words).waitFor();
      found[hash] = await violations(page);
    }
    studio.running.kill("SIGTERM");
    await studio.running.exit;
    await page.getByText("Offline.").waitFor();
    found.offline = await violations(page);
    expect(Object.entries(found).filter(([, list]) => list.length > 0)).toEqual([]);
  });
});

/** Studio with a local backend, and rows that are long, cut off and held out. */
async function localStudio(): Promise<Studio> {
  const rows = Array.from({ length: 40 }, (_, at) => {
    return chat(`Question ${at}? ${"word".repeat(at)}`, `Answer ${at}. `.repeat(1 + (at % 9)));
  });
  const more = "maxSteps: 1, lora: { r: 4, alpha: 8, maxLength: 60 },";
  const studio = await startStudio(localProject(rows, more), {
    args: ["--port", "0", "--local"],
  });
  const started = await studio.api("/api/train", { method: "POST", body: "{}" });
  expect(await started.text()).toMatch(/exit=0/);
  return studio;
}

it("on this machine, axe finds nothing in either theme, and nothing is wider than 360 px", async () => {
  const studio = await localStudio();
  const found: Record<string, unknown> = {};
  for (const colorScheme of ["light", "dark"] as const) {
    const { page } = await open({ colorScheme, viewport: { width: 360, height: 800 } });
    await page.goto(studio.link);
    const look = async (name: string) => {
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      const list = await violations(page);
      if (list.length > 0 || width > 360) found[`${name}, ${colorScheme}`] = { width, list };
    };
    await page.getByText("chosen for each run").waitFor();
    await look("overview");
    await page.goto(`${studio.origin}/#/dataset`);
    await page
      .getByText(/ cut off$/)
      .first()
      .waitFor();
    await look("dataset");
    await page.goto(`${studio.origin}/#/jobs`);
    await page.getByRole("link", { name: "tickets" }).click();
    await page.getByRole("button", { name: "Delete job" }).click();
    await page.getByRole("dialog").waitFor();
    await look("dialog");
    studio.project.write("data/rows.jsonl", '{"text":7}\n');
    await page.goto(`${studio.origin}/#/dataset?offset=25`);
    await page.getByText("A run with this config would be refused.").waitFor();
    await look("refused");
    studio.project.write("data/rows.jsonl", rowsFile([chat("a", "b ".repeat(60))]));
  }
  expect(found).toEqual({});
});

it.each([360, 768, 1024, 2560])("nothing is wider than a screen of %d px", async (width) => {
  const studio: Studio = await cloudStudio(await busyCloud());
  const { page } = await open({ viewport: { width, height: 800 } });
  await page.goto(studio.link);
  const wide: string[] = [];
  for (const [name, hash, isReady] of VIEWS) {
    await page.goto(`${studio.origin}/${hash}`);
    await isReady(page);
    const actual = await page.evaluate(() => document.documentElement.scrollWidth);
    if (actual > width) wide.push(`${name}: ${actual}`);
    for (const table of await page.locator(".table-box").all()) {
      if (await table.evaluate((box) => box.scrollWidth > box.clientWidth)) wide.push("table");
    }
  }
  expect(wide).toEqual([]);
});

it("the theme is that of the system, until it is chosen, and the choice stays", async () => {
  const studio = await cloudStudio(await StudioCloud.forTest());
  const { page } = await open({ colorScheme: "dark" });
  await page.goto(studio.link);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  await page.getByLabel("Theme").selectOption("light");
  expect(await background()).not.toBe(dark);
  await page.reload();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  expect(await background()).not.toBe(dark);
  await page.getByLabel("Theme").selectOption("system");
  expect(await background()).toBe(dark);
});
