import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { CASES, startLocalServer } from "./local-backend.js";

test("with tools, the template called tool_use was not chosen", async () => {
  const server = await startLocalServer();
  const folder = path.join(CASES, "08-named-templates");
  const request = JSON.parse(readFileSync(path.join(folder, "request.json"), "utf8"));
  const baseModel = path.join(folder, "model");
  const answer = await server.chat({ ...request, baseModel });
  expect(answer).toMatchObject({ status: 200, body: { usage: { prompt_tokens: 245 } } });

  const { tools: _, ...plain } = request;
  const without = await server.chat({ ...plain, baseModel });
  expect(without).toMatchObject({ status: 200, body: { usage: { prompt_tokens: 21 } } });
});
