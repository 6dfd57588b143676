import path from "node:path";
import { expect, test } from "vitest";
import { CASES, startLocalServer } from "./local-backend.js";

test("a template with strftime_now was refused", async () => {
  const server = await startLocalServer();
  const baseModel = path.join(CASES, "07-strftime-now", "model");
  const messages = [{ role: "user", content: "hi" }];
  const answer = await server.chat({ baseModel, messages, maxTokens: 1 });
  // The date has the same length every day. The newline at the end of the template's file isn't rendered.
  const prompt = "27 Nov 2026\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant";
  const tokens = prompt.replace(/<\|\w+\|>/g, "").length + 3;
  expect(answer).toMatchObject({ status: 200, body: { usage: { prompt_tokens: tokens } } });
});
