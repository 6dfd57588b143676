// A file of this machine as the dataset: refused for the cloud before anything is sent, handed to a
// local backend as a URL.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { Backend, rejection } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";

const LOCAL = {
  mode: "anon",
  token: "t",
  anonymousId: "local",
  orgSlug: "local",
  arkorCloudApiUrl: "",
} as const;

const entry = (dataset: object) => `
  import { createTrainer } from "arkor";
  export const trainer = createTrainer({ name: "run", model: "m", dataset: ${JSON.stringify(dataset)} });`;

describe("for the cloud", () => {
  it.each([
    { type: "blob", url: "file:///data.jsonl" },
    { type: "blob", url: " FILE:/data.jsonl" },
    { type: "file", path: "/data.jsonl" },
  ])(
    "%j was refused by the backend only, after an identity and a project were made",
    async (dataset) => {
      const backend = await Backend.start();
      const project = new Project({ "src/arkor/index.ts": entry(dataset) });
      const { code, stdout, stderr } = await arkor(["start"], project.at(backend)).exit;
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toBe(
        "error: dataset: /data.jsonl is a file of this machine, which the cloud can't read. Train here " +
          "with `arkor start --local`, or give a URL that the backend can reach.\n",
      );
      expect(backend.requests).toEqual([]);
      expect(existsSync(project.credentials)).toBe(false);
      expect(project.has(".arkor/state.json")).toBe(false);
    },
  );

  it("it can be tried again once the dataset is another", async () => {
    const backend = await Backend.start();
    // biome-ignore lint/suspicious/noExplicitAny: changed below
    const dataset: any = { type: "blob", url: "file:///data.jsonl" };
    const trainer = backend.trainer({ dataset });
    expect(await rejection(trainer.start())).toBeInstanceOf(Error);
    dataset.url = "https://data.test/rows.jsonl";
    expect(await trainer.start()).toEqual({ jobId: "job-1" });
  });
});

describe("for a local backend", () => {
  const submitted = (backend: Backend) =>
    JSON.parse(backend.to("POST /v1/jobs")[0]?.body ?? "null").config.datasetSource;

  it("a path leads from the project's directory", async () => {
    const backend = await Backend.start();
    const dataset = { type: "file", path: "data/rows 1.jsonl" } as const;
    await backend.trainer({ dataset }, { credentials: LOCAL }).start();
    const file = path.join(backend.directory, "data/rows 1.jsonl");
    expect(submitted(backend)).toEqual({ type: "blob", url: pathToFileURL(file).href });
  });

  it("arkor start --local trains on a path, from a directory below too", async () => {
    const row = {
      messages: [
        { role: "user", content: "q" },
        { role: "assistant", content: "a" },
      ],
    };
    const project = new Project({
      "src/arkor/index.ts": `
        import { createTrainer } from "arkor";
        const dataset = { type: "file", path: "data/rows.jsonl" } as const;
        export const trainer = createTrainer({ name: "run", model: "arkor-tiny", dataset, dryRun: true });`,
      "data/rows.jsonl": `${JSON.stringify(row)}\n`.repeat(4),
    });
    const at = { ...project.at(undefined), cwd: project.path("data") };
    const { code, stdout } = await arkor(["start", "--local"], at).exit;
    expect(stdout).toContain("finished with status=completed\n");
    expect(code).toBe(0);
  });

  it.each([
    ["path", (file: string) => ({ type: "file", path: file }) as const],
    ["url", (file: string) => ({ type: "blob", url: pathToFileURL(file).href }) as const],
  ])("a pipe by its %s hung the run", async (_, datasetOf) => {
    const backend = await Backend.start();
    const pipe = path.join(backend.directory, "rows.jsonl");
    execFileSync("mkfifo", [pipe]);
    const trainer = backend.trainer({ dataset: datasetOf(pipe) }, { credentials: LOCAL });
    await expect(trainer.start()).rejects.toThrow(`dataset: ${pipe} is not a regular file`);
    expect(backend.requests).toEqual([]);
  });

  it.each([
    [{ type: "file" }, "`dataset.path` must be the path of a file"],
    [{ type: "file", path: "" }, "`dataset.path` must be the path of a file"],
    [{ type: "blob", url: "file://elsewhere/rows.jsonl" }, "`dataset.url` names no file"],
  ])("%j is refused by name", async (dataset, message) => {
    const backend = await Backend.start();
    // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
    const trainer = backend.trainer({ dataset: dataset as any }, { credentials: LOCAL });
    await expect(trainer.start()).rejects.toThrow(message);
    expect(backend.requests).toEqual([]);
  });
});
