// What must not compile.
import {
  type ChatMessage,
  type CreateDeploymentInput,
  createTrainer,
  type InferArgs,
  type StructuredOutputs,
  type UpdateDeploymentInput,
} from "arkor";

const dataset = { type: "blob", url: "u" } as const;

// @ts-expect-error a name is required
createTrainer({ model: "m", dataset });
// @ts-expect-error a data set is required
createTrainer({ name: "n", model: "m" });
// @ts-expect-error there is no such source
createTrainer({ name: "n", model: "m", dataset: { type: "folder", path: "x" } });
// @ts-expect-error a rank is a number
createTrainer({ name: "n", model: "m", dataset, lora: { r: "16", alpha: 16 } });
// @ts-expect-error there is no such callback
createTrainer({ name: "n", model: "m", dataset, callbacks: { onProgress() {} } });
// @ts-expect-error there is no such mode
createTrainer({ name: "n", model: "m", dataset, callbackErrors: "ignore" });

createTrainer({
  name: "n",
  model: "m",
  dataset,
  callbacks: {
    onLog({ loss }) {
      // @ts-expect-error a metric may be null
      loss.toFixed(3);
    },
    onFailed({ error }) {
      // @ts-expect-error a string, not an Error
      error.message;
    },
  },
});

// @ts-expect-error an assistant's turn without text needs tool calls
export const silent: ChatMessage = { role: "assistant" };
// @ts-expect-error and at least one of them
export const empty: ChatMessage = { role: "assistant", tool_calls: [] };
// @ts-expect-error a tool's turn names the call
export const tool: ChatMessage = { role: "tool", content: "42" };
// @ts-expect-error messages are required
export const question: InferArgs = { stream: true };
// @ts-expect-error one constraint, not two
export const two: StructuredOutputs = { choice: ["a"], regex: "a" };
// @ts-expect-error at least one constraint
export const none: StructuredOutputs = { disable_any_whitespace: true };
// @ts-expect-error days go with the mode "days"
export const update: UpdateDeploymentInput = { runRetentionMode: "unlimited", runRetentionDays: 3 };
// @ts-expect-error so at creation
export const create: CreateDeploymentInput = {
  slug: "s",
  target: { kind: "base_model", baseModel: "m" },
  authMode: "none",
  runRetentionDays: 3,
};
