// A run on the local backend that's killed with -9 at ten random moments, five times over. A trainer of the
// SDK is connected all along. The callbacks must see each step once, in order, with the losses of a run that
// was never interrupted, to the bit.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { createTrainer, type TrainerInput } from "../../index.js";
import { CREDENTIALS } from "../support/backend.ts";
import { ROOT } from "../support/process.ts";

const ROUNDS = 5;
const KILLS = 10;
const TOKEN = "t0ken";
/** The longest time between two kills. A run takes longer than ten times this. */
const LONGEST_LIFE_MS = 600;

interface Server {
  url: string;
  child: ChildProcess;
}

async function start(store: string, port = 0): Promise<Server> {
  const binary = path.join(ROOT, "local/bin/arkor-local");
  const child = spawn(binary, ["--store", store, "--port", String(port)], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, ARKOR_LOCAL_TOKEN: TOKEN, HF_HUB_OFFLINE: "1" },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [line] = await once(createInterface(child.stdout), "line");
  return { url: JSON.parse(line).url, child };
}

async function kill({ child }: Server) {
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}

/** A generator with a seed, so that the random moments are the same in every run of the test. */
function random(seed: number) {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** The dataset's address. */
async function serve(rows: string) {
  const server = http.createServer((_, response) => void response.end(rows)).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/rows.jsonl`;
}

function run(url: string, dataset: string) {
  const seen: string[] = [];
  const callbacks: TrainerInput["callbacks"] = {
    onStarted: () => void seen.push("started"),
    onLog: ({ step, loss, evalLoss }) => void seen.push(`log ${step} ${loss} ${evalLoss}`),
    onCheckpoint: ({ step }) => void seen.push(`checkpoint ${step}`),
    onCompleted: () => void seen.push("completed"),
    onFailed: ({ error }) => void seen.push(`failed ${error}`),
  };
  const config: TrainerInput = {
    name: "killed",
    model: "arkor-tiny",
    dataset: { type: "blob", url: dataset },
    lora: { r: 4, alpha: 8 },
    maxSteps: 600,
    batchSize: 4,
    learningRate: 3e-3,
    weightDecay: 0.01,
    saveSteps: 20,
    evalSteps: 20,
    loggingSteps: 3,
    callbacks,
  };
  const credentials = { ...CREDENTIALS, token: TOKEN };
  const trainer = createTrainer(config, { baseUrl: url, credentials, reconnectDelayMs: 20 });
  return { trainer, seen };
}

it("resumes to the bit after ten kills, five times over", async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "arkor-kill-"));
  onTestFinished(() => fs.rmSync(dir, { recursive: true, force: true }));
  const row = (at: number) => JSON.stringify({ text: `row ${at}: the quick brown fox jumps` });
  const rows = await serve(Array.from({ length: 60 }, (_, at) => row(at)).join("\n"));

  let server = await start(path.join(dir, "store"));
  const port = Number(new URL(server.url).port);
  const whole = run(server.url, rows);
  await whole.trainer.wait();

  for (let round = 1; round <= ROUNDS; round++) {
    const next = random(round);
    const { trainer, seen } = run(server.url, rows);
    await trainer.start();
    const waiting = trainer.wait();
    for (let at = 0; at < KILLS; at++) {
      // This delay makes the moment of the kill random. It doesn't wait for anything to happen.
      await delay(next() * LONGEST_LIFE_MS);
      await kill(server);
      server = await start(path.join(dir, "store"), port);
    }
    const { job } = await waiting;
    expect(seen, `round ${round}`).toEqual(whole.seen);
    const log = path.join(dir, "store/jobs", job.id, "events.jsonl");
    const resumed = fs.readFileSync(log, "utf8").split("training.resumed").length - 1;
    // A kill can come before the first step, or while the server starts. Most hit the run.
    expect(resumed).toBeGreaterThan(KILLS / 2);
    console.log(
      `round ${round}: resumed ${resumed} times, ${seen.length} events as in the whole run`,
    );
  }
  await kill(server);
});
