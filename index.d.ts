/**
 * Fine-tune open-weight language models from TypeScript, on a native engine.
 *
 * Functions that talk to the backend reject with {@link CloudApiError} when its answer isn't 2xx, and
 * with `TypeError("fetch failed")`, whose `cause.code` is the system's (`ECONNREFUSED`, …), when there
 * is no answer. Only {@link Trainer.wait} retries.
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

/** The models that are known by name; the editor completes them. Frozen. */
export declare const SUPPORTED_MODELS: readonly ["unsloth/gemma-4-E4B-it"];

/** A model that is known by name. */
export type SupportedModel = (typeof SUPPORTED_MODELS)[number];

/** A dataset on the Hugging Face Hub. */
export interface HuggingfaceDatasetSource {
  type: "huggingface";
  /** The dataset's name, `owner/name`. */
  name: string;
  /** The split, for example `train`. Default: the backend's choice. */
  split?: string;
  /** The subset, which the Hub also calls a configuration. Default: the dataset's only one. */
  subset?: string;
}

/** A file with one JSON object per line, which the backend fetches. */
export interface BlobDatasetSource {
  type: "blob";
  /** Where the file is: `https://…`; for a local backend also `http://…` and `file:///…`. */
  url: string;
  /** The bearer token that the backend sends when fetching it. Default: none. */
  token?: string;
}

/** A file on this machine, which only a local backend can read. */
export interface FileDatasetSource {
  type: "file";
  /** Relative to the project's directory, or absolute. */
  path: string;
}

/**
 * Where the training data comes from. Unless the backend is local, {@link Trainer.start} rejects a
 * file on this machine (including a `file:` URL) before anything is sent.
 *
 * @example
 * ```ts
 * import type { DatasetSource } from "arkor";
 *
 * export const hub: DatasetSource = { type: "huggingface", name: "acme/tickets", split: "train" };
 * export const file: DatasetSource = { type: "file", path: "data/tickets.jsonl" };
 * ```
 */
export type DatasetSource = HuggingfaceDatasetSource | BlobDatasetSource | FileDatasetSource;

/** The LoRA adapter that is trained. */
export interface LoraConfig {
  /** Rank of the update matrices: a whole number from 1; 8 to 64 are usual. */
  r: number;
  /** Scale of the update, which is multiplied by `alpha / r`. Often `r` or `2 * r`. */
  alpha: number;
  /** Longest training sequence, in tokens; longer rows are cut. Default: the backend's. */
  maxLength?: number;
  /** Hold the frozen base in 4 bits, to save memory. */
  loadIn4bit?: boolean;
}

// ── The trainer ────────────────────────────────────────────────────────────────────────────

/**
 * The model to train, the data to train it on, and the callbacks.
 *
 * Everything except `name`, `callbacks`, `callbackErrors` and `abortSignal` becomes the job's config.
 * Omitted options get the backend's defaults. The backend validates every value: if it refuses one,
 * {@link Trainer.start} rejects with {@link CloudApiError}.
 */
export interface TrainerInput {
  /** A human-readable name for the job. */
  name: string;
  /** The base model. Known names complete in the editor; the backend decides about any other. */
  model: SupportedModel | (string & {});
  /** The training data. */
  dataset: DatasetSource;
  /** The adapter. */
  lora?: LoraConfig;
  /** Optimiser steps; takes precedence over {@link TrainerInput.numTrainEpochs}. */
  maxSteps?: number;
  /** Passes over the data. */
  numTrainEpochs?: number;
  /** Peak learning rate, for example 2e-4. */
  learningRate?: number;
  /** Rows per optimiser step. */
  batchSize?: number;
  /** The optimiser, by the backend's name for it, for example `"adamw_torch"`. */
  optim?: string;
  /** The learning rate schedule, by the backend's name: `"linear"`, `"cosine"`, `"constant"`. */
  lrSchedulerType?: string;
  /** AdamW's weight decay. */
  weightDecay?: number;
  /**
   * Steps until the learning rate reaches its peak, for example `10`. Passed through unchanged. Default of
   * the local backend: `0`.
   */
  warmupSteps?: unknown;
  /**
   * Steps between `onLog` calls, for example `5`. Passed through unchanged. Default of the local backend:
   * `1`, every step.
   */
  loggingSteps?: unknown;
  /**
   * Steps between checkpoints, and so between `onCheckpoint` calls, for example `50`. Passed through
   * unchanged. Default of the local backend: a third of all steps. There's always one after the last step.
   */
  saveSteps?: unknown;
  /**
   * So many checkpoints are kept on the backend's disk; the last one and the one with the lowest eval
   * loss always are. All by default. An addition of this package, for the local backend.
   */
  saveTotalLimit?: number;
  /**
   * Steps between evaluations, which give `onLog` its `evalLoss`, for example `25`. Passed through unchanged.
   * Default of the local backend: a fifth of all steps. It also evaluates with the first log and after the
   * last step.
   */
  evalSteps?: unknown;
  /**
   * `true` computes the loss on the assistant's responses only. Passed through unchanged. Default of the
   * local backend: `false`, on everything.
   */
  trainOnResponsesOnly?: unknown;
  /**
   * The shape of the rows, for example `"messages"`, `"prompt_completion"` or `"alpaca"`, or as an object,
   * `{ type: "messages" }`. Passed through unchanged. Default of the local backend: told from the rows;
   * it's needed only for rows that fit several.
   */
  datasetFormat?: unknown;
  /**
   * Which split of a Hub dataset is trained on, for example `"train"`. Passed through unchanged. Default of
   * the local backend: `"train"`.
   */
  datasetSplit?: unknown;
  /** Do a short but complete trial run, including checkpoints and the adapter. */
  dryRun?: boolean;
  /** Called with the run's events, inside {@link Trainer.wait}. Looked up for each event. */
  callbacks?: Partial<TrainerCallbacks>;
  /**
   * What happens when a callback throws. Default `"reconnect"`: an `ArkorCallbackWarning` is
   * emitted, the stream is reopened after a delay, and an event that has an id is skipped.
   * `"reject"`: `wait()` rejects at once with the error itself, and the next `wait()` begins at that
   * event.
   */
  callbackErrors?: "reconnect" | "reject";
  /**
   * Ends {@link Trainer.wait}, which rejects with the signal's reason: at once, or as soon as the
   * running callback has settled. The run itself continues: {@link Trainer.cancel} ends it on the
   * backend. If the signal is aborted before `wait()`, nothing is submitted. Each `wait()` reads this
   * property again, so after you replace the signal, the next `wait()` resumes the run.
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
  /** The identity that submits the job. Default: the stored credentials, else a new anonymous identity. */
  credentials?: Credentials;
  /**
   * Called when the login passed as `credentials` has been renewed. Store what it receives: the refresh
   * token you passed may no longer be valid. Anything it throws or returns is ignored.
   */
  onCredentials?: (credentials: OAuthCredentials) => void;
  /** The project's directory, which holds `.arkor/`. Default: the working directory at the time. */
  cwd?: string;
  /**
   * Delay before the first reconnect, in milliseconds. Doubled for each consecutive failure, each time
   * ± 25 %; the stream's `retry:` field replaces it. Default 1000.
   */
  reconnectDelayMs?: number;
  /** The longest delay, in milliseconds, even if the backend asks for a longer one. Default 60 000. */
  maxReconnectDelayMs?: number;
  /**
   * How many consecutive failures are tolerated; one more rejects `wait()`. An event whose callback
   * succeeded resets the count. A whole number, or `Infinity`. Default: no limit.
   */
  maxReconnectAttempts?: number;
  /**
   * If the backend sends nothing for this long, in milliseconds, the connection counts as dead. Time
   * spent in a callback doesn't count. `0` and `Infinity` turn this off. Default 60 000.
   */
  idleTimeoutMs?: number;
  /** Called before each delay, for information only: anything it throws or returns is ignored. */
  onReconnect?: (notice: ReconnectNotice) => void;
}

/** The argument of `onReconnect`. */
export interface ReconnectNotice {
  /** The number of consecutive failures before this one, starting at 0. */
  attempt: number;
  /** The delay that follows, in milliseconds. */
  delayMs: number;
  /** The reason; `undefined` after a clean end of the stream, which isn't a failure. */
  error: unknown;
  /** The id that the stream is reopened with; `undefined` if there is none yet. */
  lastEventId: string | undefined;
}

/** A training run. Its methods can be destructured: `const { wait } = trainer`. */
export interface Trainer {
  /** The job's name. */
  readonly name: string;
  /**
   * Submits the job, once: later and concurrent calls return the same id. Doesn't run any callback.
   * After a rejection, it can be called again.
   * @throws {Error} `ProjectStateMismatchError` (by `name`) and other problems with the identity or the
   *   project
   * @throws {CloudApiError} the backend refused
   * @throws {TypeError} `fetch failed`, with a `cause` that has the system's `code`: `ETIMEDOUT` when
   *   there is no answer within 60 s
   */
  start(): Promise<{ jobId: string }>;
  /**
   * Follows the run to its end, dispatching its events to the callbacks one by one; starts it first if
   * necessary. Also resolves for a failed run, with `job.status === "failed"`, and for a cancelled one,
   * with `"cancelled"`. Concurrent calls share one run. Once it's over, further calls return the same
   * result; after a rejection, the next call resumes after the last event.
   * @throws {CloudApiError} the stream can't be opened (401, 403, 410, 426)
   * @throws {Error} `Trainer SSE stream failed N consecutive times; giving up.`, with `cause`, when
   *   {@link TrainerContext.maxReconnectAttempts} is exceeded
   * @throws what a callback threw: with `callbackErrors: "reject"`, or after an abort
   * @throws the reason of the `abortSignal`
   */
  wait(): Promise<TrainingResult>;
  /**
   * Ends the run on the backend; `wait()` then resolves. Does nothing before `start()`, and waits
   * for one that is in flight.
   * @throws {CloudApiError} the backend refused
   * @throws {TypeError} `fetch failed`, with `cause.code` `ETIMEDOUT` when there is no answer within 60 s
   */
  cancel(): Promise<void>;
}

/** How a run ended. */
export interface TrainingResult {
  /** The job's last known state. */
  job: TrainingJob;
  /**
   * What the run produced, as the backend sent it; `[]` unless it completed. Cast one of the local backend's
   * to {@link TrainingArtifact}.
   */
  artifacts: unknown[];
}

/**
 * A file that a run or a checkpoint has produced, as the local backend sends it. What another backend sends may
 * have another shape, so `artifacts` is `unknown[]` everywhere: check what you use.
 *
 * @example
 * ```ts
 * import type { TrainingArtifact, TrainingResult } from "arkor";
 *
 * export function adapterOf({ artifacts }: TrainingResult): string | undefined {
 *   const files = artifacts as Partial<TrainingArtifact>[];
 *   return files.find(({ name }) => name === "adapter_model.safetensors")?.path;
 * }
 * ```
 */
export interface TrainingArtifact {
  /** The file's name, for example `adapter_model.safetensors`. */
  name: string;
  /** Its absolute path on the backend's machine. */
  path: string;
  /** In bytes. */
  size: number;
  /** The SHA-256 of its content, in hexadecimal. */
  sha256: string;
}

/** The states of a job. */
export type JobStatus = "queued" | "running" | "completed" | "failed" | "cancelled";

/** A job, with every field that the backend sent, also those that are not named here. */
export interface TrainingJob {
  id: string;
  orgId: string;
  projectId: string;
  /** {@link TrainerInput.name}. */
  name: string;
  status: JobStatus;
  /** The config that the input became. */
  config: TrainingJobConfig;
  /** Why it failed, in the backend's words. */
  error?: string | null;
  /** ISO 8601. */
  createdAt: string;
  /** ISO 8601. */
  startedAt?: string | null;
  /** ISO 8601. */
  completedAt?: string | null;
}

/** A job's config, in the backend's names. A newer backend may send more fields. */
export interface TrainingJobConfig {
  model: string;
  datasetSource: HuggingfaceDatasetSource | BlobDatasetSource;
  loraR?: number;
  loraAlpha?: number;
  /** Tokens per row; longer rows are cut. */
  maxLength?: number;
  loadIn4bit?: boolean;
  maxSteps?: number;
  numTrainEpochs?: number;
  learningRate?: number;
  batchSize?: number;
  optim?: string;
  lrSchedulerType?: string;
  weightDecay?: number;
  dryRun?: boolean;
  [field: string]: unknown;
}

/**
 * The callbacks, all of them optional. Each is awaited before the next event is dispatched, in
 * stream order; its return value is ignored. {@link TrainerInput.callbackErrors} controls what
 * happens when one throws.
 */
export interface TrainerCallbacks {
  /** The run has begun: `job.status` is `"running"`. */
  onStarted: (context: { job: TrainingJob }) => unknown | Promise<unknown>;
  /** Progress, every `loggingSteps`. */
  onLog: (context: TrainingLogContext) => unknown | Promise<unknown>;
  /** A checkpoint of the adapter was saved, every `saveSteps`. The run continues in the meantime. */
  onCheckpoint: (context: CheckpointContext) => unknown | Promise<unknown>;
  /** The run completed. If this callback throws, the result isn't lost. */
  onCompleted: (context: { job: TrainingJob; artifacts: unknown[] }) => unknown | Promise<unknown>;
  /**
   * The run failed on the backend; `error` is its message, a string. Errors thrown by other callbacks
   * never get here.
   */
  onFailed: (context: { job: TrainingJob; error: string }) => unknown | Promise<unknown>;
}

/**
 * What `onLog` gets. A metric that the backend did not send with this step is `null`; one that it
 * sent as `NaN` or `Infinity` is that number.
 */
export interface TrainingLogContext {
  /** Optimiser step; `NaN` if the event had none. */
  step: number;
  /** Training loss; `NaN` when it has diverged. */
  loss: number | null;
  /** Loss on the held-out rows; `null` on steps without an evaluation. */
  evalLoss: number | null;
  /** The learning rate of this step. */
  learningRate: number | null;
  /** Passes over the data so far, with a fraction. */
  epoch: number | null;
  /** Training rows for each second. */
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
   * Queries this checkpoint while the run continues. You can keep it and call it later, even after the run.
   * @returns the backend's answer, a WHATWG `Response` whose body streams: server-sent events,
   *   or one JSON body with `stream: false`
   * @example
   * ```ts
   * import type { CheckpointContext } from "arkor";
   *
   * export async function ask({ infer }: CheckpointContext): Promise<unknown> {
   *   const response = await infer({
   *     messages: [{ role: "user", content: "Where is my parcel?" }],
   *     stream: false,
   *   });
   *   return response.json();
   * }
   * ```
   * @throws the reason of `args.signal`
   * @throws {CloudApiError} the backend refused
   * @throws {TypeError} `fetch failed`, with a `cause` that has the system's `code`
   */
  infer: (args: InferArgs) => Promise<Response>;
  /** The checkpoint's files, as the backend sent them. */
  artifacts?: CheckpointArtifact[];
}

/** A file of a checkpoint, as the backend sent it; the local backend sends a {@link TrainingArtifact}. */
export type CheckpointArtifact = unknown;

/**
 * The text of a chat answer: what `infer` and {@link CloudApiClient.chat} resolve with, streamed or not. An
 * answer without text (tool calls only) gives `""`.
 *
 * @throws {CloudApiError} the answer is an error, also one in the middle of a stream, or ends before it is
 *   complete
 *
 * ```ts
 * import { type CheckpointContext, completionText } from "arkor";
 *
 * export async function ask({ infer }: CheckpointContext): Promise<string> {
 *   return completionText(await infer({ messages: [{ role: "user", content: "Where is my parcel?" }] }));
 * }
 * ```
 */
export declare function completionText(response: Response): Promise<string>;

/**
 * The text of a chat answer, piece by piece as it arrives. Leaving the loop early closes the connection. Errors
 * as {@link completionText}'s; the pieces that came before one have been yielded.
 */
export declare function completionStream(response: Response): AsyncIterable<string>;

/**
 * Makes a trainer. Nothing is sent before {@link Trainer.start} or {@link Trainer.wait}.
 *
 * @example
 * ```ts
 * import { createTrainer } from "arkor";
 *
 * const trainer = createTrainer({
 *   name: "tickets",
 *   model: "unsloth/gemma-4-E4B-it",
 *   dataset: { type: "huggingface", name: "acme/tickets" },
 * });
 * const { job } = await trainer.wait();
 * console.log(job.status);
 * ```
 * @throws {TypeError} an argument is of the wrong kind; the message names it
 * @throws {Error} there is no native engine for this platform; the message says what to do
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
  /** No whitespace in JSON. */
  disable_any_whitespace?: boolean;
  /** Objects have the properties that the schema names, and no others. */
  disable_additional_properties?: boolean;
  /** The regular expression of the whitespace in JSON. */
  whitespace_pattern?: string;
}

interface StructuredOutputsConstraints {
  /** JSON Schema, as an object or as JSON text: the answer is JSON that satisfies it. */
  json: Record<string, unknown> | string;
  /** The answer matches it as a whole. */
  regex: string;
  /** The answer is one of these. */
  choice: string[];
  /** A context-free grammar, in the backend's notation. */
  grammar: string;
  /** The answer is a JSON object. */
  json_object: true;
}

type ExactlyOne<T> = {
  [K in keyof T]: Pick<T, K> & { [Other in Exclude<keyof T, K>]?: never };
}[keyof T];

/** A constraint on the answer: exactly one, and options that go with it. Names go through verbatim. */
export type StructuredOutputs = ExactlyOne<StructuredOutputsConstraints> & StructuredOutputsOptions;

/** A question for a checkpoint. A backend refuses what it can't honour with a 400. */
export interface InferArgs {
  /** The conversation so far; its last turn is the question. */
  messages: ChatMessage[];
  /** 0 always picks the most likely token. Default: the backend's. */
  temperature?: number;
  /** Sample from the most likely tokens whose total probability is this, 0–1. Default: the backend's. */
  topP?: number;
  /** The maximum number of tokens in the answer. Default: the backend's. */
  maxTokens?: number;
  /** `true`: server-sent events as the answer is generated; `false`: one JSON body. Default `true`. */
  stream?: boolean;
  /** Functions that the model may call. */
  tools?: ToolDefinition[];
  /** Default: the backend's, usually `"auto"`. */
  toolChoice?: ToolChoice;
  /** Default: text. */
  responseFormat?: ResponseFormat;
  /** A constraint on what is sampled. Default: none. */
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

/** Makes a project's manifest, frozen. `arkor start` looks for it in `src/arkor/index.ts`. */
export declare function createArkor(input: ArkorInput): Arkor;

/** Whether a value is a project's manifest. */
export declare function isArkor(value: unknown): value is Arkor;

/**
 * Imports an entry, picks its trainer (export `arkor`, export `trainer`, or the default export),
 * starts it and follows it to its end. Prints `Started job <id>` and
 * `Job <id> finished with status=<status>` on stdout. On Node an entry in TypeScript is bundled first,
 * as `arkor start` does it.
 * @param file the entry; default `src/arkor/index.ts`
 * @throws {Error} `Training entry not found: …`, `Training entry must export …`
 * @throws as {@link Trainer.wait}
 */
export declare function runTrainer(file?: string): Promise<TrainingResult>;

// ── Identity ───────────────────────────────────────────────────────────────────────────────

/** An identity without an account. */
export interface AnonymousCredentials {
  mode: "anon";
  /** The bearer token. */
  token: string;
  anonymousId: string;
  /** The backend that issued it. */
  arkorCloudApiUrl: string;
  /** Its own organisation. */
  orgSlug: string;
}

/** An account, by OAuth. */
export interface OAuthCredentials {
  mode: "oauth";
  /** The bearer token. Renewed before a request when it has expired, and once when it is refused. */
  accessToken: string;
  refreshToken: string;
  /** When `accessToken` expires, in seconds since the epoch. */
  expiresAt: number;
  /** The identity provider: a host, or `host:port`. */
  auth0Domain: string;
  audience: string;
  clientId: string;
  arkorCloudApiUrl?: string;
  /** Which `arkor login` it comes from, through all renewals; other SDKs write none. */
  loginId?: string;
}

/** Who the user is. */
export type Credentials = AnonymousCredentials | OAuthCredentials;

/**
 * Where the credentials are: `~/.arkor/credentials.json`, of `os.homedir()` at the time.
 * @throws {Error} there is no home directory, or not an absolute one
 */
export declare function credentialsPath(): string;

/**
 * The stored credentials, or `null` when there are none (or nothing that could be some).
 * @throws {Error} the file is there but can't be read
 * @throws {Error} `ARKOR_LOCAL_TOKEN` is set, but not `ARKOR_CLOUD_API_URL`
 */
export declare function readCredentials(): Promise<Credentials | null>;

/**
 * Stores credentials: as a whole, in a file of mode 0600. Where the file is a link, its target is
 * written.
 * @throws {Error} the file can't be written
 * @throws {Error} it holds a login of a `mode` that this version does not know
 */
export declare function writeCredentials(credentials: Credentials): Promise<void>;

/**
 * The stored credentials, else a new anonymous identity, which is stored. If a login finishes during
 * the request for one, that login is kept and returned.
 * @throws {AnonymousTokenRejectedError} the backend refused
 * @throws {Error} the file can't be read or written, or holds a login of a `mode` that this version
 *   does not know
 * @throws {Error} only one of `ARKOR_CLOUD_API_URL` and `ARKOR_LOCAL_TOKEN` is set, and a token would
 *   go where it does not belong
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
 * @throws {AnonymousTokenRejectedError} the backend refused
 */
export declare function requestAnonymousToken(
  baseUrl: string,
  kind?: "cli" | "web",
): Promise<AnonymousToken>;

/** The backend's URL: `ARKOR_CLOUD_API_URL`, else the credentials', else `https://api.arkor.ai`. */
export declare function defaultArkorCloudApiUrl(credentials?: Credentials | null): string;

/** The backend refused to issue an anonymous identity. */
export declare class AnonymousTokenRejectedError extends Error {
  constructor(status: number, message: string);
  name: "AnonymousTokenRejectedError";
  /** The HTTP status. */
  status: number;
}

/** `.arkor/state.json` belongs to another organisation than the anonymous identity. */
export declare class ProjectStateMismatchError extends Error {
  constructor(message: string);
  name: "ProjectStateMismatchError";
}

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

/**
 * Stores a project's state, as a whole. Where the file is a link, its target is written.
 * @throws {Error} the file can't be written
 */
export declare function writeState(state: ArkorProjectState, cwd?: string): Promise<void>;

// ── The backend, call by call ──────────────────────────────────────────────────────────────

/** What a {@link CloudApiClient} is made of. */
export interface CloudApiClientOptions {
  /** The backend's URL; a trailing slash is dropped. */
  baseUrl: string;
  /** The identity that the requests are made with. */
  credentials: Credentials;
  /**
   * Called when the login passed as `credentials` has been renewed. Store what it receives: the refresh
   * token you passed may no longer be valid. Anything it throws or returns is ignored.
   */
  onCredentials?: (credentials: OAuthCredentials) => void;
  /**
   * Used for all of the client's requests, as `fetch(url, init)` with `redirect: "manual"`: redirects
   * are followed within the backend's origin only. This includes the request to the identity provider
   * that renews an expired login.
   */
  fetch?: typeof globalThis.fetch;
  /** Called when the backend reports that this version of the SDK is deprecated. */
  onDeprecation?: (notice: { message: string; sunset: string | null }) => void;
}

/** The organisation and project that a call is about. */
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

/** How a deployment's callers authenticate. */
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
  runRetentionDays?: number;
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
} & (
  | { runRetentionMode: "days"; runRetentionDays?: number }
  // The mode of a DTO fits, absent or not.
  | { runRetentionMode?: DeploymentRunRetentionMode | undefined; runRetentionDays?: never }
);

/** A deployment's key, without what is shown only once. */
export interface DeploymentKeyDto {
  id: string;
  label: string;
  prefix: string;
  enabled: boolean;
  createdAt: string;
  /** ISO 8601; absent or null when it has not been used. */
  lastUsedAt?: string | null;
}

/** A new key. */
export interface CreateDeploymentKeyInput {
  label: string;
}

/** A new key. `plaintext` is the key itself, and is shown this once. */
export interface CreateDeploymentKeyResult {
  id: string;
  label: string;
  plaintext: string;
  prefix: string;
  /** ISO 8601. */
  createdAt: string;
}

/** Options of every call of {@link CloudApiClient}. */
export interface CallOptions {
  /** Aborts the request; the call rejects with the signal's reason. */
  signal?: AbortSignal;
  /** How long to wait for the head of the answer, in milliseconds. Default 300 000. */
  timeoutMs?: number;
}

/**
 * The backend's HTTP API. Every method rejects with {@link CloudApiError} when the answer is not
 * 2xx, with `TypeError("fetch failed")` when there is none, and with an `Error` that names the
 * field when the answer is not what the call promises. Nothing is retried. An answer whose head takes longer
 * than `timeoutMs` (300 s) is a network failure with the code `ETIMEDOUT`.
 *
 * @example
 * ```ts
 * import { CloudApiClient, defaultArkorCloudApiUrl, ensureCredentials } from "arkor";
 *
 * const credentials = await ensureCredentials();
 * const client = new CloudApiClient({
 *   baseUrl: defaultArkorCloudApiUrl(credentials),
 *   credentials,
 * });
 * const { job } = await client.getJob("job_1", { orgSlug: "acme", projectSlug: "tickets" });
 * console.log(job.status);
 * ```
 */
export declare class CloudApiClient {
  constructor(options: CloudApiClientOptions);
  /** The projects of an organisation. */
  listProjects(
    orgSlug: string,
    options?: CallOptions,
  ): Promise<{ org: { slug: string }; projects: Project[] }>;
  /** @throws {CloudApiError} 409: there is a project of that slug */
  createProject(
    project: {
      orgSlug: string;
      name: string;
      slug: string;
    },
    options?: CallOptions,
  ): Promise<{ project: Project }>;
  /** Submits a job; `config` uses the backend's names, for example `loraR`. */
  createJob(
    job: DeploymentScope & { name: string; config: Record<string, unknown> },
    options?: CallOptions,
  ): Promise<{ job: TrainingJob }>;
  /** A job as it is now. */
  getJob(
    jobId: string,
    scope: DeploymentScope,
    options?: CallOptions,
  ): Promise<{ job: TrainingJob; events?: unknown[] }>;
  /** Ends a job. */
  cancelJob(jobId: string, scope: DeploymentScope, options?: CallOptions): Promise<void>;
  /** The job's raw event stream: server-sent events, starting after the one with `lastEventId`. */
  openEventStream(
    jobId: string,
    scope: DeploymentScope,
    options?: CallOptions & { lastEventId?: string },
  ): Promise<Response>;
  /** Asks a model; `body` and the answer are raw. */
  chat(
    question: CallOptions & { scope: DeploymentScope; body: Record<string, unknown> },
  ): Promise<Response>;
  listDeployments(
    scope: DeploymentScope,
    options?: CallOptions,
  ): Promise<{ deployments: DeploymentDto[] }>;
  getDeployment(
    id: string,
    scope: DeploymentScope,
    options?: CallOptions,
  ): Promise<{ deployment: DeploymentDto }>;
  createDeployment(
    scope: DeploymentScope,
    input: CreateDeploymentInput,
    options?: CallOptions,
  ): Promise<{ deployment: DeploymentDto }>;
  updateDeployment(
    id: string,
    scope: DeploymentScope,
    input: UpdateDeploymentInput,
    options?: CallOptions,
  ): Promise<{ deployment: DeploymentDto }>;
  deleteDeployment(id: string, scope: DeploymentScope, options?: CallOptions): Promise<void>;
  listDeploymentKeys(
    id: string,
    scope: DeploymentScope,
    options?: CallOptions,
  ): Promise<{ keys: DeploymentKeyDto[] }>;
  /** Creates a key. Its `plaintext` is returned only in this answer. */
  createDeploymentKey(
    id: string,
    scope: DeploymentScope,
    input: CreateDeploymentKeyInput,
    options?: CallOptions,
  ): Promise<{ key: CreateDeploymentKeyResult }>;
  /** Revokes a key permanently. */
  revokeDeploymentKey(
    id: string,
    keyId: string,
    scope: DeploymentScope,
    options?: CallOptions,
  ): Promise<void>;
}

// ── Errors ─────────────────────────────────────────────────────────────────────────────────

/**
 * The backend's answer was not 2xx. `message` is the answer's `error`, else its text, else
 * `cloud-api <status>`; for 426 it has the command that upgrades this package.
 */
export declare class CloudApiError extends Error {
  constructor(status: number, message: string);
  readonly name: "CloudApiError";
  /** The HTTP status. */
  readonly status: number;
  /** The backend's code for what went wrong, if the body has one as `code` or `error.code`. */
  readonly code?: string;
  /** The answer's `x-request-id`, or `request-id`. Include it when you report a problem. */
  readonly requestId?: string;
  /** The answer's headers. Not enumerable, so printing the error doesn't print them. */
  readonly headers: Headers;
  /**
   * The answer's body: the value if it's JSON, else the text, up to 64 KiB of it; `undefined` if it's
   * empty. Not enumerable.
   */
  readonly body: unknown;
}
