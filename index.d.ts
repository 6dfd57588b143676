/**
 * Fine-tune open-weight language models from TypeScript, on a native engine.
 *
 * @example
 * ```ts
 * import { createArkor, createTrainer } from "arkor";
 *
 * const trainer = createTrainer({
 *   name: "triage",
 *   model: "unsloth/gemma-4-E4B-it",
 *   dataset: { type: "huggingface", name: "acme/tickets" },
 *   lora: { r: 16, alpha: 32 },
 *   callbacks: {
 *     onLog: ({ step, loss }) => console.log(step, loss),
 *   },
 * });
 *
 * export const arkor = createArkor({ trainer });
 * ```
 *
 * @packageDocumentation
 */

// ── Models and data ────────────────────────────────────────────────────────────────────────

/** The models that are known by name; the editor completes them. */
export declare const SUPPORTED_MODELS: readonly ["unsloth/gemma-4-E4B-it"];

/** A model that is known by name. */
export type SupportedModel = (typeof SUPPORTED_MODELS)[number];

/** A data set of the Hugging Face hub. */
export interface HuggingfaceDatasetSource {
  type: "huggingface";
  /** The data set's name, `owner/name`. */
  name: string;
  /** The split, `train` say. */
  split?: string;
  /** The subset (configuration). */
  subset?: string;
}

/** A file that the backend fetches. */
export interface BlobDatasetSource {
  type: "blob";
  /** Where the file is. */
  url: string;
  /** What the backend authenticates with there. */
  token?: string;
}

/** Where the training data comes from. */
export type DatasetSource = HuggingfaceDatasetSource | BlobDatasetSource;

/** The LoRA adapter that is trained. */
export interface LoraConfig {
  /** Rank of the update matrices. */
  r: number;
  /** Scale of the update: it is multiplied by `alpha / r`. */
  alpha: number;
  /** Longest training sequence, in tokens. */
  maxLength?: number;
  /** Hold the frozen base in 4 bits. */
  loadIn4bit?: boolean;
}

// ── The trainer ────────────────────────────────────────────────────────────────────────────

/** What to train, on what, and who hears of it. */
export interface TrainerInput {
  /** The job's name. */
  name: string;
  /** The base model. Known names complete; any other is the backend's to refuse. */
  model: SupportedModel | (string & {});
  /** The training data. */
  dataset: DatasetSource;
  /** The adapter; the backend has defaults. */
  lora?: LoraConfig;
  /** Optimiser steps; takes precedence over {@link numTrainEpochs}. */
  maxSteps?: number;
  /** Passes over the data. */
  numTrainEpochs?: number;
  /** Peak learning rate. */
  learningRate?: number;
  /** Rows for each step. */
  batchSize?: number;
  /** The optimiser, by the backend's name. */
  optim?: string;
  /** The learning rate's schedule, by the backend's name. */
  lrSchedulerType?: string;
  /** AdamW's weight decay. */
  weightDecay?: number;
  /** Steps until the learning rate has reached its peak. Goes through verbatim. */
  warmupSteps?: unknown;
  /** Steps between two logs. Goes through verbatim. */
  loggingSteps?: unknown;
  /** Steps between two checkpoints. Goes through verbatim. */
  saveSteps?: unknown;
  /** Steps between two evaluations. Goes through verbatim. */
  evalSteps?: unknown;
  /** Count the loss of the assistant's words only. Goes through verbatim. */
  trainOnResponsesOnly?: unknown;
  /** How rows are read. Goes through verbatim. */
  datasetFormat?: unknown;
  /** Which split is used. Goes through verbatim. */
  datasetSplit?: unknown;
  /** A short run that goes all the way, to try things out. */
  dryRun?: boolean;
  /** Who hears of the run. They run inside {@link Trainer.wait}. */
  callbacks?: Partial<TrainerCallbacks>;
  /**
   * What a throwing callback does. `"reconnect"` (the default): the error goes to the reconnect
   * handler, the stream is opened again, and an event that has an id is skipped. `"reject"`:
   * `wait()` rejects at once with that very error, and the next `wait()` resumes at that event.
   */
  callbackErrors?: "reconnect" | "reject";
  /**
   * Ends {@link Trainer.wait}, which rejects with the signal's reason. The run goes on: call
   * {@link Trainer.cancel} to end it on the backend.
   */
  abortSignal?: AbortSignal;
}

/**
 * The second argument of {@link createTrainer}: where the backend is and how to reconnect.
 * @internal It may change without notice.
 */
export interface TrainerContext {
  /** The backend's base URL. Default: `ARKOR_CLOUD_API_URL`, the credentials', the cloud's. */
  baseUrl?: string;
  /** Who submits. Default: the stored credentials, else a new anonymous identity. */
  credentials?: Credentials;
  /** The project's directory, which holds `.arkor/`. Default: the working directory. */
  cwd?: string;
  /** Delay before the first reconnect, in milliseconds. Default 1000. */
  reconnectDelayMs?: number;
  /** No delay is longer, in milliseconds. Default 60 000. */
  maxReconnectDelayMs?: number;
  /** Failures in a row that are taken. Default: no limit. */
  maxReconnectAttempts?: number;
  /**
   * Without one byte from the backend for this long, in milliseconds, the connection counts as
   * dead. Time that a callback takes does not count. `0` and `Infinity` switch it off. Default
   * 60 000.
   */
  idleTimeoutMs?: number;
  /** Called before each delay. */
  onReconnect?: (notice: ReconnectNotice) => void;
}

/** What `onReconnect` is told. */
export interface ReconnectNotice {
  /** Failures in a row before this one, from 0. */
  attempt: number;
  /** The delay that follows, in milliseconds. */
  delayMs: number;
  /** Why; `undefined` after a clean end of the stream, which is no failure. */
  error: unknown;
  /** The id that the stream is opened with; `undefined` when there is none yet. */
  lastEventId: string | undefined;
}

/** A training run. */
export interface Trainer {
  /** The job's name. */
  readonly name: string;
  /**
   * Submits the job, once: later calls give the same id. Runs no callback.
   * @throws {CloudApiError} the backend refused
   * @throws {TypeError} `fetch failed`, with a `cause` that has the system's `code`
   */
  start(): Promise<{ jobId: string }>;
  /**
   * Follows the run to its end, dispatching its events to the callbacks one by one; starts it if
   * that has not been done. A failed run resolves too, with `job.status === "failed"`.
   * @throws {CloudApiError} the stream can't be had (401, 403, 410, 426)
   * @throws {Error} `Trainer SSE stream failed N consecutive times; giving up.`, with `cause`
   */
  wait(): Promise<TrainingResult>;
  /**
   * Ends the run on the backend. Does nothing before `start()`.
   * @throws {CloudApiError} the backend refused
   */
  cancel(): Promise<void>;
}

/** How a run ended. */
export interface TrainingResult {
  /** The job, as last heard of. */
  job: TrainingJob;
  /** What the run produced, as the backend sent it. */
  artifacts: unknown[];
}

/** The states of a job. */
export type JobStatus = "queued" | "running" | "completed" | "failed" | "cancelled";

/** A job, with every field that the backend sent. */
export interface TrainingJob {
  id: string;
  orgId: string;
  projectId: string;
  name: string;
  status: JobStatus;
  /** The config that the input became. */
  config: Record<string, unknown>;
  /** Why it failed. */
  error?: string | null;
  /** ISO 8601. */
  createdAt: string;
  /** ISO 8601. */
  startedAt?: string | null;
  /** ISO 8601. */
  completedAt?: string | null;
}

/** What the callbacks are, all of them optional. Each is awaited before the next event. */
export interface TrainerCallbacks {
  /** The run has begun. */
  onStarted: (context: { job: TrainingJob }) => unknown | Promise<unknown>;
  /** Progress. */
  onLog: (context: TrainingLogContext) => unknown | Promise<unknown>;
  /** A checkpoint of the adapter was saved; the run goes on. */
  onCheckpoint: (context: CheckpointContext) => unknown | Promise<unknown>;
  /** The run is complete. */
  onCompleted: (context: { job: TrainingJob; artifacts: unknown[] }) => unknown | Promise<unknown>;
  /** The run failed on the backend. Errors of other callbacks never come here. */
  onFailed: (context: { job: TrainingJob; error: string }) => unknown | Promise<unknown>;
}

/** What `onLog` gets. A metric that the backend did not send is `null`. */
export interface TrainingLogContext {
  /** Optimiser step; `NaN` if the event had none. */
  step: number;
  /** Training loss; `NaN` when it has diverged. */
  loss: number | null;
  /** Loss on the held-out split. */
  evalLoss: number | null;
  learningRate: number | null;
  /** Passes over the data so far, with a fraction. */
  epoch: number | null;
  samplesPerSecond: number | null;
  job: TrainingJob;
}

/** What `onCheckpoint` gets. */
export interface CheckpointContext {
  /** Optimiser step; `NaN` if the event had none. */
  step: number;
  /** Names the checkpoint to the backend. */
  adapter: { kind: "checkpoint"; jobId: string; step: number };
  job: TrainingJob;
  /**
   * Asks the half-trained model. May be kept and called later, also after the run.
   * @returns the backend's answer, streamed unless `stream: false`
   * @throws {CloudApiError} the backend refused
   * @throws {TypeError} `fetch failed`, with a `cause` that has the system's `code`
   */
  infer: (args: InferArgs) => Promise<Response>;
  /** The checkpoint's files, as the backend sent them. */
  artifacts?: unknown;
}

/**
 * Makes a trainer. Nothing is sent before {@link Trainer.start} or {@link Trainer.wait}.
 * @throws {TypeError} an argument is of the wrong kind; the message names it
 */
export declare function createTrainer(input: TrainerInput, context?: TrainerContext): Trainer;

// ── Asking a model ─────────────────────────────────────────────────────────────────────────

/** A call that the assistant wants made. */
export interface ToolCall {
  id: string;
  type: "function";
  function: {
    name: string;
    /** JSON text. */
    arguments: string;
  };
}

/** One turn of a conversation. An assistant's turn without text must carry `tool_calls`. */
export type ChatMessage =
  | { role: "system" | "user"; content: string }
  | { role: "assistant"; content: string; tool_calls?: ToolCall[] }
  | { role: "assistant"; content?: null; tool_calls: [ToolCall, ...ToolCall[]] }
  | { role: "tool"; content: string; tool_call_id: string };

/** A function that the model may call. */
export interface ToolDefinition {
  type: "function";
  function: {
    name: string;
    description?: string;
    /** JSON Schema. */
    parameters?: Record<string, unknown>;
    strict?: boolean;
  };
}

/** Whether and which tool is called. */
export type ToolChoice =
  | "auto"
  | "none"
  | "required"
  | { type: "function"; function: { name: string } };

/** The form of the answer. */
export type ResponseFormat =
  | { type: "text" }
  | { type: "json_object" }
  | {
      type: "json_schema";
      json_schema: {
        name: string;
        description?: string;
        schema: Record<string, unknown>;
        strict?: boolean;
      };
    };

interface StructuredOutputsOptions {
  disable_any_whitespace?: boolean;
  disable_additional_properties?: boolean;
  whitespace_pattern?: string;
}

interface StructuredOutputsConstraints {
  /** JSON Schema. */
  json: Record<string, unknown> | string;
  regex: string;
  choice: string[];
  grammar: string;
  json_object: true;
}

type ExactlyOne<T> = {
  [K in keyof T]: Pick<T, K> & { [Other in Exclude<keyof T, K>]?: never };
}[keyof T];

/** A constraint on the answer: exactly one. */
export type StructuredOutputs = ExactlyOne<StructuredOutputsConstraints> & StructuredOutputsOptions;

/** What to ask a checkpoint. */
export interface InferArgs {
  messages: ChatMessage[];
  temperature?: number;
  topP?: number;
  /** Most tokens of the answer. */
  maxTokens?: number;
  /** Server-sent events as the answer is made, or one JSON body. Default true. */
  stream?: boolean;
  tools?: ToolDefinition[];
  toolChoice?: ToolChoice;
  responseFormat?: ResponseFormat;
  structuredOutputs?: StructuredOutputs;
  /** Aborts the request, before or while the answer streams, with the signal's reason. */
  signal?: AbortSignal;
}

// ── The project ────────────────────────────────────────────────────────────────────────────

/** What a project is made of. */
export interface ArkorInput {
  trainer?: Trainer;
}

/** A project's manifest: what `src/arkor/index.ts` exports as `arkor`. */
export interface Arkor {
  readonly _kind: "arkor";
  readonly trainer?: Trainer;
}

/** Makes a project's manifest, frozen. */
export declare function createArkor(input: ArkorInput): Arkor;

/** Whether a value is a project's manifest. */
export declare function isArkor(value: unknown): value is Arkor;

/**
 * Imports an entry, picks its trainer (export `arkor`, export `trainer`, or the default export),
 * starts it and follows it to its end.
 * @param file the entry; default `src/arkor/index.ts`
 * @throws {Error} `Training entry not found: …`, `Training entry must export …`
 */
export declare function runTrainer(file?: string): Promise<TrainingResult>;

// ── Identity ───────────────────────────────────────────────────────────────────────────────

/** An identity without an account. */
export interface AnonymousCredentials {
  mode: "anon";
  token: string;
  anonymousId: string;
  arkorCloudApiUrl: string;
  orgSlug: string;
}

/** An account, by OAuth. */
export interface OAuthCredentials {
  mode: "oauth";
  accessToken: string;
  refreshToken: string;
  /** Seconds since the epoch. */
  expiresAt: number;
  auth0Domain: string;
  audience: string | null;
  clientId: string;
  arkorCloudApiUrl?: string;
}

/** Who the user is. */
export type Credentials = AnonymousCredentials | OAuthCredentials;

/** Where the credentials are: `~/.arkor/credentials.json`. */
export declare function credentialsPath(): string;

/**
 * The stored credentials, or `null` when there are none (or nothing that could be some).
 * @throws {Error} the file is there but can't be read
 */
export declare function readCredentials(): Promise<Credentials | null>;

/** Stores credentials: as a whole, in a file of mode 0600. */
export declare function writeCredentials(credentials: Credentials): Promise<void>;

/**
 * The stored credentials, else a new anonymous identity, which is stored.
 * @throws {Error} `AnonymousTokenRejectedError` (by `name`, with `status`): the backend refused
 */
export declare function ensureCredentials(): Promise<Credentials>;

/** A new anonymous identity. */
export interface AnonymousToken {
  token: string;
  anonymousId: string;
  kind: "cli" | "web";
  /** Its own organisation. */
  orgSlug: string;
}

/**
 * Asks a backend for an anonymous identity; nothing is stored.
 * @throws {Error} `AnonymousTokenRejectedError` (by `name`, with `status`): the backend refused
 */
export declare function requestAnonymousToken(
  baseUrl: string,
  kind?: "cli" | "web",
): Promise<AnonymousToken>;

/** The backend's URL: `ARKOR_CLOUD_API_URL`, else the credentials', else `https://api.arkor.ai`. */
export declare function defaultArkorCloudApiUrl(credentials?: Credentials | null): string;

/** Which project a directory's jobs belong to. */
export interface ArkorProjectState {
  orgSlug: string;
  projectSlug: string;
  projectId: string;
}

/** Where a project's state is: `.arkor/state.json`. Default: of the working directory. */
export declare function statePath(cwd?: string): string;

/** A project's state, or `null` when there is none (or nothing usable). */
export declare function readState(cwd?: string): Promise<ArkorProjectState | null>;

/** Stores a project's state, as a whole. */
export declare function writeState(state: ArkorProjectState, cwd?: string): Promise<void>;

// ── The backend, call by call ──────────────────────────────────────────────────────────────

/** What a {@link CloudApiClient} is made of. */
export interface CloudApiClientOptions {
  /** The backend's URL; a trailing slash is dropped. */
  baseUrl: string;
  /** Whose requests these are. */
  credentials: Credentials;
  /** All traffic of the client goes through this, called as `fetch(url, init)`. */
  fetch?: typeof globalThis.fetch;
  /** Told when the backend says that this version of the SDK is deprecated. */
  onDeprecation?: (notice: { message: string; sunset: string | null }) => void;
}

/** Whose deployments, whose jobs. */
export interface DeploymentScope {
  orgSlug: string;
  projectSlug: string;
}

/** A project, as the backend has it. */
export interface Project {
  id: string;
  slug: string;
  name: string;
  orgId: string;
}

/** What a deployment serves. */
export type DeploymentTarget =
  | {
      kind: "adapter";
      adapter:
        | { kind: "final"; jobId: string }
        | { kind: "checkpoint"; jobId: string; step: number };
    }
  | { kind: "base_model"; baseModel: string };

/** How a deployment's callers prove who they are. */
export type DeploymentAuthMode = "none" | "fixed_api_key";

/** How long a deployment keeps its runs; open to values of a newer backend. */
export type DeploymentRunRetentionMode = "unlimited" | "disabled" | "days" | (string & {});

/** A deployment, as the backend has it. */
export interface DeploymentDto {
  id: string;
  slug: string;
  orgId: string;
  projectId: string;
  target: DeploymentTarget;
  authMode: DeploymentAuthMode;
  urlFormat: "openai_compat";
  enabled: boolean;
  customDomain: string | null;
  runRetentionMode?: DeploymentRunRetentionMode;
  runRetentionDays?: number | null;
  createdAt: string;
  updatedAt: string;
}

/** `runRetentionDays` goes with `"days"` only. */
type RunRetention =
  | { runRetentionMode: "days"; runRetentionDays: number }
  | { runRetentionMode?: "unlimited" | "disabled"; runRetentionDays?: never };

/** A new deployment. */
export type CreateDeploymentInput = {
  slug: string;
  target: DeploymentTarget;
  authMode: DeploymentAuthMode;
  urlFormat?: "openai_compat";
  enabled?: boolean;
} & RunRetention;

/** What changes of a deployment. */
export type UpdateDeploymentInput = {
  slug?: string;
  target?: DeploymentTarget;
  authMode?: DeploymentAuthMode;
  enabled?: boolean;
  customDomain?: string | null;
} & RunRetention;

/** A deployment's key, without what is shown only once. */
export interface DeploymentKeyDto {
  id: string;
  label: string;
  prefix: string;
  enabled: boolean;
  createdAt: string;
  lastUsedAt: string | null;
}

/** A new key. */
export interface CreateDeploymentKeyInput {
  label: string;
}

/** A new key, with the key itself, which is shown this once. */
export interface CreateDeploymentKeyResult {
  key: DeploymentKeyDto & { plaintext: string };
}

/**
 * The backend's HTTP API. Every method rejects with {@link CloudApiError} when the answer is not
 * 2xx, with `TypeError("fetch failed")` when there is none, and with an `Error` that names the
 * field when the answer is not what the call promises. Nothing is tried twice.
 */
export declare class CloudApiClient {
  constructor(options: CloudApiClientOptions);
  listProjects(orgSlug: string): Promise<{ org: { slug: string }; projects: Project[] }>;
  createProject(project: {
    orgSlug: string;
    name: string;
    slug: string;
  }): Promise<{ project: Project }>;
  createJob(
    job: DeploymentScope & { name: string; config: Record<string, unknown> },
  ): Promise<{ job: TrainingJob }>;
  getJob(jobId: string, scope: DeploymentScope): Promise<{ job: TrainingJob; events?: unknown[] }>;
  cancelJob(jobId: string, scope: DeploymentScope): Promise<void>;
  /** The job's events as they come, raw. */
  openEventStream(
    jobId: string,
    scope: DeploymentScope,
    options?: { lastEventId?: string; signal?: AbortSignal },
  ): Promise<Response>;
  /** Asks a model; the answer is raw. */
  chat(question: {
    scope: DeploymentScope;
    body: Record<string, unknown>;
    signal?: AbortSignal;
  }): Promise<Response>;
  listDeployments(scope: DeploymentScope): Promise<{ deployments: DeploymentDto[] }>;
  getDeployment(id: string, scope: DeploymentScope): Promise<{ deployment: DeploymentDto }>;
  createDeployment(
    scope: DeploymentScope,
    input: CreateDeploymentInput,
  ): Promise<{ deployment: DeploymentDto }>;
  updateDeployment(
    id: string,
    scope: DeploymentScope,
    input: UpdateDeploymentInput,
  ): Promise<{ deployment: DeploymentDto }>;
  deleteDeployment(id: string, scope: DeploymentScope): Promise<void>;
  listDeploymentKeys(id: string, scope: DeploymentScope): Promise<{ keys: DeploymentKeyDto[] }>;
  createDeploymentKey(
    id: string,
    scope: DeploymentScope,
    input: CreateDeploymentKeyInput,
  ): Promise<CreateDeploymentKeyResult>;
  revokeDeploymentKey(id: string, keyId: string, scope: DeploymentScope): Promise<void>;
}

// ── Errors ─────────────────────────────────────────────────────────────────────────────────

/** The backend's answer was not 2xx. */
export declare class CloudApiError extends Error {
  constructor(status: number, message: string);
  readonly name: "CloudApiError";
  /** The HTTP status. */
  readonly status: number;
}
