// Input: support tickets. Output: the team that should answer them.
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

const heldOut = readHeldOut("data/triage.heldout.jsonl");
const samples = heldOut.slice(0, 2);

// For the score, a model can only answer with one of the teams. Otherwise the untrained model would be
// wrong just because it chats.
const teams = [...new Set(heldOut.map(({ answer }) => answer))];
const onlyTeams = { structuredOutputs: { choice: teams } };

let before = 0;

export const trainer = createTrainer({
  ...config,
  lora: { r: 32, alpha: 32, maxLength: 256 },
  batchSize: 8,
  lrSchedulerType: "cosine",
  warmupSteps: 10,
  loggingSteps: 1,
  evalSteps: 50,
  saveSteps: 100,
  // Learn to answer, not to write tickets.
  trainOnResponsesOnly: true,
  callbacks: {
    async onStarted({ job }) {
      before = await score(baseModel(job), heldOut, onlyTeams);
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
      const after = await score(trainedModel(job), heldOut, onlyTeams);
      console.log(`
Before: ${before} of ${heldOut.length} held-out tickets right. After: ${after} of ${heldOut.length}.

Try it:
  npx arkor chat -m "Where is my parcel 4471?"

${whatNext(job, after / heldOut.length, "data/triage")}
  The documentation is in node_modules/arkor/docs.
`);
    },

    onFailed({ error }) {
      console.error(`Training failed: ${error}`);
    },
  },
});
