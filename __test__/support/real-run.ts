// The entry for a run that the real local backend trains.
import path from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "./command.ts";

const DATA = pathToFileURL(path.join(ROOT, "examples/triage/data/triage.jsonl")).href;

/**
 * Trains on the example's data. Its output shows the arguments of its callbacks.
 * @param asks whether each checkpoint gets a chat; the callbacks after it wait for the response
 */
export function entry(options: { maxSteps: number; saveSteps: number }, { asks = true } = {}) {
  return `
    import { createTrainer } from "arkor";
    export const trainer = createTrainer({
      name: "real",
      model: "unsloth/gemma-4-E4B-it",
      dataset: { type: "blob", url: ${JSON.stringify(DATA)} },
      lora: { r: 4, alpha: 8, maxLength: 256 },
      batchSize: 2,
      learningRate: 1e-3,
      loggingSteps: 1,
      ...${JSON.stringify(options)},
      callbacks: {
        onLog: ({ step, loss }) => console.log("step=" + step + " loss=" + loss),
        onCheckpoint: async ({ step, infer }) => {
          if (!${asks}) return console.log("checkpoint=" + step);
          const response = await infer({
            messages: [{ role: "user", content: "Where is my parcel 4471?" }],
            maxTokens: 8,
            temperature: 0,
            stream: false,
          });
          const { choices } = await response.json();
          console.log("checkpoint=" + step + " answer=" + typeof choices[0].message.content);
        },
        onCompleted: () => console.log("completed"),
        onFailed: ({ error }) => console.log("failed=" + error),
      },
    });
  `;
}

/** The job's id in the command's output. */
export const jobOf = (stdout: string) => stdout.match(/^Started job (\S+)$/m)?.[1] ?? "none";
