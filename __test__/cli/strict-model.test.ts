// A model that isn't on this machine: the warning that another one replaces it, and when that's an error instead.
// Uses the real local backend.
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { Machine } from "../support/engine.ts";
import { handMadeTrainer, Project } from "../support/project.ts";
import { entry, jobOf } from "../support/real-run.ts";
import { arkorAt } from "../support/terminal.ts";

const MODEL = "unsloth/gemma-4-E4B-it";
const OFFLINE = { HF_HUB_OFFLINE: "1" };
const RUN = entry({ maxSteps: 2, saveSteps: 2 }, { asks: false });
const REFUSED = /^error: model: unsloth\/gemma-4-E4B-it is not on this machine, .*--strict-model/m;

const project = (source = RUN) => new Project({ "src/arkor/index.ts": source });

describe("a model that isn't here", () => {
  it("is replaced with one warning, which says how to train it", async () => {
    const asking = project(entry({ maxSteps: 2, saveSteps: 2 }, { asks: true }));
    const { code, stdout, stderr } = await arkor(
      ["start", "--local"],
      asking.at(undefined, OFFLINE),
    ).exit;
    expect(code).toBe(0);
    expect(stderr.match(/stands in/g)).toHaveLength(1);
    const at = stderr.indexOf("warning: ");
    expect(stderr.slice(at).split("\n").slice(0, 3)).toEqual([
      `warning: arkor-tiny stands in for ${MODEL}, which is not on this machine, and HF_HUB_OFFLINE is set.`,
      `  It shows that your data and callbacks work, and no more. To train ${MODEL}, unset HF_HUB_OFFLINE or pass its directory with --base-model DIR. --strict-model makes this an error.`,
      "Training real",
    ]);
    expect(stdout).toContain("finished with status=completed\n");
  });

  it("is warned of in yellow, and no line is wider than the terminal", async () => {
    const terminal = arkorAt(["start", "--local"], {
      ...project().at(undefined, OFFLINE),
      columns: 60,
    });
    expect(await terminal.exit).toBe(0);
    expect(terminal.raw).toContain("\u001b[1m\u001b[33mwarning:\u001b[39m\u001b[22m arkor-tiny");
    const { lines } = terminal;
    const at = lines.findIndex((line) => line.startsWith("warning:"));
    const notice = lines.slice(at, lines.indexOf("Training real"));
    expect(notice.length).toBeGreaterThan(4);
    expect(notice.filter((line) => line.length > 59)).toEqual([]);
  });

  it.each([
    [["--strict-model"], {}],
    [[], { CI: "true" }],
    [[], { CI: "1" }],
    [["--dry-run", "--no-strict-model", "--strict-model"], {}],
  ])("is an error with %j and %j, before a job is made", async (flags, env) => {
    const here = project();
    const { code, stdout, stderr } = await arkor(
      ["start", "--local", ...flags],
      here.at(undefined, { ...OFFLINE, ...env }),
    ).exit;
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toMatch(REFUSED);
    for (const way of ["--base-model", "arkor engine install torch", "--no-strict-model"]) {
      expect(stderr).toContain(way);
    }
    expect(readdirSync(here.path(".arkor/local/jobs"))).toEqual([]);
  });

  it.each([
    [["--no-strict-model"], { CI: "true" }],
    [[], { CI: "false" }],
  ])("is replaced with %j and %j", async (flags, env) => {
    const at = project().at(undefined, { ...OFFLINE, ...env });
    const { code, stderr } = await arkor(["start", "--local", ...flags], at).exit;
    expect(code).toBe(0);
    expect(stderr).toContain("warning: arkor-tiny stands in");
  });

  it("is an error for whoever asks the strict backend of another command", async () => {
    const here = project();
    const serving = arkor(["local", "--strict-model"], here.at(undefined, OFFLINE));
    await serving.until("stdout", /Ctrl-C ends it/);
    const { code, stderr } = await arkor(["start", "--local"], here.at(undefined)).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(REFUSED);
    serving.kill("SIGINT");
    expect((await serving.exit).code).toBe(0);
  });
});

it("arkor-tiny by its name is no stand-in, in CI neither", async () => {
  const named = project(RUN.replace(MODEL, "arkor-tiny"));
  const at = named.at(undefined, { ...OFFLINE, CI: "true" });
  const { code, stdout, stderr } = await arkor(["start", "--local"], at).exit;
  expect(stderr).not.toContain("stands in");
  expect(stdout).toContain(`Job ${jobOf(stdout)} finished with status=completed\n`);
  expect(code).toBe(0);
});

it.each([
  [["start", "--strict-model"], "--strict-model is for the local backend; add --local."],
  [["dev", "--strict-model"], "--strict-model is for the local backend; add --local."],
])("%j is refused", async (args, message) => {
  const at = project(handMadeTrainer()).at(undefined);
  const { code, stderr } = await arkor(args, at).exit;
  expect(stderr).toBe(`error: ${message}\n`);
  expect(code).toBe(1);
});

it("the local backend is started as the flag and CI say", async () => {
  const machine = new Machine([], { "src/arkor/index.ts": handMadeTrainer() });
  const strict = async (flags: string[], env: Record<string, string>) => {
    const { stderr } = await machine.run(["start", "--local", ...flags], env).exit;
    return JSON.parse(stderr.match(/fake: (\{.*\})/)?.[1] ?? "{}")["strict-model"];
  };
  expect(await strict([], {})).toBeUndefined();
  expect(await strict([], { CI: "yes" })).toBe(true);
  expect(await strict(["--no-strict-model"], { CI: "yes" })).toBeUndefined();
  expect(await strict(["--strict-model"], {})).toBe(true);
});
