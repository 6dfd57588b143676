// The page as a whole, the playground and the endpoints, against a scripted cloud.
import { describe, expect, it } from "vitest";
import { browserForTests } from "./support/browser.ts";
import { completed, learning, StudioCloud } from "./support/cloud.ts";
import { cloudStudio } from "./support/cloud-project.ts";
import { startStudio } from "./support/studio.ts";
import { expectQuiet, heading, tabTo, visit } from "./support/visit.ts";

const open = browserForTests();

it("every view opens by its address", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "a", name: "first run" }, learning(20));
  const { page, complaints, go } = await visit(open, cloud);
  for (const [hash, name] of [
    ["#/", "Overview"],
    ["#/jobs", "Jobs"],
    ["#/jobs/a", "first run"],
    ["#/playground?adapter=final:a&compare=base:acme/base", "Playground"],
    ["#/endpoints", "Endpoints"],
    ["#/dataset?offset=25", "Dataset"],
    ["#/nowhere", "Not found"],
  ] as const) {
    await go(hash);
    await heading(page, name).waitFor();
    expect(await page.title()).toBe(`${name} · Arkor Studio`);
  }
  expectQuiet(cloud, complaints);
});

describe("the token", () => {
  it("leaves the address bar at once, and opens the page again later", async () => {
    const cloud = await StudioCloud.forTest();
    const { studio, page, go } = await visit(open, cloud);
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
    await heading(page, "Open Studio by its link").waitFor();
    await page.goto(`${studio.origin}/#token=${"x".repeat(43)}`);
    await heading(page, "Open Studio by its link").waitFor();
    await page.goto(studio.link);
    await heading(page, "Overview").waitFor();
  });
});

describe("the playground", () => {
  it("streams an answer, keeps the conversation, and sends what the form says", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "tuned", status: "completed" }, [...learning(30), completed()]);
    const { page, complaints, go } = await visit(open, cloud);
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
    const { page, complaints, go } = await visit(open, cloud);
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
    const { page, complaints, go } = await visit(open, cloud);
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
    const { page, go } = await visit(open, cloud);
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
  const { page, complaints, go } = await visit(open, cloud);
  await page.getByText(evil).first().waitFor();
  await go("#/jobs");
  await page.getByRole("link", { name: evil }).waitFor();
  await go("#/jobs/a");
  await heading(page, evil).waitFor();
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
  const { page, complaints, go } = await visit(open, cloud);
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
  await expect.poll(() => page.getByText("ak_1234567890abcdef").count()).toBe(0);
  await page.getByText(/its address isn't known here/).waitFor();
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
  const { studio, page } = await visit(open, cloud);
  await page.getByRole("link", { name: /still here/ }).waitFor();
  await page.getByRole("button", { name: "Run training", disabled: false }).waitFor();
  studio.running.kill("SIGTERM");
  await studio.running.exit;
  await page.getByText("Offline.").waitFor();
  expect(await page.getByRole("link", { name: /still here/ }).isVisible()).toBe(true);
  // The old content stays, and "Offline." is the only message about it.
  expect(await page.getByText(/can't be (shown|updated)/).count()).toBe(0);
  const { port } = new URL(studio.origin);
  const again = await startStudio(studio.project, { args: ["-p", port], backend: cloud });
  await page.getByRole("heading", { name: "Open Studio by its link" }).waitFor();
  await page.goto(again.link);
  await page.getByRole("link", { name: /still here/ }).waitFor();
});

it("without any network the page opens all the same, and says what it can't reach", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.close();
  const { page, go } = await visit(open, cloud);
  await page.getByRole("heading", { name: "tickets" }).waitFor();
  await page.getByText("The jobs can't be shown.").waitFor();
  await page.getByText("The backend can't be reached.").waitFor();
  await go("#/endpoints");
  await page.getByText("The endpoints can't be shown.").waitFor();
});

it("a cloud that refuses the login is not called unreachable", async () => {
  const cloud = await StudioCloud.forTest();
  cloud.refusal = "the token has expired";
  const { page } = await visit(open, cloud);
  await page.getByText("The backend doesn't say who you are.").waitFor();
  await page.getByText("the token has expired").waitFor();
});

it("the keyboard alone starts a run, opens it, asks the model and cancels", async () => {
  const cloud = await StudioCloud.forTest();
  const { page, complaints } = await visit(open, cloud);
  await page.getByRole("button", { name: "Run training", disabled: false }).waitFor();
  await tabTo(page, "Run training");
  await page.keyboard.press("Enter");
  await heading(page, "tickets").waitFor();
  cloud.streams.get("job_1")?.push(...learning(100, { last: 40 }));
  await page.getByRole("link", { name: "Ask the model" }).waitFor();
  await tabTo(page, "Ask the model");
  await page.keyboard.press("Enter");
  await heading(page, "Playground").waitFor();
  await tabTo(page, "Message");
  await page.keyboard.type("Hi");
  await page.keyboard.press("Enter");
  await page.getByText("Hello there.").waitFor();
  await tabTo(page, "Jobs");
  await page.keyboard.press("Enter");
  await heading(page, "Jobs").waitFor();
  await tabTo(page, "Cancel tickets");
  await page.keyboard.press("Enter");
  await tabTo(page, "Cancel the run");
  await page.keyboard.press("Enter");
  await expect.poll(() => cloud.cancelled).toEqual(["job_1"]);
  expectQuiet(cloud, complaints);
});
