// What must not compile.
import {
  type ChatMessage,
  type CloudApiClient,
  type CloudApiError,
  type CreateDeploymentInput,
  type CreateDeploymentKeyResult,
  createTrainer,
  type InferArgs,
  type OAuthCredentials,
  type StructuredOutputs,
  type TrainingJob,
  type UpdateDeploymentInput,
} from "arkor";

declare const oauth: OAuthCredentials;
declare const created: CreateDeploymentKeyResult;
declare const job: TrainingJob;
declare const refusal: CloudApiError;
declare const client: CloudApiClient;
const scope = { orgSlug: "o", projectSlug: "p" };
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

// @ts-expect-error the result of a new key is the inner object: the method gives `{ key }`
created.key;
// @ts-expect-error only a listed key says whether it is enabled
created.enabled;
// @ts-expect-error the audience is a string
oauth.audience = null;
// @ts-expect-error the model is a string
job.config.model = 5;
// @ts-expect-error a rank is a number, also on the wire
job.config.loraR = "16";
// @ts-expect-error the code is a string, or absent
export const code: number | undefined = refusal.code;
// @ts-expect-error the controller is no signal
client.getJob("j", scope, { signal: new AbortController() });
// @ts-expect-error milliseconds are a number
client.getJob("j", scope, { timeoutMs: "5s" });
