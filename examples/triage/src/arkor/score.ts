// Counts how many questions a model answers exactly right. The questions are held out: training never
// sees them, so a good score means that the model has learned the task, not the rows.
import { readFileSync } from "node:fs";
import {
  CloudApiClient,
  completionText,
  defaultArkorCloudApiUrl,
  ensureCredentials,
  type InferArgs,
  readState,
  type TrainingJob,
} from "arkor";

/** A function that asks a model: a checkpoint's `infer`, or the result of `baseModel` or `trainedModel`. */
export type Ask = (args: InferArgs) => Promise<Response>;

export interface HeldOutRow {
  question: string;
  answer: string;
}

/** Reads a file with one `{ "messages": [question, answer] }` per line. */
export function readHeldOut(file: string): HeldOutRow[] {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => {
    const { messages } = JSON.parse(line) as { messages: [Message, Message] };
    return { question: messages[0].content, answer: messages[1].content };
  });
}

interface Message {
  content: string;
}

/** Asks one question. Temperature 0 gives the same answer each time. */
export async function answerOf(ask: Ask, question: string, options: Partial<InferArgs> = {}) {
  const messages: InferArgs["messages"] = [{ role: "user", content: question }];
  const response = await ask({ messages, temperature: 0, maxTokens: 96, ...options });
  return (await completionText(response)).trim();
}

/** How many of the rows `ask` answers exactly right. */
export async function score(ask: Ask, rows: HeldOutRow[], options?: Partial<InferArgs>) {
  let right = 0;
  for (const { question, answer } of rows) {
    if ((await answerOf(ask, question, options)) === answer) right += 1;
  }
  return right;
}

/** Asks the model of a job as it was before training. */
export function baseModel(job: TrainingJob): Ask {
  return (args) => chat(job, { baseModel: job.config.model, ...args });
}

/** Asks the same model with the adapter that the job has trained. */
export function trainedModel(job: TrainingJob): Ask {
  return (args) => chat(job, { adapter: { kind: "final", jobId: job.id }, ...args });
}

async function chat(job: TrainingJob, body: Record<string, unknown>): Promise<Response> {
  const credentials = await ensureCredentials();
  const client = new CloudApiClient({
    baseUrl: defaultArkorCloudApiUrl(credentials),
    credentials,
  });
  // In the cloud, use the project that `arkor start` has created. A local backend has only one project.
  const scope = (await readState()) ?? { orgSlug: job.orgId, projectSlug: job.projectId };
  return client.chat({ scope, body });
}

/** The text on one line, for a list. */
export function oneLine(text: string) {
  return text.replace(/\s+/g, " ").trim();
}

/** Suggests what to do next. `share` is the share of held-out rows that the trained model gets right. */
export function whatNext(job: TrainingJob, share: number, data: string) {
  const model = `Train a real model: "HuggingFaceTB/SmolLM2-135M-Instruct" in arkor.config.ts, for example.`;
  if (job.config.dryRun) {
    return `It was a dry run of a few steps:
  Train without --dry-run to see what the model can learn.`;
  }
  if (share >= 0.5) {
    return `Make it yours:
  Put your own rows into ${data}.jsonl and ${data}.heldout.jsonl.
  ${model}`;
  }
  return `Less than half is right. The built-in model, arkor-tiny, is too small for varied data. What helps:
  ${model}
  Begin with 100 steps and a learning rate of 2e-4 for it.
  Put more rows into ${data}.jsonl.`;
}
