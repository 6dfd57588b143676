// A project as users of the TypeScript SDK have it: it must compile under `strict`, unchanged.
import {
  type AnonymousCredentials,
  type Arkor,
  type ArkorInput,
  type ArkorProjectState,
  type BlobDatasetSource,
  type ChatMessage,
  type CheckpointArtifact,
  type CheckpointContext,
  CloudApiClient,
  type CloudApiClientOptions,
  CloudApiError,
  type CreateDeploymentInput,
  type CreateDeploymentKeyInput,
  type CreateDeploymentKeyResult,
  type Credentials,
  createArkor,
  createTrainer,
  credentialsPath,
  type DatasetSource,
  type DeploymentAuthMode,
  type DeploymentDto,
  type DeploymentKeyDto,
  type DeploymentRunRetentionMode,
  type DeploymentScope,
  type DeploymentTarget,
  defaultArkorCloudApiUrl,
  ensureCredentials,
  type FileDatasetSource,
  type HuggingfaceDatasetSource,
  type InferArgs,
  isArkor,
  type JobStatus,
  type LoraConfig,
  type OAuthCredentials,
  type ResponseFormat,
  readCredentials,
  readState,
  requestAnonymousToken,
  runTrainer,
  type StructuredOutputs,
  SUPPORTED_MODELS,
  type SupportedModel,
  statePath,
  type ToolCall,
  type ToolChoice,
  type ToolDefinition,
  type Trainer,
  type TrainerCallbacks,
  type TrainerContext,
  type TrainerInput,
  type TrainingArtifact,
  type TrainingJob,
  type TrainingLogContext,
  type TrainingResult,
  type UpdateDeploymentInput,
  writeCredentials,
  writeState,
} from "arkor";

const controller = new AbortController();
const dataset: DatasetSource = { type: "huggingface", name: "acme/tickets", split: "train" };
const lora: LoraConfig = { r: 16, alpha: 32, maxLength: 512, loadIn4bit: true };

const callbacks: Partial<TrainerCallbacks> = {
  onStarted: ({ job }) => console.log(job.status satisfies JobStatus),
  async onLog({ step, loss, evalLoss }: TrainingLogContext) {
    if (loss !== null && Number.isNaN(loss)) controller.abort();
    return step + (evalLoss ?? 0);
  },
  async onCheckpoint({ step, adapter, infer, artifacts }: CheckpointContext) {
    const response: Response = await infer({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "hello" },
      ],
      stream: false,
      signal: controller.signal,
    });
    const files: unknown[] | undefined = artifacts;
    const first: CheckpointArtifact | undefined = files?.[0];
    console.log(step, adapter.jobId, await response.json(), first);
  },
  onCompleted: ({ artifacts }) => artifacts.length,
  onFailed: ({ error }) => error.toUpperCase(),
};

/** Artifacts are cast to the local backend's type, or to one of the project's own. */
export function sizes({ artifacts }: TrainingResult): number[] {
  const raw: unknown[] = artifacts;
  return (raw as TrainingArtifact[]).map(({ size }) => size);
}

export const trainer: Trainer = createTrainer({
  name: "triage",
  model: "unsloth/gemma-4-E4B-it",
  dataset,
  lora,
  maxSteps: 100,
  warmupSteps: 5,
  evalSteps: { anything: "goes through" },
  callbacks,
  callbackErrors: "reject",
  abortSignal: controller.signal,
});

export const arkor: Arkor = createArkor({ trainer } satisfies ArkorInput);

export async function run(): Promise<TrainingResult> {
  const { jobId } = await trainer.start();
  try {
    const result = await trainer.wait();
    const job: TrainingJob = result.job;
    // The wire fields, and any that a newer backend sends.
    const { model, datasetSource, loraR, newer }: TrainingJob["config"] = job.config;
    const name: string = model;
    const rank: number | undefined = loraR;
    console.log(jobId, job.error ?? "fine", name, rank, datasetSource.type, newer);
    return result;
  } catch (error) {
    if (error instanceof CloudApiError) {
      const { status, message, headers, body } = error;
      const code: string | undefined = error.code;
      const requestId: string | undefined = error.requestId;
      console.log(status, message, code, requestId, headers.get("retry-after"), body);
    }
    await trainer.cancel();
    throw error;
  }
}

// Any other model is the backend's to refuse.
const input: TrainerInput = { name: "n", model: "my/model", dataset: { type: "blob", url: "u" } };
const context: TrainerContext = { reconnectDelayMs: 1, onReconnect: ({ error }) => error };
createTrainer(input, context);

const known: SupportedModel = SUPPORTED_MODELS[0];
const blob: BlobDatasetSource = { type: "blob", url: "https://x", token: "t" };
const file: FileDatasetSource = { type: "file", path: "data/rows.jsonl" };
const hub: HuggingfaceDatasetSource = { type: "huggingface", name: "n", subset: "s" };
const call: ToolCall = { id: "1", type: "function", function: { name: "f", arguments: "{}" } };
const tool: ToolDefinition = { type: "function", function: { name: "f", parameters: {} } };
const choice: ToolChoice = { type: "function", function: { name: "f" } };
const messages: ChatMessage[] = [
  { role: "user", content: "hi" },
  { role: "assistant", content: "hello" },
  { role: "assistant", content: null, tool_calls: [call] },
  { role: "assistant", tool_calls: [call] },
  { role: "tool", content: "42", tool_call_id: "1" },
];
const format: ResponseFormat = {
  type: "json_schema",
  json_schema: { name: "answer", schema: { type: "object" }, strict: true },
};
const outputs: StructuredOutputs[] = [
  { choice: ["a", "b"] },
  { regex: "[a-z]+", whitespace_pattern: " " },
  { json: { type: "object" }, disable_any_whitespace: true },
  { grammar: "root ::= 'x'" },
  { json_object: true },
];
export const question: InferArgs = {
  messages,
  tools: [tool],
  toolChoice: choice,
  responseFormat: format,
  topP: 0.9,
};

export async function identity(): Promise<void> {
  const credentials: Credentials | null = await readCredentials();
  const anonymous: AnonymousCredentials | OAuthCredentials = await ensureCredentials();
  if (credentials?.mode === "oauth") {
    const audience: string = credentials.audience;
    console.log(credentials.refreshToken, audience);
  }
  await writeCredentials(anonymous);
  const token = await requestAnonymousToken(defaultArkorCloudApiUrl(credentials), "cli");
  console.log(token.orgSlug, credentialsPath(), statePath());
  const state: ArkorProjectState | null = await readState(".");
  if (state) await writeState(state, ".");
}

export async function deployments(options: CloudApiClientOptions): Promise<void> {
  const client = new CloudApiClient(options);
  const scope: DeploymentScope = { orgSlug: "o", projectSlug: "p" };
  const target: DeploymentTarget = { kind: "adapter", adapter: { kind: "final", jobId: "j" } };
  const auth: DeploymentAuthMode = "fixed_api_key";
  const create: CreateDeploymentInput = {
    slug: "s",
    target,
    authMode: auth,
    runRetentionMode: "days",
    runRetentionDays: 30,
  };
  const { deployment } = await client.createDeployment(scope, create);
  const dto: DeploymentDto = deployment;
  const mode: DeploymentRunRetentionMode | undefined = dto.runRetentionMode;
  const update: UpdateDeploymentInput = mode ? { runRetentionMode: mode } : { enabled: true };
  const days: number | undefined = dto.runRetentionDays;
  const kept: UpdateDeploymentInput = days
    ? { runRetentionMode: "days", runRetentionDays: days }
    : { runRetentionMode: dto.runRetentionMode };
  const signal = AbortSignal.timeout(1000);
  await client.updateDeployment(dto.id, scope, update, { signal, timeoutMs: 500 });
  await client.updateDeployment(dto.id, scope, kept);
  const label: CreateDeploymentKeyInput = { label: "ci" };
  const created: { key: CreateDeploymentKeyResult } = await client.createDeploymentKey(
    dto.id,
    scope,
    label,
  );
  const { id, prefix, createdAt, plaintext, label: named }: CreateDeploymentKeyResult = created.key;
  const made: string[] = [id, prefix, createdAt, plaintext, named];
  console.log(made);
  const keys: DeploymentKeyDto[] = (await client.listDeploymentKeys(dto.id, scope)).keys;
  for (const { id } of keys) await client.revokeDeploymentKey(dto.id, id, scope);
}

if (isArkor(arkor) && arkor.trainer) void runTrainer("src/arkor/index.ts");
console.log(known, blob, file, hub, outputs);
