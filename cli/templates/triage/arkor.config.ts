// What you will want to change first; src/arkor/trainer.ts reads it.
export const config = {
  name: "triage",
  // The base model. With --local, the small built-in base stands in for one that is not on this machine.
  model: "unsloth/gemma-4-E4B-it",
  // One example a line. To train in the cloud, put the file where the backend can fetch it, and its
  // https:// address here.
  data: "data/triage.jsonl",
  maxSteps: 150,
};
