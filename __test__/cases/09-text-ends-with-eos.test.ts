import { expect, it } from "vitest";
import { dataset, startLocalServer } from "./local-backend.ts";

it("a text that ends with the end-of-text token got a second one", async () => {
  const server = await startLocalServer();
  const { metadata } = await server.train({
    model: "arkor-tiny",
    datasetSource: dataset("09-text-ends-with-eos/rows.jsonl"),
    dryRun: true,
  });
  const { train, eval: held } = metadata.rows;
  expect((metadata.tokens.train + metadata.tokens.eval) / (train + held)).toBe(6);
});
