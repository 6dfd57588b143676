import type { Job, Summary } from "../api/types.ts";
import { durationOf } from "./format.ts";

export type SortKey =
  | "createdAt"
  | "name"
  | "model"
  | "status"
  | "duration"
  | "loss"
  | "bestEvalLoss";

export interface ListOptions {
  search: string;
  status: string;
  sort: SortKey;
  isDescending: boolean;
  now: number;
  summaryOf: (job: Job) => Summary | undefined;
}

/** The jobs that match a search and a status, in order. Jobs without a value come last in either direction. */
export function listJobs(jobs: Job[], options: ListOptions): Job[] {
  const words = options.search.toLowerCase().split(/\s+/).filter(Boolean);
  const left = jobs.filter((job) => {
    if (options.status !== "" && job.status !== options.status) return false;
    const text = `${job.name} ${job.id} ${modelOf(job)}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const keyed = left.map((job) => ({ job, key: keyOf(job, options) }));
  const sign = options.isDescending ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.key === undefined || b.key === undefined) {
      return Number(a.key === undefined) - Number(b.key === undefined);
    }
    if (a.key === b.key) return Date.parse(b.job.createdAt) - Date.parse(a.job.createdAt);
    return (a.key < b.key ? -1 : 1) * sign;
  });
  return keyed.map(({ job }) => job);
}

/** The model that the job trains, as its config names it. */
export function modelOf({ config }: Job): string {
  return typeof config?.model === "string" ? config.model : "";
}

function keyOf(job: Job, { sort, now, summaryOf }: ListOptions): string | number | undefined {
  switch (sort) {
    case "createdAt":
      return Date.parse(job.createdAt);
    case "name":
      return job.name.toLowerCase();
    case "model":
      return modelOf(job).toLowerCase() || undefined;
    case "status":
      return job.status;
    case "duration":
      return durationOf(job, now) ?? undefined;
    default:
      return summaryOf(job)?.[sort] ?? undefined;
  }
}
