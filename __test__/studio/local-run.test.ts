// The whole way on this machine: the button, the live loss, a checkpoint, an answer.
import { expect, it } from "vitest";
import { browserForTests } from "./support/browser.ts";
import { startStudio, triage } from "./support/studio.ts";

const open = browserForTests();

it("a run is started by the button, watched live, and its checkpoint answers", async () => {
  const project = triage((source) =>
    source.replace("maxSteps: 150", "maxSteps: 60").replace("saveSteps: 50", "saveSteps: 20"),
  );
  const studio = await startStudio(project, { args: ["--port", "0", "--local"] });
  const { page, complaints } = await open();
  await page.goto(studio.link);
  await page.waitForURL(`${studio.origin}/#/`);
  await page.getByRole("button", { name: "Run training" }).click();

  await page.getByRole("heading", { level: 1, name: "ticket-triage" }).waitFor();
  await page.getByText("Running", { exact: true }).first().waitFor();
  const loss = page.locator(".legend-item", { hasText: "loss" }).first().locator(".legend-value");
  await expect.poll(() => loss.textContent(), { timeout: 30_000 }).toMatch(/^\d+\.\d+$/);
  await page
    .getByRole("region", { name: "Events" })
    .getByText("checkpoint.saved")
    .first()
    .waitFor();
  await page.getByRole("link", { name: "Ask the model" }).click();

  await page.getByRole("heading", { level: 1, name: "Playground" }).waitFor();
  await page.getByLabel("Message", { exact: true }).fill("Where is my parcel?");
  await page.getByLabel("Max tokens").fill("8");
  await page.getByRole("button", { name: "Send message" }).click();
  const answer = page.locator(".message[data-role=assistant]");
  await expect.poll(() => answer.textContent(), { timeout: 30_000 }).toMatch(/tokens\/s/);
  expect(complaints).toEqual([]);
});
