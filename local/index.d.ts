/**
 * The absolute path of the `arkor-local` binary for this machine.
 * @throws {Error} there is none; the message names the platform and says what to do
 */
export declare function binaryPath(): string;

/** What {@link startBackend} takes. Everything has a default that suits a test. */
export interface BackendOptions {
  /** Where jobs and adapters are kept. Default: a temporary folder, which {@link Backend.stop} deletes. */
  store?: string;
  /** Port on 127.0.0.1. Default 0, a free one. */
  port?: number;
  /** What trains and answers. Default `"cpu"`, whatever `ARKOR_ENGINE` says. */
  engine?: "auto" | "cpu";
  /** A Hugging Face model directory to train, whatever model a job names. Default: none. */
  baseModel?: string;
  /** Other flags of `arkor-local`, such as `["--max-failures", "3"]`. Default: none. */
  args?: string[];
  /** The environment it's started with. Default: this process's. */
  env?: NodeJS.ProcessEnv;
  /** Gets each line of its log. Default: the log is dropped. */
  onLog?: (line: string) => void;
  /** How long it may take to be ready, in milliseconds. Default 30 000. */
  startTimeoutMs?: number;
}

/** A running backend. */
export interface Backend {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** The bearer token of its API. */
  readonly token: string;
  /** What points `arkor` at it: for `process.env`, or a child's environment. */
  readonly env: { readonly ARKOR_CLOUD_API_URL: string; readonly ARKOR_LOCAL_TOKEN: string };
  /** Where its jobs and adapters are. */
  readonly store: string;
  /** Ends it, waits for its end, and deletes a temporary store. Further calls give the same promise. */
  stop(): Promise<void>;
}

/**
 * Starts a local backend, for a test or a script. It ends with this process at the latest, and doesn't keep
 * it alive.
 *
 * @example
 * ```ts
 * import { startBackend } from "@arkor/local";
 *
 * const backend = await startBackend();
 * Object.assign(process.env, backend.env);
 * // Trainers of this process train there now.
 * await backend.stop();
 * ```
 * @throws {Error} there is no binary for this machine, or it isn't ready in time; the message has its last words
 */
export declare function startBackend(options?: BackendOptions): Promise<Backend>;
