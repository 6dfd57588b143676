// `arkor start --local` with the torch engine: the same project, callbacks and adapters.
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it, vi } from "vitest";
import { arkor, isAlive } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { entry, jobOf } from "../support/real-run.ts";
import { serveModel } from "./hub.ts";
import { folder, makeModel, PYTHON, pythonsBelow, ranksBelow, stepsOf, upTo } from "./python.ts";

const GEMMA = "unsloth/gemma-4-E4B-it";

it("trains Gemma 4 from the Hub, which the CPU engine can't, and asks its checkpoint", async () => {
  const hub = await serveModel(GEMMA, makeModel(path.join(folder(), "gemma"), "gemma4"));
  const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 4, saveSteps: 2 }) });
  const env = { HF_ENDPOINT: hub, HF_HOME: folder(), HF_HUB_OFFLINE: undefined };
  const args = ["start", "--local", "--python", PYTHON];
  const { code, stdout, stderr } = await arkor(args, project.at(undefined, env)).exit;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  expect(stepsOf(stdout)).toEqual(upTo(4));
  expect(stdout.match(/^checkpoint=.*$/gm)).toEqual([
    "checkpoint=2 answer=string",
    "checkpoint=4 answer=string",
  ]);
  const job = `.arkor/local/jobs/${jobOf(stdout)}`;
  const config = JSON.parse(
    readFileSync(project.path(`${job}/adapter/adapter_config.json`), "utf8"),
  );
  expect(config.base_model_name_or_path).toBe(GEMMA);
  const events = project.read(`${job}/events.jsonl`);
  expect(events).toContain('"engine":"torch"');
  expect(events).toContain('"modelClass":"Gemma4ForConditionalGeneration"');
});

it("two processes train; one is killed, and the run goes on, each event once", async () => {
  const steps = { maxSteps: 1000, saveSteps: 100 };
  const project = new Project({ "src/arkor/index.ts": entry(steps, { asks: false }) });
  const base = makeModel(path.join(folder(), "llama"), "llama");
  const args = ["start", "--local", "--python", PYTHON, "--base-model", base, "--workers", "2"];
  const running = arkor(args, project.at(undefined, { HF_HUB_OFFLINE: "1" }));
  await running.until("stdout", /^checkpoint=100$/m);
  const [rank] = ranksBelow(running.pid).slice(-1);
  process.kill(rank, "SIGKILL");
  const { code, stdout, stderr } = await running.exit;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  expect(stepsOf(stdout)).toEqual(upTo(1000));
  expect(stdout.match(/^completed$/gm)).toHaveLength(1);
  expect(project.read(`.arkor/local/jobs/${jobOf(stdout)}/events.jsonl`)).toContain(
    '"training.resumed"',
  );
});

it("leaves no process behind when the backend is killed", async () => {
  const project = new Project({ "src/arkor/index.ts": entry({ maxSteps: 9000, saveSteps: 9000 }) });
  const base = makeModel(path.join(folder(), "llama"), "llama");
  const args = ["local", "--python", PYTHON, "--base-model", base, "--workers", "2"];
  const local = arkor(args, project.at(undefined, { HF_HUB_OFFLINE: "1" }));
  await local.until("stdout", /Ctrl-C ends it/);
  const running = arkor(["start", "--local"], project.at(undefined));
  await running.until("stdout", /^step=2 /m);
  const server = JSON.parse(project.read(".arkor/local/server.json"));
  const pythons = pythonsBelow(server.pid);
  expect(pythons.length).toBeGreaterThan(3);
  process.kill(server.pid, "SIGKILL");
  await vi.waitFor(() => expect(pythons.filter(isAlive)).toEqual([]), { timeout: 5000 });
  running.kill("SIGINT");
});
