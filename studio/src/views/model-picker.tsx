import { useFeeds } from "../api/queries.ts";
import type { Job, Target } from "../api/types.ts";
import { formatAgo } from "../lib/format.ts";
import { formatChoice, parseChoice } from "../lib/model-choice.ts";

/** Selects the model: a base model, or a job's final adapter or one of its checkpoints. */
export function ModelPicker(props: {
  label: string;
  target: Target | undefined;
  jobs: Job[];
  fallback: string | undefined;
  onChange: (target: Target) => void;
}) {
  const { target, jobs, onChange } = props;
  const adapter = target?.kind === "adapter" ? target.adapter : undefined;
  const [feed] = useFeeds(adapter ? [adapter.jobId] : []);
  const bases = basesOf(props);
  const usable = jobs.filter(({ status }) => status !== "queued").slice(0, 200);
  const isListed = adapter === undefined || usable.some(({ id }) => id === adapter.jobId);
  return (
    <div className="picker">
      <label className="field">
        <span>{props.label}</span>
        <select
          value={adapter ? `job:${adapter.jobId}` : target ? formatChoice(target) : ""}
          onChange={({ target: { value } }) => {
            const jobId = value.startsWith("job:") ? value.slice("job:".length) : undefined;
            const next: Target | undefined =
              jobId === undefined
                ? parseChoice(value)
                : { kind: "adapter", adapter: { kind: "final", jobId } };
            if (next) onChange(next);
          }}
        >
          {!target && <option value="">Choose a model</option>}
          <optgroup label="Base models">
            {bases.map((name) => (
              <option key={name} value={`base:${name}`}>
                {name}
              </option>
            ))}
          </optgroup>
          <optgroup label="Jobs">
            {!isListed && <option value={`job:${adapter?.jobId}`}>{adapter?.jobId}</option>}
            {usable.map(({ id, name, createdAt, status }) => (
              <option key={id} value={`job:${id}`}>
                {name} · {formatAgo(createdAt, Date.now())} · {status}
              </option>
            ))}
          </optgroup>
        </select>
      </label>
      {adapter && (
        <label className="field">
          <span>Version</span>
          <select
            value={adapter.kind === "final" ? "final" : String(adapter.step)}
            onChange={({ target: { value } }) => {
              const { jobId } = adapter;
              onChange({
                kind: "adapter",
                adapter:
                  value === "final"
                    ? { kind: "final", jobId }
                    : { kind: "checkpoint", jobId, step: Number(value) },
              });
            }}
          >
            <option value="final">Final adapter</option>
            {stepsOf(feed?.data.checkpoints, adapter).map((step) => (
              <option key={step} value={step}>
                Checkpoint {step}
              </option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}

/** The base models to suggest: that of the entry, and those of the jobs. */
function basesOf({
  target,
  jobs,
  fallback,
}: {
  target: Target | undefined;
  jobs: Job[];
  fallback: string | undefined;
}) {
  const chosen = target?.kind === "base_model" ? target.baseModel : undefined;
  const trained = jobs.map(({ config }) => config?.model);
  const names = [chosen, fallback, ...trained].filter((name) => typeof name === "string");
  return [...new Set(names)];
}

/** The steps, newest first. Includes the selected one even while the list is loading. */
function stepsOf(
  checkpoints: { step: number }[] | undefined,
  adapter: { kind: string; step?: number },
): number[] {
  const steps = new Set((checkpoints ?? []).map(({ step }) => step));
  if (adapter.step !== undefined) steps.add(adapter.step);
  return [...steps].sort((a, b) => b - a);
}
