import type { Job } from "../api/types.ts";
import { formatBytes } from "../lib/format.ts";
import { formatChoice } from "../lib/model-choice.ts";
import { playgroundLink } from "../lib/route.ts";
import type { Artifact, RunData } from "../lib/run-data.ts";
import { Copy, Empty } from "../ui/parts.tsx";

export function Artifacts({ job, data, isLocal }: { job: Job; data: RunData; isLocal: boolean }) {
  const groups = [
    ...(data.end === "completed"
      ? [{ title: "Final adapter", step: undefined, artifacts: data.artifacts }]
      : []),
    ...[...data.checkpoints]
      .reverse()
      .map(({ step, artifacts }) => ({ title: `Checkpoint ${step}`, step, artifacts })),
  ];
  if (groups.length === 0) {
    return <Empty title="No artifacts yet.">The first checkpoint brings some.</Empty>;
  }
  return (
    <div className="artifacts">
      {groups.map(({ title, step, artifacts }) => {
        const adapter =
          step === undefined
            ? ({ kind: "final", jobId: job.id } as const)
            : ({ kind: "checkpoint", jobId: job.id, step } as const);
        const directory = `.arkor/local/jobs/${job.id}/${step === undefined ? "adapter" : `checkpoints/checkpoint-${step}`}`;
        return (
          <section key={title} className="artifact-group">
            <header>
              <h3>{title}</h3>
              {isLocal && (
                <>
                  <code className="path">{directory}</code>
                  <Copy text={directory} label="Copy path" />
                </>
              )}
              <a href={playgroundLink(formatChoice({ kind: "adapter", adapter }))}>Ask it</a>
            </header>
            <ul>
              {artifacts.map((artifact, index) => (
                <li key={nameOf(artifact, index)}>
                  <span>{nameOf(artifact, index)}</span>
                  <span className="number muted">{formatBytes(sizeOf(artifact))}</span>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </div>
  );
}

function nameOf({ name, path, kind }: Artifact, index: number): string {
  const text = name ?? path ?? kind;
  return typeof text === "string" ? text : `Artifact ${index + 1}`;
}

function sizeOf({ size, bytes }: Artifact): number | undefined {
  const value = size ?? bytes;
  return typeof value === "number" ? value : undefined;
}
