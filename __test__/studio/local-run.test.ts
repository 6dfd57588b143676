// The whole way on this machine: the button, the live loss, a checkpoint, an answer.
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { arkor, isAlive, ROOT } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { browserForTests } from "./support/browser.ts";
import { startStudio, triage } from "./support/studio.ts";

const open = browserForTests();

it("a run is started by the button, watched live, and its checkpoint answers", async () => {
  const project = triage((source) =>
    source.replace("maxSteps: 300", "maxSteps: 60").replace("saveSteps: 100", "saveSteps: 20"),
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

const LOCAL = { args: ["--port", "0", "--local"] };

it("a second Studio of a project joins the local backend of the first", async () => {
  const project = triage((source) => source.replace("maxSteps: 300", "maxSteps: 5000"));
  const first = await startStudio(project, LOCAL);
  const second = await startStudio(project, LOCAL);
  expect(second.running.stderr).toMatch(
    /Using the local backend that runs at http:\/\/127\.0\.0\.1/,
  );
  const backends = await Promise.all(
    [first, second].map(async ({ api }) => (await (await api("/api/credentials")).json()).baseUrl),
  );
  expect(backends[0]).toBe(backends[1]);
  const announced = path.join(project.cwd, ".arkor/local/server.json");
  expect(statSync(announced).mode & 0o777).toBe(0o600);
  // The backend belongs to the first Studio; the second one leaves it running.
  const { body } = await second.api("/api/train", { method: "POST", body: "{}" });
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  while (!/^step /m.test(output)) output += (await reader?.read())?.value ?? "";
  second.running.kill("SIGTERM");
  const { code, stderr } = await second.running.exit;
  expect(code).toBe(143);
  expect(stderr).toMatch(/Job (\w+) goes on with the local backend\. .*arkor cancel \1 --local\./);
  expect((await first.api("/api/jobs")).status).toBe(200);
});

it("a signal ends the local backend too, which keeps what the run has", async () => {
  const project = triage((source) => source.replace("maxSteps: 300", "maxSteps: 5000"));
  const studio = await startStudio(project, LOCAL);
  const { body } = await studio.api("/api/train", { method: "POST", body: "{}" });
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  while (!/^step /m.test(output)) output += (await reader?.read())?.value ?? "";
  const { pid } = JSON.parse(project.read(".arkor/local/server.json"));
  const start = performance.now();
  studio.running.kill("SIGINT");
  expect((await studio.running.exit).code).toBe(130);
  expect(performance.now() - start).toBeLessThan(5000);
  expect(isAlive(pid)).toBe(false);
  const [jobId = ""] = readdirSync(project.path(".arkor/local/jobs"));
  expect(JSON.parse(project.read(`.arkor/local/jobs/${jobId}/job.json`))).toMatchObject({
    status: "running",
  });
  expect(studio.running.stderr).toContain(
    `Job ${jobId} stopped with the local backend and goes on with the next one.`,
  );
});

it("this machine is shown, and its endpoints with their addresses", async () => {
  const studio = await startStudio(triage(), LOCAL);
  const { page, complaints } = await open();
  await page.goto(studio.link);
  await page.getByRole("heading", { name: "This machine" }).waitFor();
  await page.getByText(/\d+ cores/).waitFor();
  await page.goto(`${studio.origin}/#/endpoints`);
  await page.getByText("No endpoints yet.").waitFor();
  const target = { kind: "base_model", baseModel: "arkor-tiny" };
  const body = JSON.stringify({ slug: "tickets", target, authMode: "fixed_api_key" });
  const made = await studio.api("/api/deployments", { method: "POST", body });
  expect(made.status).toBe(201);
  await page.reload();
  await page.getByRole("heading", { name: "tickets" }).waitFor();
  await page
    .getByText(/curl http:\/\/127\.0\.0\.1:\d+\/e\/tickets\/v1\/chat\/completions/)
    .waitFor();
  await page.getByLabel("Label of a new key for tickets").fill("web");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText(/ark_[0-9a-f]{64}/).waitFor();
  expect(complaints).toEqual([]);
});

it("--base-model is relative to where the command runs, not to the project", async () => {
  const project = triage();
  project.write("src/models/mine/config.json", "{}");
  const studio = await startStudio(project, {
    args: ["--port", "0", "--local", "--base-model", "models/mine"],
    env: { ARKOR_LOCAL_BIN: path.join(ROOT, "__test__/support/fake-backend.mjs") },
    directory: "src",
  });
  const [, given] = await studio.running.until("stderr", /"base-model":"([^"]+)"/);
  expect(given).toBe(project.path("src/models/mine"));
});

it("dev and local take every flag of start that is about the local backend", async () => {
  const flags = async (command: string) => {
    const { stdout } = await arkor([command, "--help"], new Project()).exit;
    const found = [...stdout.matchAll(/^ +(?:-\w, )?(--[\w-]+)(?: <[^>]+>)? +(with --local:)?/gm)];
    return { all: found.map(([, flag]) => flag), local: found.filter(([, , with_]) => with_) };
  };
  // `--port` means something else in each command, and Studio resumes a run on its page.
  const own = ["--port", "--resume"];
  const start = await flags("start");
  const shared = start.local.map(([, flag]) => flag).filter((flag) => !own.includes(flag ?? ""));
  expect(shared).toContain("--base-model");
  expect((await flags("dev")).all).toEqual(expect.arrayContaining(shared));
  expect((await flags("local")).all).toEqual(expect.arrayContaining(shared));
});
