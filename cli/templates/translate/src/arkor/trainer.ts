// English in, German out. Each checkpoint translates a sentence.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createTrainer } from "arkor";
import { config } from "../../arkor.config.js";

const isRemote = /^https?:/.test(config.data);

const SENTENCE = "Where is the station?";

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
        messages: [{ role: "user", content: SENTENCE }],
        maxTokens: 64,
        temperature: 0,
      });
      console.log(`Step ${step}: ${SENTENCE} → ${await textOf(response)}`);
    },
    onCompleted({ artifacts }) {
      console.log(`Trained, with ${artifacts.length} artifacts.`);
    },
    onFailed({ error }) {
      console.error(`The training has failed: ${error}`);
    },
  },
});

/** A streamed answer, put together: server-sent events with a piece of the text each. */
async function textOf(response: Response): Promise<string> {
  let text = "";
  for (const line of (await response.text()).split("\n")) {
    if (!line.startsWith("data: {")) continue;
    const { choices } = JSON.parse(line.slice("data: ".length)) as {
      choices: { delta: { content?: string } }[];
    };
    text += choices[0]?.delta.content ?? "";
  }
  return text.trim();
}
