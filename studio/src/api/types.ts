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

export interface SystemInfo {
  engine: string;
  device: string;
  cpu: { model: string; cores: number; load: number };
  memory: { total: number; free: number };
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
