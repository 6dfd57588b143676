// Support tickets in, the team that should answer them out. One run, followed by five callbacks.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createTrainer } from "arkor";
import { type Ask, answerOf, askBase, heldOut, score } from "./score.js";

/** What each checkpoint is asked: one ticket for each label. */
const questions = [...new Map(heldOut.map((row) => [row.messages[1].content, row])).values()];

const LOG_EVERY = 10;

const MODEL = "unsloth/gemma-4-E4B-it";

let base: number | undefined;
/** The adapter of the last checkpoint. */
let adapter: Ask | undefined;

export const trainer = createTrainer({
  name: "ticket-triage",
  model: MODEL,
  dataset: { type: "blob", url: pathToFileURL(resolve("data/triage.jsonl")).href },
  lora: { r: 16, alpha: 32, maxLength: 256 },
  maxSteps: 150,
  batchSize: 8,
  learningRate: 2e-3,
  lrSchedulerType: "cosine",
  warmupSteps: 10,
  loggingSteps: 1,
  evalSteps: 25,
  saveSteps: 50,
  // Learn to answer, not to write tickets.
  trainOnResponsesOnly: true,
  callbacks: {
    async onStarted({ job }) {
      console.log(`Training ${job.name} has started.`);
      base = await score(await askBase(MODEL, job));
    },

    onLog({ step, loss, evalLoss }) {
      if (step % LOG_EVERY !== 0 && evalLoss === null) return;
      const held = evalLoss === null ? "" : `, on held-out rows ${evalLoss.toFixed(3)}`;
      console.log(`Step ${step}: loss ${loss?.toFixed(3) ?? "unknown"}${held}`);
    },

    async onCheckpoint({ step, infer }) {
      adapter = infer;
      console.log(`Checkpoint at step ${step}:`);
      for (const { messages } of questions) {
        const [question, expected] = messages;
        const response = await infer({
          messages: [question],
          maxTokens: 16,
          temperature: 0,
          stream: false,
        });
        const label = await answerOf(response);
        console.log(`  "${question.content}" → ${label} (expected ${expected.content})`);
      }
    },

    async onCompleted({ artifacts }) {
      console.log(`Training is complete, with ${artifacts.length} artifacts:`);
      for (const artifact of artifacts) console.log(`  ${JSON.stringify(artifact)}`);
      if (adapter === undefined) return;
      const after = await score(adapter);
      console.log(
        `Right labels on ${heldOut.length} held-out tickets: ${base} before, ${after} after.`,
      );
    },

    onFailed({ error }) {
      console.error(`Training has failed: ${error}`);
    },
  },
});
