// How many held-out tickets get exactly the right label. Both the base and the adapter may answer with
// a label only, so that the base is not marked down for its manners.
import { readFileSync } from "node:fs";
import {
  type ChatMessage,
  CloudApiClient,
  defaultArkorCloudApiUrl,
  ensureCredentials,
  type InferArgs,
  type TrainingJob,
} from "arkor";

/** A ticket that the model never sees in training, and the label that it should get. */
export interface HeldOut {
  messages: [ChatMessage & { role: "user" }, ChatMessage & { role: "assistant" }];
}

/** Asks a model: `infer` of a checkpoint, or `askBase`. */
export type Ask = (args: InferArgs) => Promise<Response>;

export const heldOut = readFileSync("data/triage.heldout.jsonl", "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as HeldOut);

const labels = [...new Set(heldOut.map(({ messages }) => String(messages[1].content)))];

export async function answerOf(response: Response): Promise<string> {
  const body = (await response.json()) as { choices: { message: { content: string | null } }[] };
  return body.choices[0]?.message.content?.trim() ?? "";
}

/** The number of held-out tickets that `ask` labels right. */
export async function score(ask: Ask): Promise<number> {
  let right = 0;
  for (const { messages } of heldOut) {
    const response = await ask({
      messages: [messages[0]],
      structuredOutputs: { choice: labels },
      temperature: 0,
      stream: false,
    });
    if ((await answerOf(response)) === messages[1].content) right += 1;
  }
  return right;
}

/** Asks the model of a job as it was before the training. */
export async function askBase(model: string, job: TrainingJob): Promise<Ask> {
  const credentials = await ensureCredentials();
  const baseUrl = defaultArkorCloudApiUrl(credentials);
  const client = new CloudApiClient({ baseUrl, credentials });
  const scope = { orgSlug: job.orgId, projectSlug: job.projectId };
  return (args) => client.chat({ scope, body: { baseModel: model, ...args } });
}
