import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { CASES, startLocalServer } from "./local-backend.js";

const messages = [{ role: "user", content: "hi" }];

test("an index of shards that are gone beside a whole file was a 500", async () => {
  const server = await startLocalServer();
  const baseModel = path.join(CASES, "17-stale-index", "model");
  const answer = await server.chat({ baseModel, messages, maxTokens: 1 });
  expect(answer.status).toBe(200);
});

test("an index alone, whose shards are gone, is refused with the shard's name", async () => {
  const server = await startLocalServer();
  const baseModel = mkdtempSync(path.join(tmpdir(), "arkor-case-17-"));
  onTestFinished(() => rmSync(baseModel, { recursive: true }));
  cpSync(path.join(CASES, "17-stale-index", "model"), baseModel, { recursive: true });
  rmSync(path.join(baseModel, "model.safetensors"));
  const answer = await server.chat({ baseModel, messages, maxTokens: 1 });
  expect(answer.status).toBe(400);
  expect(answer.body.error).toContain("model-00001-of-00002.safetensors");
});
