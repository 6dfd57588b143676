// Stands in for `arkor-local export`, to test how the command handles its progress, result and failure.
// FAKE_EXPORT selects how it ends: `fails`, `silent` (fails without a message), `endless`, `half` (waits
// until its stdin, a FIFO, is written to); otherwise it succeeds. Its arguments become the first note.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const mode = process.env.FAKE_EXPORT;
const [, , command, ...args] = process.argv;
const flagValue = (/** @type {string} */ flag) => args[args.indexOf(flag) + 1] ?? "";
const say = (/** @type {object} */ event) => process.stdout.write(`${JSON.stringify(event)}\n`);

if (command !== "export") throw new Error(`not export but ${command}`);
if (mode === "fails" || mode === "silent") {
  if (mode === "fails") {
    process.stderr.write("arkor-local: --format gguf: the base has no tokenizer\u001b[31m\n");
  }
  process.exit(1);
}
const file = path.join(
  flagValue("--to"),
  { gguf: "model.gguf" }[flagValue("--format")] ?? "model.safetensors",
);
say({ type: "progress", done: 1_500_000, total: 6_000_000, file: "model.safe\u001b[2J" });
if (mode === "endless") setInterval(() => {}, 1000);
else {
  if (mode === "half") readFileSync(process.env.FAKE_GATE ?? "");
  if (process.env.FAKE_ARGS) writeFileSync(process.env.FAKE_ARGS, JSON.stringify(args));
  say({
    type: "done",
    files: [
      { path: file, bytes: 6_000_000 },
      { path: path.join(flagValue("--to"), "config.json"), bytes: 900 },
    ],
    base: "owner/base",
    notes: ["The base was quantised once more."],
  });
}
