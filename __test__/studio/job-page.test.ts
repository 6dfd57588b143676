// What a job's page shows and does, against a scripted cloud.
import { describe, expect, it } from "vitest";
import { browserForTests } from "./support/browser.ts";
import { completed, learning, StudioCloud } from "./support/cloud.ts";
import { cloudStudio, ENTRY } from "./support/cloud-project.ts";
import { expectQuiet, heading, visit } from "./support/visit.ts";

const open = browserForTests();

describe("a job's page", () => {
  it("goes on where it was when the stream is cut, without losing or repeating an event", async () => {
    const cloud = await StudioCloud.forTest();
    const stream = cloud.add({ id: "a", name: "cut" }, learning(100, { last: 10 }));
    const { page, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByText("11 events").waitFor();
    stream.cut();
    await expect.poll(() => cloud.resumed.at(-1)).toBe("11");
    await expect.poll(() => stream.readers).toBeGreaterThan(0);
    stream.push({ type: "training.log", step: 11, loss: 0.125 });
    await page.getByText("12 events").waitFor();
    await page.locator(".legend-value", { hasText: "0.1250" }).waitFor();
  });

  it("of 100,000 events has a few lines in the page only, and finds any of them", async () => {
    const cloud = await StudioCloud.forTest();
    const events = [...learning(100_000), completed()];
    cloud.add({ id: "a", name: "long", status: "completed" }, events);
    const { page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByText(`${events.length.toLocaleString("en-US")} events`).waitFor();
    const list = page.getByRole("region", { name: "Events" });
    expect(await list.getByText("training.log").count()).toBeLessThan(100);
    await page.getByLabel("Search events").fill("step 54321");
    await list.getByText(/^step 54321 /).waitFor();
    expectQuiet(cloud, complaints);
  });

  it("says that it reconnects while the backend is away", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "away" }, learning(100, { last: 10 }));
    const { page, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByText("11 events").waitFor();
    cloud.close();
    await page.getByText("Reconnecting").waitFor();
    await page
      .getByText(/Can't reach the backend/)
      .first()
      .waitFor();
    expect(await page.getByText("11 events").isVisible()).toBe(true);
  });

  it("shows a failure, its step, and a loss that is no number", async () => {
    const cloud = await StudioCloud.forTest();
    const failed = { type: "training.failed", step: 2, error: "out of memory" };
    cloud.add({ id: "a", name: "bad", status: "failed", error: "out of memory" }, [
      { type: "training.log", step: 1, loss: 1.5 },
      '{"type":"training.log","step":2,"loss":NaN}',
      failed,
    ]);
    const { page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByRole("alert").getByText("The run failed at step 2.").waitFor();
    await page.locator(".legend-value", { hasText: "NaN" }).waitFor();
    expectQuiet(cloud, complaints);
  });

  it("waits for the first step without empty axes", async () => {
    const cloud = await StudioCloud.forTest();
    const stream = cloud.add({ id: "a", name: "new" });
    const { page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByText("Waiting for the first step.").waitFor();
    expect(await page.locator(".u-over").count()).toBe(0);
    const tabs = page.getByRole("tablist");
    const before = await tabs.boundingBox();
    stream.push({ type: "training.log", step: 1, loss: 1 });
    await page.locator(".u-over").first().waitFor();
    // The chart doesn't push down what is below it.
    expect(Math.abs(((await tabs.boundingBox())?.y ?? 0) - (before?.y ?? 0))).toBeLessThan(24);
    expectQuiet(cloud, complaints);
  });

  it("starts the entry again and goes to that run, or says why it couldn't", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "old", status: "completed" }, [completed()]);
    const { studio, page, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByRole("button", { name: "Run again" }).click();
    await heading(page, "tickets").waitFor();
    expect(await page.evaluate(() => location.hash)).toBe("#/jobs/job_2");
    const broken = `${ENTRY}\nif (process.argv.includes("start")) throw new Error("no data today");\n`;
    studio.project.write("src/arkor/index.ts", broken);
    await go("#/jobs/a");
    await page.getByRole("button", { name: "Run again" }).click();
    await page.getByRole("log", { name: "Output of the run" }).getByText("no data today").waitFor();
  });

  it("has an address for each of its tabs", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "one", status: "completed" }, [...learning(30), completed()]);
    const { page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/a?tab=config");
    await page.getByRole("cell", { name: "acme/base" }).waitFor();
    await page.getByRole("tab", { name: "Artifacts" }).click();
    await page.getByRole("heading", { name: "Final adapter" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Final adapter" }).waitFor();
    expectQuiet(cloud, complaints);
  });

  it("reads and zooms its charts by the keyboard", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "one", status: "completed" }, [...learning(200), completed()]);
    const { page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByText("204 events").waitFor();
    const chart = page.getByRole("application", { name: /^Loss/ });
    const top = async () => (await chart.boundingBox())?.y;
    const before = await top();
    await chart.focus();
    await page.keyboard.press("ArrowRight");
    const step = page.locator(".chart-step").first();
    const first = Number((await step.textContent())?.replace("step ", ""));
    await page.keyboard.press("ArrowRight");
    await expect
      .poll(async () => Number((await step.textContent())?.replace("step ", "")))
      .toBeGreaterThan(first);
    expect(await top()).toBe(before);
    const reset = page.getByRole("button", { name: "Reset zoom" });
    await page.keyboard.press("+");
    await expect.poll(() => reset.isEnabled()).toBe(true);
    await page.keyboard.press("Escape");
    await expect.poll(() => reset.isEnabled()).toBe(false);
    expectQuiet(cloud, complaints);
  });

  it("shows config, metadata, artifacts, and what differs from another run", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "old", status: "completed", config: { model: "m", maxSteps: 5 } });
    const events = [...learning(30), completed()];
    const config = { model: "m", maxSteps: 30 };
    cloud.add({ id: "b", name: "new", status: "completed", config }, events);
    const { page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/b");
    await page.getByRole("tab", { name: "Config" }).click();
    await page.getByRole("cell", { name: "30", exact: true }).waitFor();
    await page.getByLabel("Compare with").selectOption({ index: 1 });
    expect(await page.locator("[data-changed]").allInnerTexts()).toEqual(["maxSteps\t30\t5"]);
    await page.getByText("totalSteps").waitFor();
    await page.getByRole("tab", { name: "Artifacts" }).click();
    await page.getByRole("heading", { name: "Checkpoint 10" }).waitFor();
    expect(await page.getByText("1.2 MiB").count()).toBe(4);
    expectQuiet(cloud, complaints);
  });

  it("offers artifacts by their address, asks nobody itself, and says when there is none", async () => {
    const cloud = await StudioCloud.forTest();
    const url = "https://files.example/adapter?sig=1";
    const artifacts = [
      { name: "adapter.safetensors", size: 2048, url },
      { name: "bad.bin", url: "javascript:document.title=1" },
      { name: "data.bin", url: "data:text/html,x" },
      { name: "plain.json", size: 12 },
    ];
    const end = { type: "training.completed", artifacts };
    cloud.add({ id: "a", name: "with", status: "completed" }, [end]);
    cloud.add({ id: "b", name: "without", status: "completed" }, [completed()]);
    const { studio, page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByRole("tab", { name: "Artifacts" }).click();
    const link = page.getByRole("link", { name: "Download adapter.safetensors" });
    expect(await link.getAttribute("href")).toBe(url);
    expect(await link.getAttribute("rel")).toBe("noopener noreferrer");
    expect(await page.getByRole("link", { name: /^Download/ }).count()).toBe(1);
    for (const name of ["bad.bin", "data.bin", "plain.json"]) await page.getByText(name).waitFor();
    expect(await page.getByText("gives no download").count()).toBe(0);
    expect(await page.content()).not.toContain(studio.token);
    await go("#/jobs/b");
    await page.getByRole("tab", { name: "Artifacts" }).click();
    await page.getByText("gives no download").waitFor();
    expectQuiet(cloud, complaints);
  });

  it("zooms by dragging, smooths, lays another run over, and filters events", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "other", status: "completed" }, [...learning(200), completed()]);
    cloud.add({ id: "b", name: "this", status: "completed" }, [
      ...learning(200, { seed: 5 }),
      completed(),
    ]);
    const { page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/b");
    await page.getByText("204 events").waitFor();
    const reset = page.getByRole("button", { name: "Reset zoom" });
    expect(await reset.isDisabled()).toBe(true);
    const over = page.locator(".u-over").first();
    const box = await over.boundingBox();
    if (!box) throw new Error("the chart has no box");
    await page.mouse.move(box.x + 100, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + 400, box.y + 50, { steps: 5 });
    await page.mouse.up();
    await expect.poll(() => reset.isDisabled()).toBe(false);
    await page
      .getByText(/^step \d+$/)
      .first()
      .waitFor();
    await reset.click();
    await page.getByLabel("Smoothing").fill("0.9");
    await page.getByLabel("Log axis").check();
    await page.getByLabel("Lay another run over the chart").selectOption("a");
    await page.locator(".legend-label", { hasText: "other" }).waitFor();
    await page.getByLabel("Kind of event").selectOption("checkpoint.saved");
    await page.getByText("2 of 204").waitFor();
    await page.getByLabel("Kind of event").selectOption("");
    await page.getByLabel("Search events").fill("step 134");
    await page.getByText("2 of 204").waitFor();
    expectQuiet(cloud, complaints);
  });

  it("asks every checkpoint the project's prompts", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.answer = ({ adapter }) => [`I am ${adapter.step}`];
    cloud.add({ id: "a", name: "sampled", status: "completed" }, [...learning(30), completed()]);
    const { studio, page, complaints, go } = await visit(open, cloud);
    await go("#/jobs/a");
    await page.getByRole("tab", { name: "Samples" }).click();
    await page.getByLabel("New prompt").fill("Who are you?");
    await page.keyboard.press("Enter");
    await page.getByRole("rowheader").getByText("Who are you?").waitFor();
    await page.getByLabel("New prompt").fill("Who are you?");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.getByLabel("New prompt").inputValue()).toBe("");
    await page.getByRole("button", { name: "Ask the checkpoints" }).click();
    for (const step of [10, 20, 30])
      await page.getByRole("cell", { name: `I am ${step}` }).waitFor();
    await go("#/jobs");
    await go("#/jobs/a?tab=samples");
    await page.getByRole("cell", { name: "I am 30" }).waitFor();
    expect(cloud.asked).toHaveLength(3);
    expect(JSON.parse(studio.project.read(".arkor/prompts.json"))).toEqual({
      prompts: ["Who are you?"],
    });
    expectQuiet(cloud, complaints);
  });
});

it("knows from the first event that a run has begun, before it asks again", async () => {
  const cloud = await StudioCloud.forTest();
  const stream = cloud.add({ id: "a", name: "new", status: "queued" });
  const studio = await cloudStudio(cloud);
  const { page } = await open();
  await page.clock.install();
  await page.goto(studio.link);
  await page.goto(`${studio.origin}/#/jobs/a`);
  await page.getByText("Queued", { exact: true }).waitFor();
  await expect.poll(() => stream.readers).toBeGreaterThan(0);
  await page.clock.pauseAt(Date.now() + 1000);
  const [job] = cloud.jobs;
  if (job) job.status = "running";
  stream.push({ type: "training.started" });
  // The polls advance the clock by less in total than the page waits before it requests the job again.
  for (const words of ["1 event", "Running"]) {
    const isShown = async () => {
      await page.clock.runFor(25);
      return page.getByText(words, { exact: true }).count();
    };
    await expect.poll(isShown).toBe(1);
  }
});

it("tells runs of the same name by when they were created, where the reader is", async () => {
  const cloud = await StudioCloud.forTest();
  const createdAt = "2026-01-02T23:30:00Z";
  cloud.add({ id: "a", name: "tickets", status: "completed", createdAt }, [
    ...learning(9),
    completed(),
  ]);
  cloud.add({ id: "b", name: "tickets", status: "completed" }, [...learning(9), completed()]);
  const studio = await cloudStudio(cloud);
  const { page } = await open({ timezoneId: "Asia/Tokyo" });
  await page.goto(studio.link);
  await page.goto(`${studio.origin}/#/jobs/b`);
  await page.getByLabel("Lay another run over the chart").selectOption("a");
  await page.locator(".legend-label", { hasText: "tickets · 2026-01-03 08:30" }).waitFor();
});
