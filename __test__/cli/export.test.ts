// `arkor export`, with a stand-in for `arkor-local export`.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { arkor, ROOT } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { arkorAt } from "../support/terminal.ts";

const JOB = "job_0a1b";
const FAKE = path.join(ROOT, "__test__/support/fake-export.mjs");

function withJob(env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const record = JSON.stringify({ id: JOB, name: "My Triage", status: "completed" });
  const project = new Project({ [`.arkor/local/jobs/${JOB}/job.json`]: record, ...files });
  const args = project.path("args.json");
  const at = project.at(undefined, { ARKOR_LOCAL_BIN: FAKE, FAKE_ARGS: args, ...env });
  const passed = () => JSON.parse(project.read("args.json")) as string[];
  return { project, at, passed };
}

const SIZES = (file: string) =>
  `Exported to out (6.0 MB):\n  ${file}  6.0 MB\n  config.json  0.9 kB\n`;

describe("arkor export says what was written and how it's loaded", () => {
  it.each([
    [
      ["--format", "peft"],
      "model.safetensors",
      "In Python, with peft and transformers installed:\n" +
        "  from peft import AutoPeftModelForCausalLM\n" +
        '  model = AutoPeftModelForCausalLM.from_pretrained("out")\n' +
        '  # Its tokenizer is that of "owner/base".\n',
    ],
    [
      ["--format", "merged"],
      "model.safetensors",
      "In Python, with transformers installed, or with vLLM:\n" +
        "  from transformers import pipeline\n" +
        '  ask = pipeline("text-generation", model="out")\n\n  vllm serve out\n',
    ],
    [["--format", "gguf"], "model.gguf", "With llama.cpp:\n  llama-cli -m out/model.gguf\n"],
    [
      ["--format", "ollama"],
      "model.safetensors",
      "With Ollama:\n  ollama create my-triage -f out/Modelfile\n  ollama run my-triage\n",
    ],
  ])("%j", async (args, file, how) => {
    const { at } = withJob();
    const { code, stdout, stderr } = await arkor(["export", JOB, "--to", "out", ...args], at).exit;
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${SIZES(file)}\n${how}` });
    expect(stderr).toBe("Exporting. This may take a while.\nThe base was quantised once more.\n");
  });

  it("quotes a folder with a space", async () => {
    const { at } = withJob();
    const args = ["export", JOB, "--to", "my out", "--format", "ollama"];
    expect((await arkor(args, at).exit).stdout).toContain("-f 'my out/Modelfile'\n");
  });
});

describe("what arkor-local is asked for", () => {
  it("the adapter for PEFT, by default", async () => {
    const { project, at, passed } = withJob();
    await arkor(["export", JOB, "--to", "out"], at).exit;
    const store = project.path(".arkor/local");
    expect(passed()).toEqual([
      "--store",
      store,
      "--job",
      JOB,
      "--to",
      project.path("out"),
      "--format",
      "peft",
    ]);
  });

  it.each([
    [
      [JOB, "--format", "gguf"],
      ["--format", "gguf", "--quantize", "q8_0"],
    ],
    [
      [JOB, "--format", "ollama", "--quantize", "f16"],
      ["--format", "ollama", "--quantize", "f16"],
    ],
    [[`${JOB}/50`], ["--format", "peft", "--checkpoint", "50"]],
    [[`${JOB}/checkpoint-50`], ["--format", "peft", "--checkpoint", "50"]],
    [
      [JOB, "--checkpoint", "0"],
      ["--format", "peft", "--checkpoint", "0"],
    ],
  ])("%j", async (args, expected) => {
    const { at, passed } = withJob();
    const { code } = await arkor(["export", ...args, "--to", "out"], at).exit;
    expect(code).toBe(0);
    expect(passed().slice(6)).toEqual(expected);
  });

  it("paths are those of the folder where the user is", async () => {
    const { project, at, passed } = withJob({}, { "src/arkor/index.ts": "", "src/out/old": "" });
    const args = ["export", JOB, "--to", "../out", "--base-model", "base", "--force"];
    const { stdout } = await arkor(args, { ...at, cwd: project.path("src/arkor") }).exit;
    expect(passed().slice(4)).toEqual([
      ...["--to", project.path("src/out"), "--format", "peft"],
      ...["--base-model", project.path("src/arkor/base"), "--force"],
    ]);
    expect(stdout).toContain("Exported to src/out (");
  });
});

describe("without a job", () => {
  const record = (id: string, day: number, more: object = {}) => {
    const createdAt = new Date(Date.UTC(2026, 0, day)).toISOString();
    const job = { id, name: `run ${day}`, status: "completed", createdAt, config: {}, ...more };
    return { [`.arkor/local/jobs/${id}/job.json`]: JSON.stringify(job) };
  };
  const dryRun = { config: { dryRun: true } };

  it("takes the newest completed one that is no dry run, and says which", async () => {
    const { at, passed } = withJob(
      {},
      {
        ...record("job_2", 2),
        ...record("job_3", 3),
        ...record("job_4", 4, { status: "failed" }),
        ...record("job_5", 5, dryRun),
        ".arkor/local/jobs/job_6/job.json": "{",
      },
    );
    const { code, stderr } = await arkor(["export", "--to", "out", "--checkpoint", "5"], at).exit;
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Job job_3 \(run 3\) is exported\.\nExporting\./);
    expect(passed().slice(2, 4)).toEqual(["--job", "job_3"]);
    expect(passed().slice(-2)).toEqual(["--checkpoint", "5"]);
  });

  it("takes a dry run where there's nothing else, and says so", async () => {
    const project = new Project(record("job_5", 5, dryRun));
    const env = { ARKOR_LOCAL_BIN: FAKE, FAKE_ARGS: project.path("args.json") };
    const { stderr } = await arkor(["export", "--to", "out"], project.at(undefined, env)).exit;
    expect(stderr).toMatch(
      /^Job job_5 \(run 5\), a dry run, is exported: no other job is completed\.\n/,
    );
  });

  it.each([
    ["No run of this project is on this machine. Train here: arkor start --local", {}],
    [
      "No local job of this project is completed. Name a checkpoint of one: arkor export <job>/<step>",
      record("job_4", 4, { status: "failed" }),
    ],
  ])("is refused where none is completed: %s", async (message, files) => {
    const project = new Project(files as Record<string, string>);
    const { code, stderr } = await arkor(["export", "--to", "out"], project.at(undefined)).exit;
    expect({ code, stderr }).toEqual({ code: 1, stderr: `error: ${message}\n` });
    expect(project.has("out")).toBe(false);
  });
});

describe("is refused before anything starts", () => {
  const cloud = JSON.stringify({ orgSlug: "o", projectSlug: "p", projectId: "i" });
  it.each([
    [[JOB], {}, "required option '--to <dir>' not specified"],
    [
      [JOB, "--to", "out", "--quantize", "f16"],
      {},
      "--quantize is for --format gguf and ollama, not for peft. Leave it out.",
    ],
    [
      [`${JOB}/5`, "--to", "out", "--checkpoint", "6"],
      {},
      `${JOB}/5 names a checkpoint already. Leave --checkpoint out.`,
    ],
    [
      ["job_9", "--to", "out"],
      {},
      "There is no job job_9 on this machine. To list the local jobs: arkor jobs --local",
    ],
    [
      ["../job", "--to", "out"],
      { ".arkor/state.json": cloud },
      "There is no job ../job on this machine. A job in the cloud can't be exported: its adapter stays there. " +
        "To list the local jobs: arkor jobs --local",
    ],
    [
      [JOB, "--to", "out"],
      { "out/old": "" },
      "--to: OUT isn't empty. Name another folder, or add --force to replace files in it.",
    ],
    [[JOB, "--to", "out"], { out: "" }, "--to: OUT is a file. Name a folder."],
  ])("%j %j", async (args, files, message) => {
    const { project, at } = withJob({}, files as Record<string, string>);
    const { code, stdout, stderr } = await arkor(["export", ...args], at).exit;
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: "",
      stderr: `error: ${message.replace("OUT", project.path("out"))}\n`,
    });
    expect(project.has("args.json")).toBe(false);
  });
});

describe("an export that fails", () => {
  it.each([
    ["fails", "--format gguf: the base has no tokenizer\ufffd[31m"],
    ["silent", "arkor-local export ended with code 1 and said nothing."],
  ])("%s: one line, and 1", async (mode, message) => {
    const { at } = withJob({ FAKE_EXPORT: mode });
    const { code, stdout, stderr } = await arkor(["export", JOB, "--to", "out"], at).exit;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe(`Exporting. This may take a while.\nerror: ${message}\n`);
  });

  it("Ctrl-C ends it, with 130", async () => {
    const { at } = withJob({ FAKE_EXPORT: "endless" });
    const terminal = arkorAt(["export", JOB, "--to", "out"], at);
    await terminal.until(/25%/);
    terminal.press("\u0003");
    expect(await terminal.exit).toBe(130);
    expect(terminal.screen).toMatch(/Stopped\. What was written so far may be incomplete\.$/);
  });
});

it.each([40, 80])("at a terminal of %d columns it shows how far it is", async (columns) => {
  const { project, at } = withJob();
  const fifo = project.path("gate");
  execFileSync("mkfifo", [fifo]);
  const env = { ...at.env, FAKE_EXPORT: "half", FAKE_GATE: fifo };
  const terminal = arkorAt(["export", JOB, "--to", "out"], { ...at, env, columns });
  await terminal.until(/1\.5\/6\.0 MB {2}25%/);
  expect(terminal.screen).toContain("model.safe\ufffd[2J");
  writeFileSync(fifo, "");
  expect(await terminal.exit).toBe(0);
  expect(terminal.screen).toContain("Exported to out (6.0 MB):");
  expect(terminal.screen).not.toContain("25%");
});
