import type { Target } from "../api/types.ts";

/** Parses the playground's model from the URL: `base:NAME`, `final:JOB`, `checkpoint:JOB:STEP`. */
export function parseChoice(text: string | undefined): Target | undefined {
  const [kind, ...rest] = (text ?? "").split(":");
  const value = rest.join(":");
  if (value === "") return undefined;
  if (kind === "base") return { kind: "base_model", baseModel: value };
  if (kind === "final") return { kind: "adapter", adapter: { kind, jobId: value } };
  const [, jobId, step] = /^(.+):(\d+)$/.exec(value) ?? [];
  if (kind !== "checkpoint" || jobId === undefined) return undefined;
  return { kind: "adapter", adapter: { kind, jobId, step: Number(step) } };
}

export function formatChoice(target: Target): string {
  if (target.kind === "base_model") return `base:${target.baseModel}`;
  const { adapter } = target;
  return adapter.kind === "final"
    ? `final:${adapter.jobId}`
    : `checkpoint:${adapter.jobId}:${adapter.step}`;
}

/** The fields of a chat request that select the model. */
export function chatFields(target: Target): object {
  return target.kind === "base_model"
    ? { baseModel: target.baseModel }
    : { adapter: target.adapter };
}

/** Describes the model in words, with the job's name if it's known. */
export function describeTarget(
  target: Target,
  nameOf: (jobId: string) => string | undefined,
): string {
  if (target.kind === "base_model") return target.baseModel;
  const { adapter } = target;
  const name = nameOf(adapter.jobId) ?? adapter.jobId;
  return adapter.kind === "final" ? `${name}, final` : `${name}, step ${adapter.step}`;
}
