// What the overview and the list of jobs show and do, against a scripted cloud.
import { describe, expect, it } from "vitest";
import { browserForTests } from "./support/browser.ts";
import { completed, learning, minutesAgo, StudioCloud } from "./support/cloud.ts";
import { ENTRY } from "./support/cloud-project.ts";
import { expectQuiet, heading, visit } from "./support/visit.ts";

const open = browserForTests();

describe("the overview", () => {
  it("shows the trainer, who one is, and what has changed since the last run", async () => {
    const cloud = await StudioCloud.forTest();
    const config = {
      model: "acme/base",
      datasetSource: { type: "huggingface", name: "acme/tickets" },
      maxSteps: 250,
    };
    cloud.add({ id: "a", name: "before", status: "completed", config }, [completed()]);
    const { studio, page, complaints } = await visit(open, cloud);
    await page.getByRole("heading", { name: "tickets" }).waitFor();
    const change = page.getByRole("listitem").filter({ hasText: "maxSteps" });
    await expect.poll(() => change.textContent()).toMatch(/maxSteps\s*250\s*→\s*100/);
    await page.getByText("anonymously").waitFor();

    studio.project.write("src/arkor/index.ts", ENTRY.replace("100", "250"));
    await page.getByText("The same config as the last run.").waitFor();
    expectQuiet(cloud, complaints);
  });

  it("shows where a broken entry is broken, and goes on when it is mended", async () => {
    const cloud = await StudioCloud.forTest();
    const broken = `const answer = ;\n${ENTRY}`;
    const { studio, page, complaints } = await visit(open, cloud, broken);
    const alert = page.getByRole("alert");
    await alert.getByText("src/arkor/index.ts:1:").waitFor();
    await alert.getByText("const answer = ;").waitFor();
    expect(await page.getByRole("button", { name: "Run training" }).isDisabled()).toBe(true);
    studio.project.write("src/arkor/index.ts", ENTRY);
    await page.getByRole("button", { name: "Run training", disabled: false }).waitFor();
    expectQuiet(cloud, complaints);
  });

  it("shows the output of a run that never reached the backend", async () => {
    const cloud = await StudioCloud.forTest();
    const entry = `${ENTRY}\nif (process.argv.includes("start")) throw new Error("no data today");\n`;
    const { page } = await visit(open, cloud, entry);
    await page.getByRole("button", { name: "Run training" }).click();
    await page.getByText("The run ended before the backend had taken it.").waitFor();
    await page.getByRole("log", { name: "Output of the run" }).getByText("no data today").waitFor();
  });
});

it("a run goes on without its tab, and its output is there again", async () => {
  const cloud = await StudioCloud.forTest();
  const { studio, page } = await visit(open, cloud);
  await page.getByRole("button", { name: "Run training" }).click();
  await heading(page, "tickets").waitFor();
  await page.close();
  await expect.poll(() => cloud.streams.get("job_1")?.readers).toBe(1);
  cloud.streams.get("job_1")?.push(...learning(100, { last: 40 }));
  const again = await open();
  await again.page.goto(studio.link);
  await again.page.getByRole("link", { name: /Running tickets/ }).click();
  await again.page.getByRole("tab", { name: "Output" }).click();
  const output = again.page.getByRole("log", { name: "Output of the run" });
  await output.getByText("Started job job_1").waitFor();
  await again.page.getByText("40 of 100").waitFor();
  await again.page.getByRole("button", { name: "Cancel run" }).click();
  await again.page.getByRole("button", { name: "Cancel the run" }).click();
  await again.page.getByText("Cancelled", { exact: true }).first().waitFor();
  expect(cloud.cancelled).toEqual(["job_1"]);
  await output.getByText("exit=1").waitFor();
  expectQuiet(cloud, again.complaints);
});

describe("the list of jobs", () => {
  it("is searched, filtered, sorted and cancelled from", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "alpha", status: "completed", createdAt: minutesAgo(30) }, [
      { type: "training.log", step: 1, loss: 0.5, evalLoss: 0.75 },
      completed(),
    ]);
    cloud.add({ id: "b", name: "beta", status: "failed", createdAt: minutesAgo(20) });
    cloud.add({ id: "c", name: "gamma", createdAt: minutesAgo(10) }, learning(5));
    const { page, complaints, go } = await visit(open, cloud);
    await go("#/jobs");
    const names = () => page.locator("[data-row-link]").allInnerTexts();
    await expect.poll(names).toEqual(["gamma", "beta", "alpha"]);
    await page.getByText("0.7500").waitFor();
    await page.getByRole("button", { name: "Name" }).click();
    await expect.poll(names).toEqual(["alpha", "beta", "gamma"]);
    await page.getByLabel("Search jobs").fill("ET");
    await expect.poll(names).toEqual(["beta"]);
    await page.getByLabel("Search jobs").fill("");
    await page.getByLabel("Status").selectOption("running");
    await expect.poll(names).toEqual(["gamma"]);
    await page.getByRole("button", { name: "Cancel gamma" }).click();
    await page.getByRole("button", { name: "Keep it" }).click();
    expect(cloud.cancelled).toEqual([]);
    await page.getByRole("button", { name: "Cancel gamma" }).click();
    await page.getByRole("button", { name: "Cancel the run" }).click();
    await page.getByText("No jobs match.").waitFor();
    expect(cloud.cancelled).toEqual(["c"]);
    expectQuiet(cloud, complaints);
  });

  it("tells a dry run from a run, and names the model of each", async () => {
    const cloud = await StudioCloud.forTest();
    const config = { model: "acme/small", dryRun: true };
    cloud.add({ id: "a", name: "tickets", status: "completed", config }, [completed()]);
    cloud.add({ id: "b", name: "tickets", status: "completed" }, [completed()]);
    const { page, complaints, go } = await visit(open, cloud);
    await page.getByRole("link", { name: /tickets dry run acme\/small/ }).waitFor();
    await go("#/jobs");
    const names = () => page.locator("[data-row-link]").allInnerTexts();
    await page.getByRole("cell", { name: "acme/small" }).waitFor();
    await page.getByRole("button", { name: "Model" }).click();
    await expect.poll(names).toEqual(["tickets", "tickets dry run"]);
    await go("#/jobs/a");
    await page.locator("header").getByText("dry run").waitFor();
    expectQuiet(cloud, complaints);
  });

  it("of 5000 jobs has a few rows in the page only", async () => {
    const cloud = await StudioCloud.forTest();
    for (let index = 0; index < 5000; index++) {
      cloud.add({ id: `j${index}`, name: `run ${index}`, status: "queued" });
    }
    const { page, go } = await visit(open, cloud);
    await go("#/jobs");
    await page.getByText("5,000 jobs").waitFor();
    expect(await page.getByRole("row").count()).toBeLessThan(80);
    await page.getByRole("region", { name: "Jobs" }).evaluate((box) => {
      box.scrollTop = box.scrollHeight;
    });
    await page.getByRole("link", { name: "run 0", exact: true }).waitFor();
  });
});
