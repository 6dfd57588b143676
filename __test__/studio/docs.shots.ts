// The pictures of Studio in the docs: the triage example, trained here. ARKOR_SHOTS names another
// directory, and gets every view in both themes and three widths.
import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { ROOT } from "../support/command.ts";
import { browserForTests } from "./support/browser.ts";
import { StudioCloud } from "./support/cloud.ts";
import { busyCloud, cloudStudio, ENTRY } from "./support/cloud-project.ts";
import { chat, localProject } from "./support/local-project.ts";
import { type Studio, startStudio, triage } from "./support/studio.ts";

const open = browserForTests();
const DOCS = path.join(ROOT, "docs/images");
const MORE = process.env.ARKOR_SHOTS;

const LOOKS = [
  { name: "light-1280", width: 1280, height: 820, colorScheme: "light" },
  { name: "dark-1280", width: 1280, height: 820, colorScheme: "dark" },
  { name: "light-360", width: 360, height: 740, colorScheme: "light" },
  { name: "dark-1920", width: 1920, height: 1080, colorScheme: "dark" },
] as const;

it("pictures", async () => {
  const project = triage((source) => source, "tickets");
  const args = ["--port", "0", "--local"];
  // Makes the pictures the same with and without a network.
  const env = { HF_HUB_OFFLINE: "1" };
  const studio = await startStudio(project, { args, env, directory: "tickets" });
  const { page } = await open({ viewport: { width: 1280, height: 820 }, colorScheme: "light" });
  await page.goto(studio.link);
  await run(page, "Dry run");
  await page.goto(`${studio.origin}/#/`);
  await run(page, "Run training");
  const step = page.locator(".numbers .number").first();
  await expect
    .poll(async () => Number(await step.textContent()) || 0, { timeout: 120_000, interval: 200 })
    .toBeGreaterThan(105);
  await picture(page, "studio-job");
  await page.getByText("Completed", { exact: true }).first().waitFor({ timeout: 120_000 });
  const jobHash = await page.evaluate(() => location.hash);
  await page.getByRole("link", { name: "Ask the model" }).click();
  await page.getByRole("button", { name: "Compare" }).click();
  await page
    .getByRole("combobox", { name: "Second model" })
    .selectOption("base:unsloth/gemma-4-E4B-it");
  await talk(page);
  await picture(page, "studio-playground");
  await page.goto(`${studio.origin}/#/`);
  await page.getByText("The same config as the last run.").waitFor();
  await page
    .getByRole("link", { name: /Completed/ })
    .first()
    .waitFor();
  await picture(page, "studio-overview");
  await page.goto(`${studio.origin}/#/dataset`);
  await page.getByRole("heading", { name: "Line 1", exact: true }).waitFor();
  await picture(page, "studio-dataset");
  if (MORE === undefined) return;

  const playground = `#/playground?adapter=final:${jobHash.slice("#/jobs/".length)}`;
  for (const { name, width, height, colorScheme } of LOOKS) {
    const look = await open({ viewport: { width, height }, colorScheme });
    await look.page.goto(studio.link);
    for (const [view, hash] of [
      ["overview", "#/"],
      ["jobs", "#/jobs"],
      ["job", jobHash],
      ["playground", playground],
      ["endpoints", "#/endpoints"],
      ["dataset", "#/dataset"],
    ] as const) {
      await look.page.goto(`${studio.origin}/${hash}`);
      if (view === "playground") await talk(look.page);
      await keep(look.page, `${view}-${name}`);
    }
  }
});

it.runIf(MORE)("pictures of what is empty, busy, failed and offline", async () => {
  const cloud = await busyCloud();
  const busy = await cloudStudio(cloud);
  const empty = await cloudStudio(
    await StudioCloud.forTest(),
    `throw new Error("no\\ndata");\n${ENTRY}`,
  );
  const refused = await startStudio(localProject([chat("a", "b"), { text: "no response" }]), {
    args: ["--port", "0", "--local"],
  });
  for (const { name, width, height, colorScheme } of LOOKS.slice(1)) {
    const { page } = await open({ viewport: { width, height }, colorScheme });
    const look = async (studio: Studio, state: string, hashes: string[]) => {
      await page.goto(studio.link);
      for (const hash of hashes) {
        await page.goto(`${studio.origin}/${hash}`);
        await keep(page, `${state}-${hash.replaceAll(/\W+/g, "")}-${name}`);
      }
    };
    await look(busy, "busy", ["#/", "#/jobs", "#/jobs/live", "#/jobs/failed", "#/endpoints"]);
    await look(empty, "empty", ["#/", "#/jobs", "#/playground", "#/endpoints", "#/dataset"]);
    await look(refused, "refused", ["#/", "#/dataset"]);
  }
  const { page } = await open({ viewport: { width: 1280, height: 820 } });
  await page.goto(busy.link);
  await settled(page);
  busy.running.kill("SIGTERM");
  await busy.running.exit;
  await page.getByText("Offline.").waitFor();
  await keep(page, "offline");
});

async function run(page: Page, button: "Dry run" | "Run training") {
  await page.getByRole("button", { name: button, disabled: false }).click();
  await page.getByRole("heading", { level: 1, name: "ticket-triage" }).waitFor();
}

async function talk(page: Page) {
  await page.getByLabel("Temperature").fill("0");
  await page.getByLabel("Max tokens").fill("16");
  await page
    .getByLabel("Message", { exact: true })
    .fill("Where is my parcel? It is three days late.");
  await page.getByRole("button", { name: "Send message", disabled: false }).click();
  const facts = page.locator(".message-facts", { hasText: "tokens/s" });
  const columns = await page.locator(".chat-column").count();
  await expect.poll(() => facts.count(), { timeout: 60_000 }).toBe(columns);
}

/** Resolves once nothing is loading or animated any more. */
async function settled(page: Page) {
  await expect.poll(() => page.locator(".loading").count(), { timeout: 30_000 }).toBe(0);
  await page.evaluate(() => new Promise((done) => setTimeout(done, 600)));
}

/** A picture that isn't for the docs. */
async function keep(page: Page, name: string) {
  await settled(page);
  const directory = MORE ?? "";
  mkdirSync(directory, { recursive: true });
  await page.screenshot({ path: path.join(directory, `${name}.png`), fullPage: true });
}

async function picture(page: Page, name: string) {
  await settled(page);
  await page.screenshot({ path: path.join(DOCS, `${name}.png`) });
}
