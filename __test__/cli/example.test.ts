// The example project's data: what its generator gives, and what a small model can learn from.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { generate } from "../../examples/triage/data/generate.mjs";
import { ROOT } from "../support/command.ts";

const LABELS = ["account", "billing", "delivery", "feedback", "technical"];

interface Row {
  messages: [{ role: "user"; content: string }, { role: "assistant"; content: string }];
}

const fileOf = (name: string) =>
  readFileSync(path.join(ROOT, "examples/triage/data", name), "utf8");
const rowsOf = (text: string): Row[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("examples/triage", () => {
  const train = fileOf("triage.jsonl");
  const heldOut = fileOf("triage.heldout.jsonl");

  it("has the data that its generator writes", () => {
    expect(generate()).toEqual({ train, heldOut });
  });

  it.each([
    ["triage.jsonl", train, 80],
    ["triage.heldout.jsonl", heldOut, 12],
  ])(
    "%s has a question and a label per row, each label as often, and short rows",
    (_, text, each) => {
      const rows = rowsOf(text);
      const labels = rows.map(({ messages }) => messages[1].content);
      for (const label of LABELS) expect(labels.filter((one) => one === label)).toHaveLength(each);
      expect(rows).toHaveLength(each * LABELS.length);
      for (const { messages } of rows) {
        expect(messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
        expect(Buffer.byteLength(messages[0].content)).toBeLessThanOrEqual(160);
      }
    },
  );

  it("asks no ticket twice, neither within a file nor across both", () => {
    const tickets = rowsOf(train + heldOut).map(({ messages }) => messages[0].content);
    expect(new Set(tickets).size).toBe(tickets.length);
  });
});
