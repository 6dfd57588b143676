// Input: messages. Output: the same messages without names, phone numbers, email and street addresses.
import { createTrainer } from "arkor";
import { config } from "../../arkor.config.js";
import {
  answerOf,
  baseModel,
  oneLine,
  readHeldOut,
  score,
  trainedModel,
  whatNext,
} from "./score.js";

const heldOut = readHeldOut("data/redaction.heldout.jsonl");
const samples = heldOut.slice(0, 2);

let before = 0;

export const trainer = createTrainer({
  ...config,
  lora: { r: 32, alpha: 32, maxLength: 256 },
  batchSize: 8,
  lrSchedulerType: "cosine",
  warmupSteps: 10,
  loggingSteps: 1,
  evalSteps: 50,
  saveSteps: 120,
  // Learn to redact messages, not to write them.
  trainOnResponsesOnly: true,
  callbacks: {
    async onStarted({ job }) {
      before = await score(baseModel(job), heldOut);
    },

    // The run continues in the meantime. `infer` asks the model as it is at this step.
    async onCheckpoint({ step, infer }) {
      console.log(`After ${step} steps:`);
      for (const { question, answer } of samples) {
        const given = await answerOf(infer, question);
        console.log(`  ${oneLine(question)} → ${oneLine(given)} (should be ${oneLine(answer)})`);
      }
    },

    async onCompleted({ job }) {
      const after = await score(trainedModel(job), heldOut);
      console.log(`
Before: ${before} of ${heldOut.length} held-out messages right. After: ${after} of ${heldOut.length}.

Try it:
  npx arkor chat -m "My name is Ada Novak. You can call me at 030 5550123."

${whatNext(job, after / heldOut.length, "data/redaction")}
  The documentation is in node_modules/arkor/docs.
`);
    },

    onFailed({ error }) {
      console.error(`Training failed: ${error}`);
    },
  },
});
