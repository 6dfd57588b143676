import path from "node:path";
import { expect, it } from "vitest";
import { CASES, dataset, startLocalServer } from "./local-backend.ts";

const FOLDER = "03-tool-arguments-text";

it("arguments that are JSON text were trained quoted twice", async () => {
  const server = await startLocalServer();
  const run = (rows: string) =>
    server.train({
      model: path.join(CASES, FOLDER, "model"),
      datasetSource: dataset(`${FOLDER}/${rows}`),
      dryRun: true,
    });
  const object = await run("object.jsonl");
  const text = await run("text.jsonl");
  const { train, eval: held } = text.metadata.rows;
  const { tokens } = text.metadata;
  expect((tokens.train + tokens.eval) / (train + held)).toBe(138);
  expect(text.metadata.tokens).toEqual(object.metadata.tokens);
  expect(text.losses).toEqual(object.losses);
});
