// What the scripts and routes of the docs do when something is wrong, beyond what their pages show.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { execute } from "../../scripts/try/project.mjs";
import { directoryOf, fileOf } from "../support/docs-project.ts";
import { ALL_BLOCKS } from "../support/markdown.ts";

/** Compiles a page's file to JavaScript. Returns the path. */
function built(page: string, name: string): string {
  const block = ALL_BLOCKS.find((one) => one.page === page && one.file === name);
  if (!block) throw new Error(`${page} has no ${name}`);
  const outfile = fileOf(block).replace(/\.m?ts$/, ".test.mjs");
  buildSync({
    entryPoints: [fileOf(block)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    target: "node20",
  });
  return outfile;
}

describe("the script for CSV", () => {
  const page = "docs/data-formats.md";
  const cwd = directoryOf(page);
  const outputs = ["data/triage.jsonl", "data/triage.heldout.jsonl"].map((name) =>
    path.join(cwd, name),
  );
  const convert = (csv: string) => {
    writeFileSync(path.join(cwd, "data/tickets.csv"), csv);
    for (const file of outputs) rmSync(file, { force: true });
    return execute(cwd, [process.execPath, built(page, "from-csv.mts")]);
  };

  it.each([
    ["a column that isn't there", "subject,body\na,b\n", 'no column "team"; found: subject, body'],
    ["no rows", "subject,body,team\n", "no rows"],
    ["an empty file", "", "no rows"],
    ["an answer that's empty", "subject,body,team\na,b,\n", "row 1 has no question or no answer"],
    ["one question only", "subject,body,team\na,b,c\nA,b,c\n", "all rows are the same, so none"],
  ])("refuses %s", async (_, csv, message) => {
    const { code, output } = await convert(csv);
    expect(output).toContain(`data/tickets.csv: ${message}`);
    expect(code).toBe(1);
    expect(outputs.some((file) => existsSync(file))).toBe(false);
  });

  it("joins two columns, and keeps equal questions on one side", async () => {
    const rows = Array.from({ length: 60 }, (_, index) => `Subject,Body ${index % 30},billing\n`);
    const { code, output } = await convert(`subject,body,team\n${rows.join("")}`);
    expect(code, output).toBe(0);
    const [train = [], heldOut = []] = outputs.map((file) =>
      readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line): string => JSON.parse(line).messages[0].content),
    );
    expect([train.length, heldOut.length]).toEqual([54, 6]);
    expect(train).toContain("Subject\n\nBody 1");
    expect(heldOut.filter((question) => train.includes(question))).toEqual([]);
  });
});

describe("an app that asks for a label", () => {
  const page = "docs/recipes.md";

  /** A deployment that answers with this text, and the requests that it has received. */
  async function deployment(text: string) {
    const bodies: Record<string, unknown>[] = [];
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      bodies.push(JSON.parse(Buffer.concat(chunks).toString()));
      const message = { role: "assistant", content: text };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ choices: [{ index: 0, message, finish_reason: "stop" }] }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const close = () => new Promise((resolve) => server.close(resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}/e/tickets/v1`, bodies, close };
  }

  /** Imports a module of the page, which reads MODEL_URL when it's imported. */
  async function imported(name: string, url: string) {
    vi.stubEnv("MODEL_URL", url);
    vi.stubEnv("MODEL_KEY", "ark_key");
    onTestFinished(() => void vi.unstubAllEnvs());
    return import(`${pathToFileURL(built(page, name))}?${encodeURIComponent(url)}`);
  }

  async function post(url: string, body: string) {
    const { POST } = await imported("app/api/tickets/route.ts", url);
    const request = new Request("http://app.example/api/tickets", { method: "POST", body });
    const response: Response = await POST(request);
    return { status: response.status, body: await response.json() };
  }
  const ticket = JSON.stringify({ ticket: "Where is my parcel?" });
  const choice = ["account", "billing", "delivery", "feedback", "technical"];

  it("gets it from the route, which allows no other answer", async () => {
    const { url, bodies } = await deployment("delivery");
    expect(await post(url, ticket)).toEqual({ status: 200, body: { team: "delivery" } });
    expect(bodies).toMatchObject([{ structured_outputs: { choice }, temperature: 0 }]);
  });

  it("gets it from OpenAI's client", async () => {
    const { url, bodies } = await deployment("billing");
    const { teamOf } = await imported("team.ts", url);
    expect(await teamOf("I was charged twice.")).toBe("billing");
    expect(bodies).toMatchObject([{ structured_outputs: { choice }, temperature: 0 }]);
  });

  it("gets a 502 if the model is down or says something else", async () => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => errors.mockRestore());
    const failed = { status: 502, body: { error: "the model gave no answer" } };
    const chatty = await deployment("Your parcel is on its way.");
    expect(await post(chatty.url, ticket)).toEqual(failed);
    const down = await deployment("");
    await down.close();
    expect(await post(down.url, ticket)).toEqual(failed);
    expect(errors).toHaveBeenCalledTimes(2);
  });

  it.each(["not JSON", "null", "{}", '{"ticket":" "}'])("gets a 400 for %s", async (body) => {
    const { url, bodies } = await deployment("delivery");
    expect((await post(url, body)).status).toBe(400);
    expect(bodies).toEqual([]);
  });
});
