// What exists for local runs only: the machine's figures, and deleting jobs.
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Project } from "../support/project.ts";
import { browserForTests } from "./support/browser.ts";
import { StudioCloud } from "./support/cloud.ts";
import { cloudStudio } from "./support/cloud-project.ts";
import { localProject } from "./support/local-project.ts";
import { type Studio, startStudio } from "./support/studio.ts";
import { focused, heading, tabTo } from "./support/visit.ts";

const open = browserForTests();
const LOCAL = ["--port", "0", "--local"];
/** With `--engine`, the engine is known before a run. */
const CPU = [...LOCAL, "--engine", "cpu"];
const MIB = 1024 * 1024;

/** The environment of a machine whose only program is this `nvidia-smi`, or none. */
function machine(project: Project, script?: string) {
  const bin = project.path("machine");
  mkdirSync(bin);
  if (script !== undefined) {
    project.write("machine/nvidia-smi", `#!/bin/sh\necho "$@" >> ${bin}/asked\n${script}\n`);
    chmodSync(path.join(bin, "nvidia-smi"), 0o755);
  }
  return { PATH: bin };
}

async function localStudio(script?: string) {
  const project = localProject();
  const studio = await startStudio(project, { args: CPU, env: machine(project, script) });
  return { project, studio };
}

describe("the figures of this machine", () => {
  it("have the engine, and each GPU, asked for once a while", async () => {
    const { project, studio } = await localStudio(
      "echo 'NVIDIA H100 80GB HBM3, 81559, 1024, 37'\necho 'Odd, one, 8192, [N/A], [N/A]'",
    );
    const ask = async () => (await studio.api("/api/system")).json();
    const [figures, again] = await Promise.all([ask(), ask()]);
    expect(figures).toEqual({
      engine: "candle",
      device: "cpu",
      cpu: { model: expect.any(String), cores: expect.any(Number), load: expect.any(Number) },
      memory: { total: expect.any(Number), free: expect.any(Number) },
      gpus: [
        {
          name: "NVIDIA H100 80GB HBM3",
          memory: { total: 81559 * MIB, used: 1024 * MIB },
          utilization: 37,
        },
        { name: "Odd, one", memory: { total: 8192 * MIB, used: null }, utilization: null },
      ],
    });
    expect(again.gpus).toEqual(figures.gpus);
    expect(readFileSync(project.path("machine/asked"), "utf8").split("\n")).toEqual([
      "--query-gpu=name,memory.total,memory.used,utilization.gpu --format=csv,noheader,nounits",
      "",
    ]);
    const { page, complaints } = await open();
    await page.goto(studio.link);
    await page.getByText("candle on cpu").waitFor();
    await page
      .getByText(/^NVIDIA H100 80GB HBM3, 78\.6 GiB free of 79\.6 GiB, 37 % busy$/)
      .waitFor();
    await page.getByText("Odd, one", { exact: true }).waitFor();
    expect(complaints).toEqual([]);
  });

  it.each([
    ["there is no tool", undefined],
    ["the tool fails", "echo 'NVIDIA-SMI has failed'; exit 9"],
    ["the tool hangs", "while :; do :; done"],
  ])("have no GPU when %s", async (_, script) => {
    const { studio } = await localStudio(script);
    const figures = await (await studio.api("/api/system")).json();
    expect(figures.cpu.cores).toBeGreaterThan(0);
    expect(figures).not.toHaveProperty("gpus");
  });

  it("aren't those of the cloud", async () => {
    const studio = await cloudStudio(await StudioCloud.forTest());
    const answer = await studio.api("/api/system");
    expect([answer.status, (await answer.json()).error]).toEqual([
      404,
      expect.stringMatching(/^Runs are in the cloud/),
    ]);
  });
});

const jobFolder = (studio: Studio, id: string) => studio.project.path(`.arkor/local/jobs/${id}`);
const jobsOf = async (studio: Studio): Promise<{ id: string; status: string }[]> =>
  (await (await studio.api("/api/jobs")).json()).jobs;

/** A job that is over, by its id. */
async function finished(studio: Studio): Promise<string> {
  const answer = await studio.api("/api/train", { method: "POST", body: "{}" });
  const output = await answer.text();
  expect(output).toMatch(/exit=0\n$/);
  return /^Started job (\S+)$/m.exec(output)?.[1] ?? "";
}

describe("a job on this machine", () => {
  it("is deleted from the list by the keyboard, and from its page", async () => {
    const project = localProject(undefined, "maxSteps: 1");
    const studio = await startStudio(project, { args: LOCAL });
    const [first, second] = [await finished(studio), await finished(studio)];
    const { page, complaints } = await open();
    await page.goto(studio.link);
    await page.goto(`${studio.origin}/#/jobs`);
    await page.getByText("2 jobs").waitFor();
    const remove = page.getByRole("button", { name: "Delete tickets" }).last();
    await remove.focus();
    await page.keyboard.press("Enter");
    await tabTo(page, "Keep it");
    await page.keyboard.press("Enter");
    expect(existsSync(jobFolder(studio, first))).toBe(true);
    await expect.poll(() => focused(page)).toBe("Delete tickets");
    await page.keyboard.press("Enter");
    await tabTo(page, "Delete the job");
    await page.keyboard.press("Enter");
    await page.getByText("1 job", { exact: true }).waitFor();
    await expect.poll(() => focused(page)).toBe("Jobs");
    expect(existsSync(jobFolder(studio, first))).toBe(false);

    await page.goto(`${studio.origin}/#/jobs/${second}`);
    await page.getByRole("button", { name: "Delete job" }).click();
    await page.getByRole("button", { name: "Delete the job" }).click();
    await heading(page, "Jobs").waitFor();
    await page.getByText("No jobs yet.").waitFor();
    expect(await jobsOf(studio)).toEqual([]);
    expect(existsSync(jobFolder(studio, second))).toBe(false);
    expect(complaints).toEqual([]);
  });

  it("is kept while it runs, and one that isn't there is said", async () => {
    const project = localProject(undefined, "maxSteps: 1_000_000");
    const studio = await startStudio(project, { args: LOCAL });
    const { body } = await studio.api("/api/train", { method: "POST", body: "{}" });
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    let output = "";
    while (!/^step /m.test(output)) output += (await reader?.read())?.value ?? "";
    const [{ id } = { id: "" }] = await jobsOf(studio);
    const remove = (job: string) => studio.api(`/api/jobs/${job}`, { method: "DELETE" });
    const refused = await remove(id);
    expect([refused.status, await refused.json()]).toEqual([
      409,
      { error: `the job ${id} isn't over: cancel it first` },
    ]);
    expect((await remove("..%2Fx")).status).toBe(404);
    const { page } = await open();
    await page.goto(studio.link);
    await page.goto(`${studio.origin}/#/jobs`);
    await page.getByRole("button", { name: "Cancel tickets" }).waitFor();
    expect(await page.getByRole("button", { name: /^Delete/ }).count()).toBe(0);
  });

  it("is only there: the cloud's can't be deleted", async () => {
    const cloud = await StudioCloud.forTest();
    cloud.add({ id: "a", name: "kept", status: "completed" });
    const studio = await cloudStudio(cloud);
    const answer = await studio.api("/api/jobs/a", { method: "DELETE" });
    expect([answer.status, (await answer.json()).error]).toEqual([
      404,
      expect.stringMatching(/^Runs are in the cloud/),
    ]);
    const { page } = await open();
    await page.goto(studio.link);
    for (const hash of ["#/jobs", "#/jobs/a"]) {
      await page.goto(`${studio.origin}/${hash}`);
      await page.getByText("kept").first().waitFor();
      expect(await page.getByRole("button", { name: /Delete/ }).count()).toBe(0);
    }
    expect(cloud.unknown).toEqual([]);
  });
});
