// The page against a scripted cloud, in a real browser: what each view shows and does.
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { browserForTests } from "./support/browser.ts";
import { completed, learning, minutesAgo, StudioCloud } from "./support/cloud.ts";
import { cloudStudio, ENTRY } from "./support/cloud-project.ts";
import { startStudio } from "./support/studio.ts";

const open = browserForTests();

const h1 = (page: Page, name: string) => page.getByRole("heading", { level: 1, name, exact: true });

async function visit(cloud: StudioCloud, entry = ENTRY) {
  const studio = await cloudStudio(cloud, entry);
  const { page, complaints } = await open();
  await page.goto(studio.link);
  const go = async (hash: string) => {
    await page.goto(`${studio.origin}/${hash}`);
  };
  return { studio, page, complaints, go };
}

/** What a test of the page ends with: nothing was asked that the cloud doesn't know, nothing went wrong. */
function expectQuiet(cloud: StudioCloud, complaints: string[]) {
  expect(cloud.unknown).toEqual([]);
  expect(complaints).toEqual([]);
}

it("every view opens by its address", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "a", name: "first run" }, learning(20));
  const { page, complaints, go } = await visit(cloud);
  for (const [hash, name] of [
    ["#/", "Overview"],
    ["#/jobs", "Jobs"],
    ["#/jobs/a", "first run"],
    ["#/playground?adapter=final:a&compare=base:acme/base", "Playground"],
    ["#/endpoints", "Endpoints"],
    ["#/nowhere", "Not found"],
  ] as const) {
    await go(hash);
    await h1(page, name).waitFor();
    expect(await page.title()).toBe(`${name} · Arkor Studio`);
  }
  expectQuiet(cloud, complaints);
});

describe("the token", () => {
  it("leaves the address bar at once, and opens the page again later", async () => {
    const cloud = await StudioCloud.forTest();
    const { studio, page, go } = await visit(cloud);
    await page.waitForFunction(() => location.hash === "#/");
    expect(await page.evaluate(() => localStorage.getItem("arkor-studio-token"))).toBe(
      studio.token,
    );
    await go("#/jobs");
    await page.getByText("No jobs yet.").waitFor();
  });

  it("that is missing or old is said, with the link to open", async () => {
    const cloud = await StudioCloud.forTest();
    const studio = await cloudStudio(cloud);
    const { page } = await open();
    await page.goto(studio.origin);
    await h1(page, "Open Studio by its link").waitFor();
    await page.goto(`${studio.origin}/#token=${"x".repeat(43)}`);
    await h1(page, "Open Studio by its link").waitFor();
    await page.goto(studio.link);
    await h1(page, "Overview").waitFor();
  });
});

describe("the overview", () => {
  it("shows the trainer, who one is, and what has changed since the last run", async () => {
    const cloud = await StudioCloud.forTest();
    const config = {
      model: "acme/base",
      datasetSource: { type: "huggingface", name: "acme/tickets" },
      maxSteps: 250,
    };
    cloud.add({ id: "a", name: "before", status: "completed", config }, [completed()]);
    const { studio, page, complaints } = await visit(cloud);
    await page.getByRole("heading", { name: "tickets" }).waitFor();
    const change = page.getByRole("listitem").filter({ hasText: "maxSteps" });
    await expect.poll(() => change.textContent()).toMatch(/maxSteps\s*250\s*100/);
    await page.getByText("anonymously").waitFor();

    studio.project.write("src/arkor/index.ts", ENTRY.replace("100", "250"));
    await page.getByText("The same config as the last run.").waitFor();
    expectQuiet(cloud, complaints);
  });

  it("shows where a broken entry is broken, and goes on when it is mended", async () => {
    const cloud = await StudioCloud.forTest();
    const { studio, page } = await visit(cloud, `const answer = ;\n${ENTRY}`);
    const alert = page.getByRole("alert");
    await alert.getByText("src/arkor/index.ts:1:").waitFor();
    await alert.getByText("const answer = ;").waitFor();
    expect(await page.getByRole("button", { name: "Run training" }).isDisabled()).toBe(true);
    studio.project.write("src/arkor/index.ts", ENTRY);
    await page.getByRole("button", { name: "Run training", disabled: false }).waitFor();
  });

  it("shows the output of a run that never reached the backend", async () => {
    const cloud = await StudioCloud.forTest();
    const entry = `${ENTRY}\nif (process.argv.includes("start")) throw new Error("no data today");\n`;
    const { page } = await visit(cloud, entry);
    await page.getByRole("button", { name: "Run training" }).click();
    await page.getByText("The run ended before the backend had taken it.").waitFor();
    await page.getByRole("log", { name: "Output of the run" }).getByText("no data today").waitFor();
  });
});

it("a run goes on without its tab, and its output is there again", async () => {
  const cloud = await StudioCloud.forTest();
  const { studio, page } = await visit(cloud);
  await page.getByRole("button", { name: "Run training" }).click();
  await h1(page, "tickets").waitFor();
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
    const { page, complaints, go } = await visit(cloud);
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
    await page.getByText("No job is like that.").waitFor();
    expect(cloud.cancelled).toEqual(["c"]);
    expectQuiet(cloud, complaints);
  });

  it("of 5000 jobs has a few rows in the page only", async () => {
    const cloud = await StudioCloud.forTest();
    for (let index = 0; index < 5000; index++) {
      cloud.add({ id: `j${index}`, name: `run ${index}`, status: "queued" });
    }
    const { page, go } = await visit(cloud);
    await go("#/jobs");
    await page.getByText("5000 jobs").waitFor();
    expect(await page.getByRole("row").count()).toBeLessThan(80);
    await page.getByRole("region", { name: "Jobs" }).evaluate((box) => {
      box.scrollTop = box.scrollHeight;
    });
    await page.getByRole("link", { name: "run 0", exact: true }).waitFor();
  });
});

describe("a job's page", () => {
  it("goes on where it was when the stream is cut, without losing or repeating an event", async () => {
    const cloud = await StudioCloud.forTest();
    const stream = cloud.add({ id: "a", name: "cut" }, learning(100, { last: 10 }));
    const { page, go } = await visit(cloud);
    await go("#/jobs/a");
    await page.getByText("11 events").waitFor();
    stream.cut();
    await expect.poll(() => cloud.resumed.at(-1)).toBe("11");
    await expect.poll(() => stream.readers).toBeGreaterThan(0);
    stream.push({ type: "training.log", step: 11, loss: 0.125 });
    await page.getByText("12 events").waitFor();
    await page.locator(".legend-value", { hasText: "0.1250" }).waitFor();
  });

  it("says that it reconnects while the backend is away", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "away" }, learning(100, { last: 10 }));
    const { page, go } = await visit(cloud);
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
    const { page, complaints, go } = await visit(cloud);
    await go("#/jobs/a");
    await page.getByRole("alert").getByText("The run failed at step 2.").waitFor();
    await page.locator(".legend-value", { hasText: "NaN" }).waitFor();
    expectQuiet(cloud, complaints);
  });

  it("shows config, metadata, artifacts, and what differs from another run", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "old", status: "completed", config: { model: "m", maxSteps: 5 } });
    const events = [...learning(30), completed()];
    const config = { model: "m", maxSteps: 30 };
    cloud.add({ id: "b", name: "new", status: "completed", config }, events);
    const { page, complaints, go } = await visit(cloud);
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

  it("zooms by dragging, smooths, lays another run over, and filters events", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "other", status: "completed" }, [...learning(200), completed()]);
    cloud.add({ id: "b", name: "this", status: "completed" }, [
      ...learning(200, { seed: 5 }),
      completed(),
    ]);
    const { page, complaints, go } = await visit(cloud);
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
    const { studio, page, complaints, go } = await visit(cloud);
    await go("#/jobs/a");
    await page.getByRole("tab", { name: "Samples" }).click();
    await page.getByLabel("New prompt").fill("Who are you?");
    await page.keyboard.press("Enter");
    await page.getByRole("rowheader").getByText("Who are you?").waitFor();
    await page.getByRole("button", { name: "Ask the checkpoints" }).click();
    for (const step of [10, 20, 30])
      await page.getByRole("cell", { name: `I am ${step}` }).waitFor();
    expect(JSON.parse(studio.project.read(".arkor/prompts.json"))).toEqual({
      prompts: ["Who are you?"],
    });
    expectQuiet(cloud, complaints);
  });
});

describe("the playground", () => {
  it("streams an answer, keeps the conversation, and sends what the form says", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "tuned", status: "completed" }, [...learning(30), completed()]);
    const { page, complaints, go } = await visit(cloud);
    await go("#/playground?adapter=final:a");
    await page.getByLabel("Version").selectOption("20");
    await page.getByLabel("System prompt").fill("Be brief.");
    await page.getByLabel("Temperature").fill("0.5");
    const box = page.getByLabel("Message", { exact: true });
    await box.fill("One");
    await box.press("Shift+Enter");
    await box.pressSequentially("two");
    await box.press("Enter");
    await page.getByText("Hello there.").waitFor();
    await page.getByText(/3 tokens · .* tokens\/s/).waitFor();
    await box.fill("Three");
    await page.getByRole("button", { name: "Send message" }).click();
    await expect.poll(() => cloud.asked.length).toBe(2);
    expect(cloud.asked[1]).toEqual({
      adapter: { kind: "checkpoint", jobId: "a", step: 20 },
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "One\ntwo" },
        { role: "assistant", content: "Hello there." },
        { role: "user", content: "Three" },
      ],
      temperature: 0.5,
      stream: true,
    });
    expectQuiet(cloud, complaints);
  });

  it("stops an answer, and the backend hears of it", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.answer = () => ["Once upon", null];
    const { page, complaints, go } = await visit(cloud);
    await go("#/playground?adapter=base:acme/base");
    await page.getByLabel("Message", { exact: true }).fill("A tale");
    await page.getByRole("button", { name: "Send message" }).click();
    await page.getByText("Once upon").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await cloud.abandoned;
    await page.getByText("stopped").waitFor();
    expectQuiet(cloud, complaints);
  });

  it("compares two models with the same message", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "tuned", status: "completed" }, [...learning(30), completed()]);
    cloud.answer = ({ adapter }) => [adapter ? "tuned answer" : "base answer"];
    const { page, complaints, go } = await visit(cloud);
    await go("#/playground?adapter=final:a");
    expect(await page.getByRole("combobox", { name: "Second model" }).count()).toBe(0);
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByRole("combobox", { name: "Second model" }).selectOption("base:acme/base");
    await page.getByLabel("Message", { exact: true }).fill("Hi");
    await page.keyboard.press("Enter");
    await page.getByText("tuned answer").waitFor();
    await page.getByText("base answer").waitFor();
    expectQuiet(cloud, complaints);
  });

  it("does not send on the Enter of an input method", async () => {
    const cloud = await StudioCloud.forTest();
    const { page, go } = await visit(cloud);
    await go("#/playground?adapter=base:acme/base");
    const box = page.getByLabel("Message", { exact: true });
    await box.fill("にほん");
    await box.dispatchEvent("keydown", { key: "Enter", isComposing: true });
    await box.dispatchEvent("keydown", { key: "Enter", keyCode: 229 });
    expect(await box.inputValue()).toBe("にほん");
    expect(cloud.asked).toEqual([]);
  });
});

it("markup of a model, a job's name, an event and an error stays text", async () => {
  const cloud = await StudioCloud.forTest();
  const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  cloud.add({ id: "a", name: evil, status: "failed", error: evil }, [
    { type: "training.started", metadata: { [evil]: evil } },
    { type: "training.log", step: 1, loss: 1 },
    { type: evil, note: evil },
    { type: "training.failed", error: evil },
  ]);
  cloud.answer = () => [evil.slice(0, 20), evil.slice(20)];
  const { page, complaints, go } = await visit(cloud);
  await page.getByText(evil).first().waitFor();
  await go("#/jobs");
  await page.getByRole("link", { name: evil }).waitFor();
  await go("#/jobs/a");
  await h1(page, evil).waitFor();
  await page.getByRole("tab", { name: "Config" }).click();
  await go("#/playground?adapter=final:a");
  await page.getByLabel("Message", { exact: true }).fill(evil);
  await page.keyboard.press("Enter");
  await expect
    .poll(() => page.locator(".message[data-role=assistant] .message-text").textContent())
    .toBe(evil);
  expect(await page.locator("img:not(.brand img), main script").count()).toBe(0);
  expect(await page.title()).toBe("Playground · Arkor Studio");
  expectQuiet(cloud, complaints);
});

it("an endpoint is created from a job, given a key, disabled and deleted", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "a", name: "tuned", status: "completed" }, [...learning(30), completed()]);
  const { page, complaints, go } = await visit(cloud);
  await go("#/endpoints");
  await page.getByText("No endpoints yet.").waitFor();
  await page.getByRole("button", { name: "New endpoint" }).click();
  const create = page.getByRole("button", { name: "Create endpoint" });
  await page.getByLabel("Slug").fill("-x");
  expect(await create.isDisabled()).toBe(true);
  await page.getByLabel("Slug").fill("tickets-prod");
  await create.click();
  await page.getByRole("heading", { name: "tickets-prod" }).waitFor();
  expect(cloud.deployments).toMatchObject([
    { slug: "tickets-prod", target: { adapter: { kind: "final", jobId: "a" } } },
  ]);
  await page.getByLabel("Label of a new key for tickets-prod").fill("web");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("ak_1234567890abcdef").waitFor();
  await page.getByRole("button", { name: "Revoke web" }).click();
  await page.getByRole("button", { name: "Revoke the key" }).click();
  await expect.poll(() => cloud.keys.get("dep_1")).toEqual([]);
  await page.getByLabel("Enabled").click();
  await expect.poll(() => cloud.deployments[0]?.enabled).toBe(false);
  await page.reload();
  await page.getByRole("heading", { name: "tickets-prod" }).waitFor();
  expect(await page.getByText("ak_1234567890abcdef").count()).toBe(0);
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Delete the endpoint" }).click();
  await page.getByText("No endpoints yet.").waitFor();
  expectQuiet(cloud, complaints);
});

it("a server that is gone is said, and the page goes on when it is back", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "a", name: "still here", status: "completed" }, [completed()]);
  const { studio, page } = await visit(cloud);
  await page.getByRole("link", { name: /still here/ }).waitFor();
  studio.running.kill("SIGTERM");
  await studio.running.exit;
  await page.getByText("Offline.").waitFor();
  expect(await page.getByRole("link", { name: /still here/ }).isVisible()).toBe(true);
  const { port } = new URL(studio.origin);
  const again = await startStudio(studio.project, { args: ["-p", port], backend: cloud });
  await page.getByRole("heading", { name: "Open Studio by its link" }).waitFor();
  await page.goto(again.link);
  await page.getByRole("link", { name: /still here/ }).waitFor();
});

it("without any network the page opens all the same, and says what it can't reach", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.close();
  const { page, go } = await visit(cloud);
  await page.getByRole("heading", { name: "tickets" }).waitFor();
  await page.getByText("The jobs can't be shown.").waitFor();
  await page.getByText("The backend can't be reached.").waitFor();
  await go("#/endpoints");
  await page.getByText("The endpoints can't be shown.").waitFor();
});

it("the keyboard alone starts a run, opens it, asks the model and cancels", async () => {
  const cloud = await StudioCloud.forTest();
  const { page, complaints } = await visit(cloud);
  await page.getByRole("button", { name: "Run training", disabled: false }).waitFor();
  await tabTo(page, "Run training");
  await page.keyboard.press("Enter");
  await h1(page, "tickets").waitFor();
  cloud.streams.get("job_1")?.push(...learning(100, { last: 40 }));
  await page.getByRole("link", { name: "Ask the model" }).waitFor();
  await tabTo(page, "Ask the model");
  await page.keyboard.press("Enter");
  await h1(page, "Playground").waitFor();
  await tabTo(page, "Message");
  await page.keyboard.type("Hi");
  await page.keyboard.press("Enter");
  await page.getByText("Hello there.").waitFor();
  await tabTo(page, "Jobs");
  await page.keyboard.press("Enter");
  await h1(page, "Jobs").waitFor();
  await tabTo(page, "Cancel tickets");
  await page.keyboard.press("Enter");
  await tabTo(page, "Cancel the run");
  await page.keyboard.press("Enter");
  await expect.poll(() => cloud.cancelled).toEqual(["job_1"]);
  expectQuiet(cloud, complaints);
});

/** Presses Tab until what has this name has the focus. */
async function tabTo(page: Page, name: string) {
  const names: string[] = [];
  for (let press = 0; press < 60; press++) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      return element?.getAttribute("aria-label") ?? element?.textContent ?? "";
    });
    if (focused === name) return;
    names.push(focused);
  }
  throw new Error(`Tab never came to ${name}, but to ${names.join(" | ")}`);
}
