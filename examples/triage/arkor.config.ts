// The settings that you'll want to change first. src/arkor/trainer.ts reads them.
import type { TrainerInput } from "arkor";

export const config = {
  name: "ticket-triage",
  // The model to train. With --local, a small built-in one stands in if this one can't be trained here.
  model: "unsloth/gemma-4-E4B-it",
  // One example per line. The cloud can't read this machine's files; to train there, use
  // { type: "blob", url: "https://…" } or { type: "huggingface", name: "…" }.
  dataset: { type: "file", path: "data/triage.jsonl" },
  // These values suit the small built-in model. For a real one, start with 100 steps and 2e-4.
  maxSteps: 300,
  learningRate: 5e-3,
} satisfies TrainerInput;
