// What a run begins and ends with, in terminals of 40 and 100 columns, from a backend that says everything
// and from one that says little.
import { existsSync, mkdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Backend, JOB } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { arkorAt } from "../support/terminal.ts";

const CONFIG = {
  model: "acme/small",
  maxSteps: 12_000,
  batchSize: 8,
  datasetSource: { type: "blob", url: "https://data.test/a/rows.jsonl?sig=s3cret" },
};
const METADATA = {
  baseModel: { requested: "acme/small", used: "acme/small", standIn: false, reason: null },
  baseParameters: 134_515_008,
  trainableParameters: 460_800,
  device: "cuda:0",
  engine: "torch",
  dtype: "bfloat16",
  processes: 2,
  totalSteps: 12_000,
  batchSize: 8,
  rows: { train: 54_321, eval: 32 },
  memoryBytes: 1_500_000_000,
};
const ENTRY = `
  import { createTrainer } from "arkor";
  export const trainer = createTrainer({
    name: "tickets", model: "acme/small",
    dataset: { type: "blob", url: "https://data.test/a/rows.jsonl?sig=s3cret" },
  });
`;

async function project(metadata: object, config: object = CONFIG) {
  const backend = await Backend.start((stream) => {
    const job = { ...JOB, name: "tickets\u001b[2J", config };
    stream.event("training.started", { job, metadata }, 1);
    stream.log(2, { step: 1, loss: 8.7, evalLoss: 8.5 });
    stream.log(3, { step: 12_000, loss: 0.0421, evalLoss: Number.NaN });
    stream.completed(4);
  });
  backend.on("POST /v1/jobs", (_, response) => {
    response.writeHead(201, { "content-type": "application/json" });
    response.end(JSON.stringify({ job: { ...JOB, name: "tickets\u001b[2J", config } }));
  });
  const made = new Project({ "src/arkor/index.ts": ENTRY }).signIn(backend);
  return { backend, made, host: new URL(backend.url).host };
}

describe("a run", () => {
  it("says what trains where, and what came of it", async () => {
    const { backend, made, host } = await project(METADATA);
    const terminal = arkorAt(["start"], { ...made.at(backend), columns: 100 });
    expect(await terminal.exit).toBe(0);
    expect(terminal.lines).toEqual([
      "Started job job-1",
      "Training tickets\ufffd[2J",
      "  model   acme/small, 134.5M parameters, and 460,800 in the adapter",
      `  device  ${host}: cuda:0, torch engine, bfloat16, 2 processes`,
      "  data    rows.jsonl, 54,321 rows to train, 32 to evaluate",
      "  steps   12,000 of 8 rows",
      "  memory  about 1.5 GB",
      "Job job-1 finished with status=completed",
      "Summary",
      // From the backend's `startedAt` to its `completedAt`.
      "  time       90d00h",
      "  loss       8.700 → 0.042",
      "  eval loss  8.500",
      "Next",
      "  ask it    arkor chat job-1",
      "  all runs  arkor jobs",
    ]);
  });

  it("breaks lines between words in a window of 40 columns, and keeps commands whole", async () => {
    const { backend, made } = await project(METADATA);
    const terminal = arkorAt(["start"], { ...made.at(backend), columns: 40 });
    expect(await terminal.exit).toBe(0);
    const lines = terminal.lines.slice(terminal.lines.indexOf("Training tickets\ufffd[2J"));
    expect(lines.slice(0, 4)).toEqual([
      "Training tickets\ufffd[2J",
      "  model   acme/small, 134.5M",
      "          parameters, and 460,800 in",
      "          the adapter",
    ]);
    expect(lines.filter((line) => line.length > 40)).toEqual([]);
  });

  it("warns of rows that aren't trained", async () => {
    const rows = { train: 72, eval: 8, withoutTarget: 80 };
    const maxLength = { requested: 256, used: 256 };
    const { backend, made } = await project({ ...METADATA, rows, maxLength });
    const { stderr } = await arkor(["start"], made.at(backend)).exit;
    expect(stderr.split("\n").slice(0, 2)).toEqual([
      "warning: 80 of 160 rows are left out: they have nothing to train within maxLength, 256 tokens.",
      "  Set a larger maxLength, or shorten their prompts.",
    ]);
    const baseModel = { requested: "arkor-tiny", used: "arkor-tiny", standIn: false };
    const small = await project({ ...METADATA, rows, maxLength, baseModel });
    const said = await arkor(["start"], small.made.at(small.backend)).exit;
    expect(said.stderr).toContain("256 tokens (for arkor-tiny, a token is a byte).\n");
  });

  it("says what the config has when the backend says nothing", async () => {
    const { backend, made, host } = await project({});
    const { stderr } = await arkor(["start"], made.at(backend)).exit;
    expect(stderr.split("\n").slice(0, 5)).toEqual([
      "Training tickets\ufffd[2J",
      "  model   acme/small",
      `  device  ${host}`,
      "  data    rows.jsonl",
      "  steps   12,000 of 8 rows",
    ]);
    expect(stderr).not.toContain("s3cret");
  });

  it("of --base-model says which model it's trained instead of", async () => {
    const baseModel = { requested: "acme/small", used: "/models/m", standIn: true, reason: "r" };
    const { backend, made } = await project({ ...METADATA, baseModel });
    const { stderr } = await arkor(["start"], made.at(backend)).exit;
    expect(stderr).toContain("  model   /models/m (--base-model), not acme/small, 134.5M");
    expect(stderr).not.toContain("warning:");
  });

  it.each([
    ["npm/11.0.0 node/v24.0.0", "npx arkor"],
    ["pnpm/11.0.0 npm/? node/v24.0.0", "pnpm exec arkor"],
    ["yarn/4.1.0 npm/? node/v24.0.0", "yarn arkor"],
    ["bun/1.2.0 npm/? node/v24.0.0", "bunx arkor"],
    ["other/1.0.0", "arkor"],
  ])("started by %s names the next commands as it runs them: %s", async (agent, command) => {
    const { backend, made } = await project({ ...METADATA });
    const at = made.at(backend, { npm_config_user_agent: agent });
    const { stderr } = await arkor(["start"], at).exit;
    expect(stderr).toContain(`\n  ask it    ${command} chat job-1\n`);
    expect(stderr).toContain(`\n  all runs  ${command} jobs\n`);
  });

  it("that is attached to says the same, and where the adapter of a local one is", async () => {
    const { backend, made } = await project(METADATA);
    const adapter = `.arkor/local/jobs/${JOB.id}/adapter`;
    mkdirSync(made.path(adapter), { recursive: true });
    const at = made.at(backend, { ARKOR_LOCAL_TOKEN: "token" });
    const { stdout, stderr } = await arkor(["attach", JOB.id], at).exit;
    expect(existsSync(made.credentials)).toBe(true);
    expect(stdout).toContain(`Adapter: ${adapter}\n`);
    expect(stderr).toContain(
      "  device  this machine: cuda:0, torch engine, bfloat16, 2 processes\n",
    );
    // When signed in to the cloud, `--local` is needed to name a run on this machine.
    expect(stderr).toContain("  ask it    arkor chat job-1 --local\n");
    expect(stderr).toContain("  use it    arkor export job-1 --to model --format ollama\n");
  });
});
