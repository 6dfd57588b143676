import path from "node:path";
import { expect, it } from "vitest";
import { CASES, startLocalServer } from "./local-backend.ts";

it("splits were guessed from words of file names", async () => {
  const cache = path.join(CASES, "14-hub-splits/hub");
  const server = await startLocalServer({ HF_HUB_CACHE: cache });
  const train = (name: string, split?: string) => {
    const datasetSource = { type: "huggingface", name, split };
    return server.train({ model: "arkor-tiny", datasetSource, dryRun: true });
  };
  const rows = async (name: string, split: string) => {
    const { train: trained, eval: held } = (await train(name, split)).metadata.rows;
    return trained + held;
  };
  expect(await rows("acme/uc", "train_sft")).toBe(6);
  const unnamed = await train("acme/uc");
  expect(unnamed.status).toBe(400);
  expect(unnamed.error).toContain("test_sft, train_gen, train_sft");

  expect(await rows("acme/val", "train")).toBe(6);
  expect(await rows("acme/val", "validation")).toBe(4);
  const unknown = await train("acme/val", "val");
  expect(unknown.status).toBe(400);
  expect(unknown.error).toContain("train, validation");
});
