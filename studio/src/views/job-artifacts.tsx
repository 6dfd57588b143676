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
                  <ArtifactName name={nameOf(artifact, index)} url={addressOf(artifact)} />
                  <span className="number muted">{formatBytes(sizeOf(artifact))}</span>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
      {!isLocal && !groups.some(({ artifacts }) => artifacts.some(addressOf)) && (
        <p className="muted">
          The cloud keeps these files and gives no download. Use them by asking the model, or by an
          endpoint.
        </p>
      )}
    </div>
  );
}

/** A file with a URL is a link, so that another server gets a request only after a click. */
function ArtifactName({ name, url }: { name: string; url: string | undefined }) {
  if (url === undefined) return <span>{name}</span>;
  return (
    <a href={url} target="_blank" rel="noopener noreferrer" download={name}>
      Download {name}
    </a>
  );
}

/** A URL that may be opened by a click. */
function addressOf({ url }: Artifact): string | undefined {
  if (typeof url !== "string" || !URL.canParse(url)) return undefined;
  return /^https?:$/.test(new URL(url).protocol) ? url : undefined;
}

function nameOf({ name, path, kind }: Artifact, index: number): string {
  const text = name ?? path ?? kind;
  return typeof text === "string" ? text : `Artifact ${index + 1}`;
}

function sizeOf({ size, bytes }: Artifact): number | undefined {
  const value = size ?? bytes;
  return typeof value === "number" ? value : undefined;
}
