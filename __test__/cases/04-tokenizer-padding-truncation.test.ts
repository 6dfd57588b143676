import path from "node:path";
import { expect, test } from "vitest";
import { CASES, dataset, startLocalServer } from "./local-backend.js";

const CASE = "04-tokenizer-padding-truncation";

test("truncation and padding saved in tokenizer.json cut every row and trained the padding", async () => {
  const server = await startLocalServer();
  const model = path.join(CASES, CASE, "model");
  const job = await server.train({
    model,
    datasetSource: dataset(`${CASE}/rows.jsonl`),
    dryRun: true,
  });
  // Three rows of 85 bytes and three of 2, each with the token that ends a text.
  const { train, eval: held } = job.metadata.tokens;
  expect(job.metadata.rows).toMatchObject({ train: 5, eval: 1 });
  expect(train + held).toBe(3 * 86 + 3 * 3);

  const messages = [{ role: "user", content: "hi" }];
  const answer = await server.chat({ baseModel: model, messages, maxTokens: 1 });
  const prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";
  // One token a byte, and one for each of the three special tokens.
  const bytes = prompt.replace(/<\|\w+\|>/g, "").length;
  expect(answer.body.usage.prompt_tokens).toBe(bytes + 3);
});
