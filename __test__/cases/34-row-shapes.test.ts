import { expect, it } from "vitest";
import { dataset, startLocalServer } from "./local-backend.ts";

it("rows of ShareGPT, Alpaca, content parts, conversational completions and lists were refused", async () => {
  const server = await startLocalServer();
  const train = async (file: string, more: object = {}) => {
    const datasetSource = dataset(`34-row-shapes/${file}`);
    const job = await server.train({ model: "arkor-tiny", datasetSource, dryRun: true, ...more });
    expect(job.error).toBeUndefined();
    const { rows, tokens } = job.metadata;
    return (tokens.train + tokens.eval) / (rows.train + rows.eval);
  };
  // <|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n, a token a byte.
  const tokens = 1 + 5 + 2 + 1 + 1 + 1 + 10 + 2 + 1 + 1;
  for (const file of ["sharegpt.jsonl", "parts.jsonl", "conversational.jsonl"]) {
    expect(await train(file), file).toBe(tokens);
  }
  expect(await train("alpaca.jsonl")).toBe(tokens + "Do it".length + "done".length - 4);
  expect(await train("list.json")).toBe(tokens + "Ask 0".length + "Say 0".length - 4);

  for (const [file, type] of [
    ["sharegpt.jsonl", "chatml"],
    ["parts.jsonl", "chatml"],
    ["alpaca.jsonl", "alpaca"],
  ]) {
    await train(file, { datasetFormat: { type } });
  }
  const wrong = await server.train({
    model: "arkor-tiny",
    datasetSource: dataset("34-row-shapes/alpaca.jsonl"),
    datasetFormat: { type: "chatml" },
  });
  expect(wrong.error).toContain("line 1: ");
  const unknown = await server.train({
    model: "arkor-tiny",
    datasetSource: dataset("34-row-shapes/alpaca.jsonl"),
    datasetFormat: { type: "dpo" },
  });
  expect([unknown.status, unknown.error]).toEqual([
    400,
    expect.stringContaining('datasetFormat: "dpo"'),
  ]);
});
