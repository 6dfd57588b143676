// Compares exported models with the adapter that they come from: in llama.cpp (the npm package node-llama-cpp,
// installed into target/llama) and, with --python, in transformers and PEFT.
//
//   node local/check/export.mjs [--base DIR]... [--python VENV/bin/python] [--binary PATH] [--steps N]
//
// Trains a short adapter on each base, or on arkor-tiny by default. Exits with status 1 if texts differ that must
// be the same.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
const LLAMA = join(ROOT, "target", "llama");
const VERSION = "3.22.1";
const TOKENS = 32;
const PROMPTS = [
  "What's the capital of Japan?",
  "Write one sentence about 3 cats, 12 dogs and a naïve cow.",
  "Explain in simple words why the sky is blue.",
];
const TEXT = `The harbour was quiet in 1987. Boats came in at dawn, and by 7:30 the market didn't have a single fish
left. "We'll be back tomorrow," said the captain — and they were, with 240 crates of herring.`;
// Texts that tokenizers tend to disagree about.
const TRICKY = [
  TEXT,
  "  two spaces, 3.14159 and 1000000\n\n\tdon't I'LL we've",
  "日本語 naïve café 🎉🎉 \u00a0x",
  "<|im_start|>a<|im_end|>\n",
];

const { values: options } = parseArgs({
  options: {
    base: { type: "string", multiple: true, default: ["arkor-tiny"] },
    binary: { type: "string", default: join(ROOT, "local", "bin", "arkor-local") },
    python: { type: "string" },
    steps: { type: "string", default: "24" },
  },
});

class Backend {
  static async start(store) {
    const backend = new Backend();
    backend.process = spawn(options.binary, ["--store", store, "--with-parent"], {
      env: { ...process.env, HF_HUB_OFFLINE: "1" },
      stdio: ["pipe", "pipe", "ignore"],
    });
    const [line] = await once(createInterface({ input: backend.process.stdout }), "line");
    Object.assign(backend, JSON.parse(line));
    return backend;
  }

  async request(path, body) {
    const response = await fetch(this.url + path, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${this.token}` },
      body: body && JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  async train(config) {
    const { job } = await (await this.request("/v1/jobs", { name: "check", config })).json();
    const events = await (await this.request(`/v1/jobs/${job.id}/events/stream`)).text();
    if (!events.includes("event: training.completed")) throw new Error(events.slice(-500));
    return job.id;
  }

  async chat(jobId, prompt) {
    const answer = await this.request("/v1/inference/chat", {
      adapter: { kind: "final", jobId },
      messages: [{ role: "user", content: prompt }],
      temperature: 0,
      maxTokens: TOKENS,
      stream: false,
    });
    const { choices, usage } = await answer.json();
    return { text: choices[0].message.content, promptTokens: usage.prompt_tokens };
  }

  async stop() {
    this.process.stdin.end();
    await new Promise((done) => this.process.once("exit", done));
  }
}

/** Runs an export. Returns its directory and the result that it printed. */
function exported(store, job, name, args) {
  const to = join(store, "..", name);
  const flags = ["export", "--store", store, "--job", job, "--to", to, ...args];
  const lines = execFileSync(options.binary, flags, { encoding: "utf8", maxBuffer: 1 << 26 })
    .trim()
    .split("\n");
  return { dir: to, ...JSON.parse(lines.at(-1)) };
}

async function llamaCpp() {
  if (!existsSync(join(LLAMA, "node_modules", "node-llama-cpp"))) {
    mkdirSync(LLAMA, { recursive: true });
    writeFileSync(join(LLAMA, "package.json"), '{ "private": true }\n');
    const install = [
      "install",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      `node-llama-cpp@${VERSION}`,
    ];
    execFileSync("npm", install, { cwd: LLAMA, stdio: "inherit" });
  }
  const require = createRequire(join(LLAMA, "package.json"));
  const load = (name, from = require) => import(pathToFileURL(from.resolve(name)).href);
  const package_ = await load("node-llama-cpp");
  const jinja = await load("@huggingface/jinja", createRequire(require.resolve("node-llama-cpp")));
  const llama = await package_.getLlama({ gpu: false, build: "never", logLevel: "error" });
  return { llama, Template: jinja.Template };
}

/** The answers, logits and token ids of a GGUF file in llama.cpp. */
async function inLlamaCpp({ llama, Template }, file) {
  const model = await llama.loadModel({ modelPath: file });
  const context = await model.createContext({ contextSize: 512, threads: 2 });
  const sequence = context.getSequence();
  const template = new Template(model.fileInfo.metadata.tokenizer.chat_template);
  const answers = [];
  for (const content of PROMPTS) {
    const prompt = template.render({
      messages: [{ role: "user", content }],
      add_generation_prompt: true,
    });
    const tokens = model.tokenize(prompt, true);
    await sequence.clearHistory();
    const answer = [];
    for await (const token of sequence.evaluate(tokens, { temperature: 0 })) {
      answer.push(token);
      if (answer.length === TOKENS) break;
    }
    answers.push({ text: model.detokenize(answer), promptTokens: tokens.length, tokens: answer });
  }
  await sequence.clearHistory();
  const text = model.tokenize(TEXT, true);
  const generateNext = { logits: true };
  const results = await sequence.controlledEvaluate(text.map((token) => [token, { generateNext }]));
  const { metadata } = model.fileInfo;
  const logits = results.map((result) => {
    const row = new Float32Array(metadata[metadata.general.architecture].vocab_size);
    for (const [token, value] of result.next.logits) row[token] = value;
    return row;
  });
  const ids = TRICKY.map((tricky) => Array.from(model.tokenize(tricky, true)));
  await model.dispose();
  return { answers, logits, ids, text: Array.from(text) };
}

function logSum(row) {
  const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
  return most + Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

/** The mean negative log likelihood of a text. */
function loss(logits, ids) {
  const losses = ids.slice(1).map((id, place) => logSum(logits[place]) - logits[place][id]);
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}

/** How far two models' logits are apart, relative to their spread, and how far their distributions are. */
function apart(expected, actual) {
  let square = 0;
  let size = 0;
  let divergence = 0;
  for (const [place, row] of expected.entries()) {
    const mean = row.reduce((a, b) => a + b, 0) / row.length;
    const [ours, theirs] = [logSum(row), logSum(actual[place])];
    for (const [token, value] of row.entries()) {
      square += (actual[place][token] - value) ** 2;
      size += (value - mean) ** 2;
      divergence += Math.exp(value - ours) * (value - ours - (actual[place][token] - theirs));
    }
  }
  return { logits: Math.sqrt(square / size), divergence: divergence / expected.length };
}

function inPython(merged, peft) {
  const script = join(ROOT, "local", "check", "export_reference.py");
  const question = JSON.stringify({
    merged,
    peft,
    prompts: PROMPTS,
    tokens: TOKENS,
    text: TEXT,
    tricky: TRICKY,
  });
  return JSON.parse(
    execFileSync(options.python, [script], {
      input: question,
      encoding: "utf8",
      maxBuffer: 1 << 30,
    }),
  );
}

async function check(base, llama) {
  const dir = mkdtempSync(join(tmpdir(), "arkor-export-"));
  const store = join(dir, "store");
  const rows = join(dir, "rows.jsonl");
  const pairs = [
    ["What's the capital of Japan?", "Tokyo, of course: 35 million people live there."],
    ["And of Peru?", "Lima."],
    ["Why?", "Because I said so!"],
  ];
  const row = ([question, answer]) =>
    JSON.stringify({
      messages: [
        { role: "user", content: question },
        { role: "assistant", content: answer },
      ],
    });
  writeFileSync(rows, `${pairs.map(row).join("\n")}\n`);
  const backend = await Backend.start(store);
  const model = existsSync(base) ? resolve(base) : base;
  const job = await backend.train({
    model,
    datasetSource: { type: "blob", url: pathToFileURL(rows).href },
    maxSteps: Number(options.steps),
    batchSize: 2,
    learningRate: 1e-3,
    loraR: 8,
    loraAlpha: 16,
    evalSteps: 100_000,
    saveSteps: 100_000,
  });
  const ours = [];
  for (const prompt of PROMPTS) ours.push(await backend.chat(job, prompt));
  await backend.stop();

  const table = [];
  const same = (answers) =>
    answers.filter((answer, place) => answer.text === ours[place].text).length;
  const files = {};
  for (const type of ["f16", "q8_0", "q4_0"]) {
    files[type] = join(
      exported(store, job, type, ["--format", "gguf", "--quantize", type]).dir,
      "model.gguf",
    );
  }
  const merged = exported(store, job, "merged", ["--format", "merged"]);
  const peft = exported(store, job, "peft", ["--format", "peft"]);
  const python = options.python && inPython(merged.dir, peft.dir);
  const results = {};
  for (const [type, file] of Object.entries(files)) results[type] = await inLlamaCpp(llama, file);
  const reference = python ? python.logits : results.f16.logits;
  if (python) {
    const megabytes = merged.files.reduce((sum, file) => sum + file.bytes, 0) / 1e6;
    table.push({
      base,
      model: "transformers, merged",
      MB: megabytes.toFixed(1),
      "same texts": `${same(python.merged)}/3`,
      loss: loss(reference, python.text).toFixed(4),
    });
    table.push({ base, model: "PEFT", "same texts": `${same(python.peft)}/3` });
  }
  for (const [type, result] of Object.entries(results)) {
    const { logits, divergence } = apart(reference, result.logits);
    const alike = result.answers.reduce((sum, answer, place) => {
      const expected = results.f16.answers[place].tokens;
      return (
        sum +
        answer.tokens.filter((token, at) => token === expected[at]).length /
          Math.max(expected.length, answer.tokens.length)
      );
    }, 0);
    table.push({
      base,
      model: `llama.cpp, ${type}`,
      MB: (statSync(files[type]).size / 1e6).toFixed(1),
      "same texts": `${same(result.answers)}/3`,
      "same tokens": `${((alike / 3) * 100).toFixed(0)} %`,
      loss: loss(result.logits, result.text).toFixed(4),
      "logits off": `${(logits * 100).toFixed(2)} %`,
      KL: divergence.toExponential(1),
    });
  }
  const failures = [];
  const expect = (what, actual, expected) => {
    if (JSON.stringify(actual) !== JSON.stringify(expected))
      failures.push(
        `${base}: ${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`,
      );
  };
  for (const [place, answer] of ours.entries()) {
    expect(`f16, prompt ${place}`, results.f16.answers[place].text, answer.text);
    expect(
      `f16, tokens of prompt ${place}`,
      results.f16.answers[place].promptTokens,
      answer.promptTokens,
    );
    if (python) expect(`merged, prompt ${place}`, python.merged[place].text, answer.text);
    if (python) expect(`peft, prompt ${place}`, python.peft[place].text, answer.text);
  }
  if (python)
    for (const [place, ids] of python.tricky.entries())
      expect(`tokens of text ${place}`, results.f16.ids[place], ids);
  rmSync(dir, { recursive: true });
  return { table, failures };
}

const llama = await llamaCpp();
const tables = [];
const failures = [];
for (const base of options.base) {
  const result = await check(base, llama);
  tables.push(...result.table);
  failures.push(...result.failures);
}
console.table(tables);
for (const failure of failures) console.error(failure);
process.exit(failures.length === 0 ? 0 : 1);
