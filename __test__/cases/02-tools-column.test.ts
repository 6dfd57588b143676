import path from "node:path";
import { expect, it } from "vitest";
import { CASES, dataset, startLocalServer } from "./local-backend.ts";

const FOLDER = "02-tools-column";

it("the tools of a row were dropped", async () => {
  const server = await startLocalServer();
  const tokens = async (rows: string) => {
    const model = path.join(CASES, FOLDER, "model");
    const { metadata } = await server.train({
      model,
      datasetSource: dataset(`${FOLDER}/${rows}`),
      dryRun: true,
    });
    const { train, eval: held } = metadata.rows;
    return (metadata.tokens.train + metadata.tokens.eval) / (train + held);
  };
  expect(await tokens("without.jsonl")).toBe(138);
  // What transformers renders once the arguments are objects.
  expect(await tokens("with.jsonl")).toBe(362);
});
