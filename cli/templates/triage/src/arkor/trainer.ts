// Support tickets in, the team that should answer them out.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createTrainer } from "arkor";
import { config } from "../../arkor.config.js";

const isRemote = /^https?:/.test(config.data);

/** What each checkpoint is asked, and what it should answer. */
const QUESTIONS: [ticket: string, team: string][] = [
  ["I was charged twice for my last order.", "billing"],
  ["The app closes itself when I open the settings.", "technical"],
];

export const trainer = createTrainer({
  name: config.name,
  model: config.model,
  dataset: { type: "blob", url: isRemote ? config.data : pathToFileURL(resolve(config.data)).href },
  lora: { r: 16, alpha: 32, maxLength: 256 },
  maxSteps: config.maxSteps,
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
    async onCheckpoint({ step, infer }) {
      console.log(`Checkpoint at step ${step}:`);
      for (const [content, team] of QUESTIONS) {
        const response = await infer({
          messages: [{ role: "user", content }],
          maxTokens: 16,
          temperature: 0,
          stream: false,
        });
        const { choices } = (await response.json()) as {
          choices: { message: { content: string | null } }[];
        };
        const answer = choices[0]?.message.content?.trim();
        console.log(`  ${content} → ${answer} (expected ${team})`);
      }
    },
    onCompleted({ artifacts }) {
      console.log(`Trained, with ${artifacts.length} artifacts.`);
    },
    onFailed({ error }) {
      console.error(`The training has failed: ${error}`);
    },
  },
});
