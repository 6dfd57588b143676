import path from "node:path";
import { expect, it } from "vitest";
import { CASES, startLocalServer } from "./local-backend.ts";

it("the configs and data_files of a README were never read", async () => {
  const cache = path.join(CASES, "15-hub-readme-configs/hub");
  const server = await startLocalServer({ HF_HUB_CACHE: cache });
  const train = (name: string, subset?: string) => {
    const datasetSource = { type: "huggingface", name, subset };
    return server.train({ model: "arkor-tiny", datasetSource, dryRun: true });
  };
  const several = await train("acme/gsm");
  expect(several.status).toBe(400);
  expect(several.error).toContain("main, socratic");
  expect((await train("acme/gsm", "main")).metadata.rows).toMatchObject({ train: 5, eval: 1 });
  expect((await train("acme/gsm", "socratic")).metadata.rows).toMatchObject({ train: 5, eval: 1 });

  // "good" and the end of the text: 5 tokens a row. Those of raw/ have 12.
  const { rows, tokens } = (await train("acme/yaml")).metadata;
  expect((tokens.train + tokens.eval) / (rows.train + rows.eval)).toBe(5);
});
