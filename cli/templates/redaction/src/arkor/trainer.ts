// Text in, the same text without names, addresses and numbers out.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createTrainer } from "arkor";
import { config } from "../../arkor.config.js";

const isRemote = /^https?:/.test(config.data);

const LETTER = "Please call Anna Keller at 030 5551234 or write to anna.keller@example.com.";
/** What must not be in the answer. */
const SECRETS = ["Anna", "Keller", "5551234", "anna.keller@example.com"];

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
  trainOnResponsesOnly: true,
  callbacks: {
    async onCheckpoint({ step, infer }) {
      const response = await infer({
        messages: [{ role: "user", content: LETTER }],
        maxTokens: 96,
        temperature: 0,
        stream: false,
      });
      const { choices } = (await response.json()) as {
        choices: { message: { content: string | null } }[];
      };
      const answer = choices[0]?.message.content?.trim() ?? "";
      const leaked = SECRETS.filter((secret) => answer.includes(secret));
      console.log(`Step ${step}: ${answer}`);
      console.log(leaked.length > 0 ? `  leaked: ${leaked.join(", ")}` : "  nothing leaked");
    },
    onCompleted({ artifacts }) {
      console.log(`Trained, with ${artifacts.length} artifacts.`);
    },
    onFailed({ error }) {
      console.error(`The training has failed: ${error}`);
    },
  },
});
