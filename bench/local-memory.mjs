// The memory of the local backend: with a queue of large jobs, with ten thousand jobs in its store, and with
// a long prompt on a model of 135M parameters (random weights: only sizes matter). Linux only.
//
//   npm run build -- --local && node bench/local-memory.mjs [queue|store|prompt]

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const root = path.join(import.meta.dirname, "..");
const binary = path.join(root, "local/bin/arkor-local");
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "arkor-memory-"));
const MB = 1e6;

/** @param {string[]} args */
async function start(store, args = []) {
  const began = performance.now();
  const child = spawn(binary, ["--store", store, ...args], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, HF_HUB_OFFLINE: "1" },
  });
  const [line] = await new Promise((resolve) => {
    createInterface(child.stdout).once("line", (line) => resolve([line]));
  });
  const { url, token } = JSON.parse(line);
  const request = (method, route, body) =>
    fetch(`${url}${route}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body && { body: JSON.stringify(body) }),
    });
  const status = () => fs.readFileSync(`/proc/${child.pid}/status`, "utf8");
  const memory = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status())?.[1]) * 1024;
  return {
    request,
    startMs: performance.now() - began,
    rss: () => memory("VmRSS"),
    peak: () => memory("VmHWM"),
    stop: () => {
      child.kill("SIGKILL");
      return new Promise((resolve) => child.once("close", resolve));
    },
  };
}

function report(what, value) {
  console.log(`${what.padEnd(66)} ${value}`);
}

const mb = (bytes) => `${(bytes / MB).toFixed(0)} MB`;

async function submit(server, config) {
  const response = await server.request("POST", "/v1/jobs?projectSlug=p", { name: "n", config });
  if (response.status !== 201) throw new Error(await response.text());
}

/** Queues twenty jobs of 100 MB each behind one that trains. */
async function queue() {
  const rows = path.join(scratch, "rows.jsonl");
  const line = (index) =>
    `${JSON.stringify({ text: `${index} ${"the quick brown fox jumps ".repeat(390)}` })}\n`;
  const file = fs.createWriteStream(rows);
  for (let index = 0; index < 10_000; index += 1) {
    if (!file.write(line(index))) await new Promise((resolve) => file.once("drain", resolve));
  }
  await new Promise((resolve) => file.end(resolve));
  const small = path.join(scratch, "small.jsonl");
  fs.writeFileSync(small, line(0).repeat(8));
  const config = (file, maxSteps) => ({
    model: "arkor-tiny",
    datasetSource: { type: "blob", url: pathToFileURL(file).href },
    maxSteps,
    batchSize: 1,
    maxLength: 64,
    saveSteps: 1_000_000,
  });
  const server = await start(path.join(scratch, "queue"));
  await submit(server, config(small, 1_000_000));
  // The memory for checking one job is temporary; the memory for the queue stays.
  await submit(server, config(rows, 10));
  const before = server.rss();
  for (let job = 0; job < 20; job += 1) await submit(server, config(rows, 10));
  report(`20 queued jobs of ${mb(fs.statSync(rows).size)} each add`, mb(server.rss() - before));
  report("  peak while they were checked", mb(server.peak()));
  await server.stop();
}

/** Opens a store with ten thousand finished jobs. */
async function store() {
  const folder = path.join(scratch, "store");
  const jobs = path.join(folder, "jobs");
  fs.mkdirSync(jobs, { recursive: true });
  let server = await start(folder);
  await submit(server, {
    model: "arkor-tiny",
    datasetSource: { type: "blob", url: pathToFileURL(tinyRows()).href },
    dryRun: true,
  });
  for (;;) {
    const { jobs: list } = await (await server.request("GET", "/v1/jobs")).json();
    if (list[0].status === "completed") break;
  }
  await server.stop();
  const [first] = fs.readdirSync(jobs);
  const job = JSON.parse(fs.readFileSync(path.join(jobs, first, "job.json"), "utf8"));
  const events = fs.readFileSync(path.join(jobs, first, "events.jsonl"));
  for (let index = 0; index < 10_000; index += 1) {
    const id = `job_${String(index).padStart(12, "0")}00000000`;
    fs.mkdirSync(path.join(jobs, id));
    fs.writeFileSync(path.join(jobs, id, "job.json"), JSON.stringify({ ...job, id }, null, 2));
    fs.writeFileSync(path.join(jobs, id, "events.jsonl"), events);
  }
  server = await start(folder);
  report("10 000 jobs in the store: start", `${server.startMs.toFixed(0)} ms`);
  report("  memory after the start", mb(server.rss()));
  const before = performance.now();
  let count = 0;
  let cursor = "";
  do {
    const page = await (await server.request("GET", `/v1/jobs?limit=100${cursor}`)).json();
    count += page.jobs.length;
    cursor = page.nextCursor ? `&cursor=${page.nextCursor}` : "";
  } while (cursor);
  report(
    `  listed in pages of 100 (${count} jobs)`,
    `${(performance.now() - before).toFixed(0)} ms`,
  );
  report("  memory after that", mb(server.rss()));
  await (await server.request("GET", "/v1/jobs")).text();
  report("  memory after listing them all at once", mb(server.rss()));
  await server.stop();
}

function tinyRows() {
  const file = path.join(scratch, "tiny.jsonl");
  fs.writeFileSync(file, `${JSON.stringify({ text: "the quick brown fox" })}\n`.repeat(8));
  return file;
}

/** Creates a model of SmolLM2-135M's shape, with the tokenizer of the built-in model. */
function randomModel() {
  const dir = path.join(scratch, "model");
  fs.mkdirSync(dir);
  const assets = path.join(root, "local/assets/arkor-tiny");
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    fs.copyFileSync(path.join(assets, name), path.join(dir, name));
  }
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: 49_152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 100_000,
    tie_word_embeddings: true,
  };
  fs.writeFileSync(path.join(dir, "config.json"), JSON.stringify(config));
  const tensors = { "model.embed_tokens.weight": [49_152, 576], "model.norm.weight": [576] };
  for (let layer = 0; layer < 30; layer += 1) {
    const name = `model.layers.${layer}`;
    Object.assign(tensors, {
      [`${name}.self_attn.q_proj.weight`]: [576, 576],
      [`${name}.self_attn.k_proj.weight`]: [192, 576],
      [`${name}.self_attn.v_proj.weight`]: [192, 576],
      [`${name}.self_attn.o_proj.weight`]: [576, 576],
      [`${name}.mlp.gate_proj.weight`]: [1536, 576],
      [`${name}.mlp.up_proj.weight`]: [1536, 576],
      [`${name}.mlp.down_proj.weight`]: [576, 1536],
      [`${name}.input_layernorm.weight`]: [576],
      [`${name}.post_attention_layernorm.weight`]: [576],
    });
  }
  const header = {};
  let at = 0;
  for (const [name, shape] of Object.entries(tensors)) {
    const bytes = shape.reduce((product, size) => product * size, 2);
    header[name] = { dtype: "BF16", shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = fs.openSync(path.join(dir, "model.safetensors"), "w");
  fs.writeSync(file, length);
  fs.writeSync(file, text);
  // bfloat16 values of about ±0.01: the sign and the lowest bits are random.
  const block = Buffer.alloc(1 << 20);
  for (let index = 0; index < block.length; index += 2) {
    block.writeUInt16LE(0x3c00 | (Math.random() < 0.5 ? 0x8000 : 0) | (Math.random() * 64), index);
  }
  for (let left = at; left > 0; left -= block.length) {
    fs.writeSync(file, block, 0, Math.min(left, block.length));
  }
  fs.closeSync(file);
  return dir;
}

/** Sends a prompt of eight thousand tokens. */
async function prompt() {
  const server = await start(path.join(scratch, "prompt"), ["--base-model", randomModel()]);
  const ask = async (length) => {
    const response = await server.request("POST", "/v1/inference/chat", {
      baseModel: "m",
      stream: false,
      maxTokens: 8,
      messages: [{ role: "user", content: "x".repeat(length) }],
    });
    return (await response.json()).usage;
  };
  await ask(8);
  report(
    "A prompt of a few tokens, 135M parameters in bf16: peak",
    `${mb(server.peak())}, then ${mb(server.rss())}`,
  );
  const began = performance.now();
  const usage = await ask(8_000);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  report(
    `A prompt of ${usage.prompt_tokens} tokens, 135M parameters in bf16: peak`,
    mb(server.peak()),
  );
  report("  seconds until the answer", seconds);
  await server.stop();
}

try {
  const wanted = process.argv[2];
  for (const [name, measure] of Object.entries({ queue, store, prompt })) {
    if (wanted === undefined || wanted === name) await measure();
  }
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}
