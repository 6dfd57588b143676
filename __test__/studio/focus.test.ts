// Where the focus moves when the focused element is gone.
import { expect, it } from "vitest";
import { browserForTests } from "./support/browser.ts";
import { completed, learning, StudioCloud } from "./support/cloud.ts";
import { expectQuiet, focused, heading, visit } from "./support/visit.ts";

const open = browserForTests();

it("at the start of a view that was gone to, also when it had to be loaded", async () => {
  const cloud = await StudioCloud.forTest();
  const { page, complaints } = await visit(open, cloud);
  await page.getByRole("button", { name: "Run training", disabled: false }).click();
  await heading(page, "tickets").waitFor();
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
  await page.getByRole("button", { name: "Cancel run" }).click();
  await page.getByRole("button", { name: "Cancel the run" }).click();
  await page.getByRole("button", { name: "Run again" }).waitFor();
  await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe("main");
  expectQuiet(cloud, complaints);
});

it("in the message, once it was sent, and what a second model wasn't asked is said", async () => {
  const cloud = await StudioCloud.forTest();
  const { page, complaints, go } = await visit(open, cloud);
  await go("#/playground?adapter=base:acme/base");
  await page.getByLabel("Message", { exact: true }).fill("Hi");
  await page.getByRole("button", { name: "Send message" }).click();
  await page.getByText("Hello there.").waitFor();
  expect(await focused(page)).toBe("Message");
  expect(await page.getByText("not asked").count()).toBe(0);
  await page.getByRole("button", { name: "Compare" }).click();
  await page.getByText("not asked").waitFor();
  expectQuiet(cloud, complaints);
});

it("in the new prompt, when one was removed", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "a", name: "one", status: "completed" }, [...learning(9), completed()]);
  const { page, complaints, go } = await visit(open, cloud);
  await go("#/jobs/a?tab=samples");
  await page.getByLabel("New prompt").fill("Who are you?");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Remove the prompt Who are you?" }).click();
  await page.getByText("No prompts yet.").waitFor();
  expect(await focused(page)).toBe("New prompt");
  expectQuiet(cloud, complaints);
});
