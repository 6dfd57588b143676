// The snippets on the page are copied and run unchanged, against the local backend.
import { execFile } from "node:child_process";
import { chmodSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { ROOT } from "../support/command.ts";
import type { Project } from "../support/project.ts";
import { browserForTests } from "./support/browser.ts";
import { localEntry, localProject } from "./support/local-project.ts";
import { type Studio, startStudio } from "./support/studio.ts";

const open = browserForTests();
const run = promisify(execFile);
const PERMISSIONS = { permissions: ["clipboard-read", "clipboard-write"] };

/** A stand-in for machines without curl, with the options that the snippets use. */
const CURL = `#!/usr/bin/env node
const [url, ...args] = process.argv.slice(2);
const after = (flag) => args.flatMap((arg, at) => (arg === flag ? [args[at + 1]] : []));
const headers = after("-H").map((header) => header.split(/: (.*)/).slice(0, 2));
fetch(url, { method: "POST", headers, body: after("-d")[0] })
  .then((answer) => answer.text())
  .then((text) => process.stdout.write(text));
`;

async function localStudio() {
  const studio = await startStudio(localProject(), { args: ["--port", "0", "--local"] });
  const { page, complaints } = await open(PERMISSIONS);
  await page.goto(studio.link);
  return { studio, page, complaints };
}

async function copied(page: Page, button: string): Promise<string> {
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const text = await page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: button, exact: true }).waitFor();
  return text;
}

/** The output of a shell command. It uses the system's curl if there is one. */
async function shell(project: Project, command: string, env: Record<string, string> = {}) {
  project.write("bin/curl", CURL);
  chmodSync(project.path("bin/curl"), 0o755);
  const PATH = [process.env.PATH, project.path("bin")].join(path.delimiter);
  const options = { env: { ...process.env, PATH, HOME: project.home, ...env } };
  return (await run("sh", ["-c", command], options)).stdout;
}

const textOf = (completion: string): string => JSON.parse(completion).choices[0].message.content;

async function ask(page: Page, studio: Studio, question: string): Promise<string> {
  await page.goto(`${studio.origin}/#/playground?adapter=base:arkor-tiny`);
  await page.getByLabel("System prompt").fill("It's brief.");
  await page.getByLabel("Temperature").fill("0");
  await page.getByLabel("Max tokens").fill("8");
  await page.getByLabel("Message", { exact: true }).fill(question);
  await page.getByRole("button", { name: "Send message", disabled: false }).click();
  await page.getByText(/tokens\/s/).waitFor();
  const text = await page.locator(".message[data-role=assistant] .message-text").textContent();
  return text ?? "";
}

it("the playground's curl and OpenAI client get the answer that the page got", async () => {
  const { studio, page, complaints } = await localStudio();
  const answer = await ask(page, studio, `Say 'it' for "$HOME" \\ \`x\``);
  expect(answer).not.toBe("");
  expect(textOf(await shell(studio.project, await copied(page, "curl")))).toBe(answer);

  const code = await copied(page, "OpenAI client");
  const [, address] = /^\/\/ OPENAI_BASE_URL: (\S+)$/m.exec(code) ?? [];
  const { token } = JSON.parse(studio.project.read(".arkor/local/server.json"));
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code], {
    cwd: ROOT,
    env: { ...process.env, OPENAI_BASE_URL: address, OPENAI_API_KEY: token },
  });
  expect(stdout).toBe(`${answer}\n`);
  expect(complaints).toEqual([]);
});

it("the playground's infer code asks a checkpoint from a callback", async () => {
  const { studio, page } = await localStudio();
  await ask(page, studio, "It's `late`");
  const code = await copied(page, "infer");
  const [imports = "", inCallback = ""] = code.split("// in onCheckpoint({ infer })");
  const callback = `async ({ infer }) => {
    const console = { log: (text: string) => process.stdout.write("ANSWER " + typeof text + "\\n") };
    ${inCallback}
  }`;
  const more = `maxSteps: 1, callbacks: { onCheckpoint: ${callback} }`;
  studio.project.write("src/arkor/index.ts", `${imports}${localEntry(more)}`);
  const started = await studio.api("/api/train", { method: "POST", body: "{}" });
  const output = await started.text();
  expect(output).toMatch(/^ANSWER string$/m);
  expect(output).toMatch(/exit=0\n$/);
});

it("an endpoint's curl works with its key", async () => {
  const { studio, page } = await localStudio();
  const target = { kind: "base_model", baseModel: "arkor-tiny" };
  const post = (at: string, body: object) =>
    studio.api(at, { method: "POST", body: JSON.stringify(body) });
  const made = await post("/api/deployments", { slug: "it", target, authMode: "fixed_api_key" });
  const { deployment } = await made.json();
  const { key } = await (
    await post(`/api/deployments/${deployment.id}/keys`, { label: "a" })
  ).json();
  await page.goto(`${studio.origin}/#/endpoints`);
  const command = await copied(page, "Copy");
  const env = { ARKOR_ENDPOINT_KEY: key.plaintext };
  expect(textOf(await shell(studio.project, command, env))).toEqual(expect.any(String));
  expect(JSON.parse(await shell(studio.project, command)).error.code).toBe("invalid_api_key");
});
