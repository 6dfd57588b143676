// OpenAI's fields were refused even if they asked for nothing, and errors named them by our own names.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { CASES, startLocalServer } from "./local-backend.ts";

const FOLDER = path.join(CASES, "20-openai-fields");
const bodyOf = (file: string) => JSON.parse(readFileSync(path.join(FOLDER, file), "utf8"));
const NEUTRAL = readdirSync(FOLDER).filter((file) => /^[0-4]-/.test(file));

describe("POST /v1/chat/completions", () => {
  it("takes fields that ask for nothing", async () => {
    const server = await startLocalServer();
    expect(NEUTRAL).toHaveLength(5);
    const bodies = NEUTRAL.map(bodyOf);
    const [first] = bodies;
    bodies.push(
      { ...first, n: 1, logprobs: false, frequency_penalty: 0, presence_penalty: 0 },
      { ...first, stop: null, function_call: "none", stream_options: {} },
    );
    for (const body of bodies) {
      const { status, body: answer } = await server.request("/v1/chat/completions", body);
      expect({ status, error: answer.error }, JSON.stringify(body)).toEqual({ status: 200 });
    }
  });

  it.each([
    ["n", { n: 2 }],
    ["stop", { stop: ["\n"] }],
    ["logit_bias", { logit_bias: { 1: 5 } }],
    ["top_logprobs", { top_logprobs: 3 }],
    ["modalities", { modalities: ["audio"] }],
    ["max_tokens", { max_tokens: -1 }],
    ["max_completion_tokens", { max_completion_tokens: 0 }],
    ["top_p", { top_p: 0 }],
    ["response_format", { response_format: { type: "thing" } }],
  ])("names %s as the client wrote it", async (name, field) => {
    const server = await startLocalServer();
    const { max_tokens: _, stop: __, ...body } = bodyOf("0-stop.json");
    const { status, body: answer } = await server.request("/v1/chat/completions", {
      ...body,
      ...field,
    });
    expect(status).toBe(400);
    expect(answer.error.message).toMatch(new RegExp(`^${name}\\b`));
  });
});
