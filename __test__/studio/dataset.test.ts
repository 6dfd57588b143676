// What the page shows of a dataset, with the local backend, and what it says in the cloud.
import { describe, expect, it } from "vitest";
import { browserForTests } from "./support/browser.ts";
import { StudioCloud } from "./support/cloud.ts";
import { cloudStudio } from "./support/cloud-project.ts";
import { chat, localEntry, localProject, rowsFile } from "./support/local-project.ts";
import { startStudio } from "./support/studio.ts";
import { expectQuiet, heading, visit } from "./support/visit.ts";

const open = browserForTests();
const LOCAL = { args: ["--port", "0", "--local"] };
const EVIL = '<img src=x onerror="document.title=1">';

/** The page on a project with these rows. */
async function visitRows(rows: object[]) {
  const project = localProject(rows);
  const studio = await startStudio(project, LOCAL);
  const { page, complaints } = await open();
  await page.goto(studio.link);
  return { project, studio, page, complaints };
}

describe("the dataset's page", () => {
  it("shows what is rendered, trained and cut off, as text, and follows the entry", async () => {
    const rows = [chat("Where is it?", "On its way."), chat(EVIL, EVIL), { text: "x" }];
    const { project, studio, page, complaints } = await visitRows(rows.slice(0, 2));
    await page.getByRole("link", { name: "Dataset" }).click();
    await heading(page, "Dataset").waitFor();
    const first = page.getByRole("region", { name: "Text of Line 1" });
    await expect
      .poll(() => first.textContent())
      .toBe(
        "<|im_start|>user\nWhere is it?<|im_end|>\n<|im_start|>assistant\nOn its way.<|im_end|>\n",
      );
    expect(await first.locator("mark").allTextContents()).toEqual(["On its way.<|im_end|>"]);
    expect(await first.locator("del").count()).toBe(0);
    expect(await page.getByRole("region", { name: "Text of Line 2" }).textContent()).toContain(
      EVIL,
    );
    expect(await page.locator("main img").count()).toBe(0);
    expect(await page.title()).toBe("Dataset · Arkor Studio");

    const { totals } = await (await studio.api("/api/dataset")).json();
    const maxLength = totals.longest - 2;
    project.write(
      "src/arkor/index.ts",
      localEntry(`lora: { r: 4, alpha: 8, maxLength: ${maxLength} },`),
    );
    await page.getByText(`at ${maxLength} tokens`).waitFor();
    const second = page.getByRole("region", { name: "Text of Line 2" });
    expect(await second.locator("del").allTextContents()).toEqual(["<|im_end|>\n"]);
    await page.getByText("2 cut off").waitFor();

    project.write("data/rows.jsonl", rowsFile(rows));
    await page.getByRole("button", { name: "Read again" }).click();
    const refused = page.getByRole("alert");
    await refused.getByText("A run with this config would be refused.").waitFor();
    await refused.getByText(/^datasetSource: line 3: /).waitFor();
    project.write("data/rows.jsonl", rowsFile(rows.slice(0, 1)));
    await page.getByRole("button", { name: "Read again" }).click();
    await page.getByText("1 row", { exact: true }).waitFor();
    expect(complaints.filter((text) => !text.includes("400"))).toEqual([]);
  });

  it("has pages of rows, each with its address, and says which rows only measure", async () => {
    const rows = Array.from({ length: 60 }, (_, at) => chat(`Question ${at}?`, `Answer ${at}.`));
    const { studio, page, complaints } = await visitRows(rows);
    await page.goto(`${studio.origin}/#/dataset`);
    await page.getByText("1–25 of 60").first().waitFor();
    await page.getByText("60 rows").waitFor();
    expect(await page.getByRole("link", { name: "Previous" }).count()).toBe(0);
    const next = page.getByRole("link", { name: "Next" }).first();
    await next.focus();
    await page.keyboard.press("Enter");
    await page.getByText("26–50 of 60").first().waitFor();
    await page.waitForURL(/#\/dataset\?offset=25$/);
    const marked: number[] = [];
    for (const offset of [0, 25, 50]) {
      await page.goto(`${studio.origin}/#/dataset?offset=${offset}`);
      await page.getByRole("heading", { name: `Line ${offset + 1}`, exact: true }).waitFor();
      marked.push(await page.getByText("held out", { exact: true }).count());
    }
    expect(marked.reduce((sum, count) => sum + count)).toBe(6);
    await page.goto(`${studio.origin}/#/dataset?offset=900`);
    await page.getByText("There are no rows here.").waitFor();
    expect(complaints).toEqual([]);
  });

  it("says where a broken entry is broken", async () => {
    const { project, studio, page } = await visitRows([chat("a", "b")]);
    project.write("src/arkor/index.ts", `const answer = ;\n${localEntry()}`);
    await page.goto(`${studio.origin}/#/dataset`);
    await page.getByRole("alert").getByText("src/arkor/index.ts:1:").waitFor();
    const answer = await studio.api("/api/dataset");
    expect([answer.status, (await answer.json()).location.file]).toEqual([
      400,
      "src/arkor/index.ts",
    ]);
    project.write("src/arkor/index.ts", localEntry());
    await page.getByRole("region", { name: "Text of Line 1" }).waitFor();
  });
});

it("the API gives the rows that are asked for, and names what is wrong with a question", async () => {
  const project = localProject([chat("a", "b"), chat("c", "d"), chat("e", "f")]);
  const { api } = await startStudio(project, LOCAL);
  const answer = await (await api("/api/dataset?offset=1&limit=1")).json();
  expect(answer).toMatchObject({ offset: 1, totals: { rows: 3 } });
  expect(answer.rows).toMatchObject([{ source: { unit: "line", number: 2 }, cutTokens: 0 }]);
  for (const [query, error] of [
    ["limit=0", /^limit must be a whole number from 1 to 100/],
    ["offset=x", /^offset must be a whole number/],
  ] as const) {
    const refused = await api(`/api/dataset?${query}`);
    expect([refused.status, (await refused.json()).error]).toEqual([
      400,
      expect.stringMatching(error),
    ]);
  }
});

it("in the cloud there is no entry for it, and its address says why", async () => {
  const cloud = await StudioCloud.forTest();
  const { studio, page, complaints, go } = await visit(open, cloud);
  await page.getByText("in the cloud").waitFor();
  expect(await page.getByRole("link", { name: "Dataset" }).count()).toBe(0);
  await go("#/dataset");
  await heading(page, "Dataset").waitFor();
  await page.getByText("arkor dev --local").waitFor();
  const answer = await studio.api("/api/dataset");
  expect([answer.status, await answer.json()]).toEqual([
    404,
    {
      error: "Runs are in the cloud, not on this machine. This needs `arkor dev --local`.",
    },
  ]);
  expectQuiet(cloud, complaints);
});

it("a dataset that the backend can't be asked about is said", async () => {
  const studio = await cloudStudio(await StudioCloud.forTest());
  const { page } = await open();
  await page.goto(studio.link);
  await heading(page, "Overview").waitFor();
  studio.running.kill("SIGTERM");
  await studio.running.exit;
  await page.goto(`${studio.origin}/#/dataset`).catch(() => {});
  await page.getByText("Offline.").waitFor();
});
