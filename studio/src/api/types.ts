export type JobStatus = "queued" | "running" | "completed" | "failed" | "cancelled";

export interface Job {
  id: string;
  name: string;
  status: JobStatus;
  config: Record<string, unknown>;
  error?: string | null;
  createdAt: string;
  startedAt?: string | null;
  completedAt?: string | null;
}

export interface Identity {
  mode: "anon" | "oauth" | null;
  baseUrl: string;
  orgSlug: string | null;
  projectSlug: string | null;
  where: "local" | "cloud";
  project: string;
  directory: string;
  version: string;
}

export interface Manifest {
  trainer: { name: string; config: Record<string, unknown> } | null;
  entry: string;
  error?: string;
  location?: { file: string; line: number; column: number; text?: string };
}

export interface RunInfo {
  id: string;
  jobId: string | null;
  file: string | null;
  dryRun: boolean;
  startedAt: string;
  endedAt: string | null;
  exitCode: number | null;
}

export interface Summary {
  step: number | null;
  loss: number | null;
  bestEvalLoss: number | null;
  bestEvalStep: number | null;
}

export interface Gpu {
  name: string;
  memory: { total: number | null; used: number | null };
  utilization: number | null;
}

export interface SystemInfo {
  engine: string | null;
  device: string | null;
  cpu: { model: string; cores: number; load: number };
  memory: { total: number; free: number };
  gpus?: Gpu[];
}

/** A part of a row's text whose tokens are either all trained on or all not. */
export interface Segment {
  text: string;
  trained: boolean;
  cut: boolean;
  added: boolean;
}

export interface DatasetRow {
  source: { file?: string; unit: string; number: number };
  segments: Segment[];
  hiddenBytes: number;
  tokens: number;
  trainedTokens: number;
  cutTokens: number;
  heldOut: boolean;
}

export interface Dataset {
  model: string;
  standIn: string | null;
  maxLength: number;
  totals: {
    rows: number;
    tokens: number;
    trainedTokens: number;
    cutRows: number;
    withoutTarget: number;
    heldOut: number;
    notInDryRun: number;
    longest: number;
  };
  lengths: { from: number; to: number; rows: number }[];
  offset: number;
  rows: DatasetRow[];
}

export type Adapter =
  | { kind: "final"; jobId: string }
  | { kind: "checkpoint"; jobId: string; step: number };

export type Target =
  | { kind: "adapter"; adapter: Adapter }
  | { kind: "base_model"; baseModel: string };

export type AuthMode = "none" | "fixed_api_key";

export interface Deployment {
  id: string;
  slug: string;
  target: Target;
  authMode: AuthMode;
  enabled: boolean;
  customDomain: string | null;
  createdAt: string;
  updatedAt: string;
}

export interface DeploymentKey {
  id: string;
  label: string;
  prefix: string;
  createdAt: string;
  lastUsedAt?: string | null;
}
