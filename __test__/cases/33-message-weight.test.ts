import { writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { dataset, startLocalServer } from "./local-backend.ts";

it("an answer of weight 0 was learned", async () => {
  const server = await startLocalServer();
  const train = async (rows: unknown, responsesOnly = true) => {
    const file = path.join(server.store, "rows.jsonl");
    if (rows) writeFileSync(file, Array(5).fill(JSON.stringify(rows)).join("\n"));
    const datasetSource = rows
      ? { type: "blob", url: pathToFileURL(file).href }
      : dataset("33-message-weight/rows.jsonl");
    return server.train({
      model: "arkor-tiny",
      datasetSource,
      trainOnResponsesOnly: responsesOnly,
      maxSteps: 1,
    });
  };
  const turns = (no: string, weight?: unknown) => ({
    messages: [
      { role: "user", content: "x" },
      { role: "assistant", content: no, weight },
      { role: "user", content: "x" },
      { role: "assistant", content: "yes" },
    ],
  });
  // The losses are means over the learned tokens, so equal losses mean that the same tokens are learned.
  const weighted = await train(undefined);
  expect(weighted.losses).toHaveLength(1);
  const same = await train(turns("no", 0));
  const all = await train(turns("no"));
  expect(same.losses).toEqual(weighted.losses);
  expect(all.losses).not.toEqual(weighted.losses);
  const whole = await train(turns("no", 0), false);
  expect(whole.losses).not.toEqual((await train(turns("no"), false)).losses);

  const half = await train(turns("no", 0.5));
  expect(half.status).toBe(400);
  expect(half.error).toContain("line 1: messages[1].weight must be 0 or 1");
});
