// Support tickets in, the team that should answer them out. One run, followed by five callbacks.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type ChatMessage, createTrainer } from "arkor";

/** A ticket that the model never sees in training, and the label that it should get. */
interface HeldOut {
  messages: [ChatMessage & { role: "user" }, ChatMessage & { role: "assistant" }];
}

const heldOut = readFileSync("data/triage.heldout.jsonl", "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as HeldOut);

/** What each checkpoint is asked: one ticket for each label. */
const questions = [...new Map(heldOut.map((row) => [row.messages[1].content, row])).values()];

const LOG_EVERY = 10;

export const trainer = createTrainer({
  name: "ticket-triage",
  model: "unsloth/gemma-4-E4B-it",
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
    onStarted({ job }) {
      console.log(`Training ${job.name} has started.`);
    },

    onLog({ step, loss, evalLoss }) {
      if (step % LOG_EVERY !== 0 && evalLoss === null) return;
      const held = evalLoss === null ? "" : `, on held-out rows ${evalLoss.toFixed(3)}`;
      console.log(`Step ${step}: loss ${loss?.toFixed(3) ?? "unknown"}${held}`);
    },

    async onCheckpoint({ step, infer }) {
      console.log(`Checkpoint at step ${step}:`);
      for (const { messages } of questions) {
        const [question, expected] = messages;
        const response = await infer({
          messages: [question],
          maxTokens: 16,
          temperature: 0,
          stream: false,
        });
        const answer = (await response.json()) as {
          choices: { message: { content: string | null } }[];
        };
        const label = answer.choices[0]?.message.content?.trim();
        console.log(`  "${question.content}" → ${label} (expected ${expected.content})`);
      }
    },

    onCompleted({ artifacts }) {
      console.log(`Training is complete, with ${artifacts.length} artifacts:`);
      for (const artifact of artifacts) console.log(`  ${JSON.stringify(artifact)}`);
    },

    onFailed({ error }) {
      console.error(`Training has failed: ${error}`);
    },
  },
});
