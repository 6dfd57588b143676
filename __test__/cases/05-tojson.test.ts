import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { CASES, startLocalServer } from "./local-backend.js";

test("tojson escaped HTML and left out the spaces that transformers writes", async () => {
  const server = await startLocalServer();
  const folder = path.join(CASES, "05-tojson");
  const request = JSON.parse(readFileSync(path.join(folder, "request.json"), "utf8"));
  const answer = await server.chat({ ...request, baseModel: path.join(folder, "model") });
  expect(answer).toMatchObject({ status: 200, body: { usage: { prompt_tokens: 261 } } });
});
