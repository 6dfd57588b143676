// OpenAI's own client, pointed at the local backend: it lists the adapters of a job and chats with
// them. The real binary, a real adapter.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../support/command.ts";

const LABELS = ["account", "billing", "delivery", "feedback", "technical"];

const question = { role: "user" as const, content: "Where is my parcel 4471?" };
const store = mkdtempSync(path.join(tmpdir(), "arkor-openai-"));

let server: ChildProcessByStdio<Writable, Readable, null>;
let client: OpenAI;
let job: string;

/** Trains an adapter for a few steps, through the API of the SDK. */
async function train(url: string, token: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}` };
  const data = path.join(ROOT, "examples/triage/data/triage.jsonl");
  const config = {
    model: "arkor-tiny",
    datasetSource: { type: "blob", url: pathToFileURL(data).href },
    maxSteps: 2,
    batchSize: 2,
    saveSteps: 1,
    evalSteps: 2,
  };
  const body = JSON.stringify({ name: "openai", config });
  const answer = await fetch(`${url}/v1/jobs`, { method: "POST", headers, body });
  const { job } = (await answer.json()) as { job: { id: string } };
  const events = await fetch(`${url}/v1/jobs/${job.id}/events/stream`, { headers });
  expect(await events.text()).toContain("event: training.completed");
  return job.id;
}

beforeAll(async () => {
  const { binaryPath } = await import("../../local/index.js");
  server = spawn(binaryPath(), ["--store", store, "--with-parent"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = await once(createInterface(server.stdout), "line");
  const { url, token } = JSON.parse(line);
  job = await train(url, token);
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0 });
});

afterAll(async () => {
  server.stdin.end();
  await once(server, "exit");
  rmSync(store, { recursive: true });
});

describe("OpenAI's client", () => {
  it("lists the base and every adapter, and finds one by its name", async () => {
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual([
      "arkor-tiny",
      `${job}/adapter`,
      `${job}/checkpoint-1`,
      `${job}/checkpoint-2`,
    ]);
    const model = await client.models.retrieve(`${job}/checkpoint-1`);
    expect(model.id).toBe(`${job}/checkpoint-1`);
  });

  it("chats with an adapter, streamed and not, to the same words", async () => {
    const request = {
      model: `${job}/adapter`,
      messages: [question],
      temperature: 0,
      max_tokens: 16,
    };
    const whole = await client.chat.completions.create(request);
    const text = whole.choices[0]?.message.content;
    expect(text).toBeTruthy();
    expect(whole).toMatchObject({ object: "chat.completion", model: `${job}/adapter` });
    expect(whole.usage?.total_tokens).toBeGreaterThan(16);

    const stream = await client.chat.completions.create({ ...request, stream: true });
    let pieces = "";
    let finish: string | null | undefined;
    for await (const chunk of stream) {
      expect(chunk.usage).toBeUndefined();
      pieces += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    expect(pieces).toBe(text);
    expect(finish).toBe(whole.choices[0]?.finish_reason);
  });

  it("gets the usage of a streamed answer in a chunk of its own when it asks", async () => {
    const stream = await client.chat.completions.create({
      model: job,
      messages: [
        { role: "developer", content: "Be brief." },
        { role: "user", content: [{ type: "text", text: "Hi" }] },
      ],
      max_completion_tokens: 4,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { completion_tokens: expect.any(Number) },
    });
  });

  it("gets an answer of the form that it asks for", async () => {
    const answer = await client.chat.completions.create({
      model: `${job}/checkpoint-1`,
      messages: [question],
      temperature: 1,
      seed: 4,
      max_tokens: 64,
      response_format: {
        type: "json_schema",
        json_schema: {
          name: "ticket",
          schema: {
            type: "object",
            properties: { label: { enum: LABELS } },
            required: ["label"],
            additionalProperties: false,
          },
        },
      },
    });
    const { label } = JSON.parse(answer.choices[0]?.message.content ?? "null");
    expect(LABELS).toContain(label);
    expect(answer.choices[0]?.finish_reason).toBe("stop");
  });

  it("gets errors as it knows them", async () => {
    const messages = [question];
    await expect(
      client.chat.completions.create({ model: "gpt-5", messages }),
    ).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
      message: expect.stringContaining("gpt-5"),
    });
    await expect(
      client.chat.completions.create({ model: job, messages, n: 2 }),
    ).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining("n is not supported"),
    });
    await expect(
      client.chat.completions.create({
        model: job,
        messages,
        tools: [{ type: "function", function: { name: "f" } }],
      }),
    ).rejects.toMatchObject({ status: 400, message: expect.stringContaining("tools") });
    const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: "wrong", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({
      status: 401,
      code: "invalid_api_key",
      message: expect.stringContaining("token"),
    });
  });
});
