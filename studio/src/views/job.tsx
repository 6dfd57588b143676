import { useEffect, useRef, useState } from "react";
import { ApiError } from "../api/client.ts";
import type { Connection, EventFeed } from "../api/events.ts";
import {
  isActive,
  queryClient,
  useFeed,
  useIdentity,
  useJob,
  useJobs,
  useNow,
  useRuns,
} from "../api/queries.ts";
import type { Job, Target } from "../api/types.ts";
import { diffConfigs, flatten } from "../lib/diff.ts";
import {
  durationOf,
  formatAgo,
  formatDuration,
  formatLoss,
  formatNumber,
  formatValue,
  formatWhen,
} from "../lib/format.ts";
import { modelOf } from "../lib/job-list.ts";
import { formatChoice } from "../lib/model-choice.ts";
import { jobLink, playgroundLink } from "../lib/route.ts";
import { type RunData, timeLeft, totalSteps } from "../lib/run-data.ts";
import {
  Copy,
  Empty,
  Facts,
  Failure,
  focusMain,
  Loading,
  Notice,
  Page,
  Section,
  Status,
} from "../ui/parts.tsx";
import { AskToCancel, AskToDelete, useCancel, useDelete } from "./job-actions.tsx";
import { Artifacts } from "./job-artifacts.tsx";
import { JobCharts } from "./job-charts.tsx";
import { JobEvents } from "./job-events.tsx";
import { Samples } from "./job-samples.tsx";
import { RunOutput } from "./run-output.tsx";
import { NotStarted, useStartedRun } from "./started-run.tsx";

export function JobView({ jobId, tab }: { jobId: string; tab: string | undefined }) {
  const job = useJob(jobId);
  const feed = useFeed(jobId);
  const { connection } = feed;
  const { end } = feed.data;
  const hasStarted = feed.data.length > 0;
  // The stream knows before the next query that the run has started or ended.
  useEffect(() => {
    if (hasStarted || connection.state === "ended" || end !== undefined) {
      void queryClient.invalidateQueries({ queryKey: ["jobs"] });
    }
  }, [hasStarted, connection.state, end]);

  if (!job.data) {
    const isUnknown = job.error instanceof ApiError && job.error.status === 404;
    return (
      <Page title="Job">
        {isUnknown && (
          <Empty title="There is no such job.">
            <a href="#/jobs">All jobs</a>
          </Empty>
        )}
        {job.error && !isUnknown && <Failure error={job.error} what="The job" />}
        {job.isPending && <Loading rows={10} label="Loading the job" />}
      </Page>
    );
  }
  return <JobPage job={job.data} feed={feed} error={job.error} asked={tab} />;
}

function JobPage(props: {
  job: Job;
  feed: EventFeed;
  error: Error | null;
  /** The tab in the URL. */
  asked: string | undefined;
}) {
  const { job, feed, error } = props;
  const { data, connection } = feed;
  const run = useRuns().data?.find(({ jobId }) => jobId === job.id);
  const isLocal = useIdentity().data?.where === "local";
  const again = useStartedRun();
  const failure = job.error ?? data.failure?.error;
  const tabs = ["Events", ...(run ? ["Output"] : []), "Config", "Artifacts", "Samples"];
  const tab = tabs.find((name) => name.toLowerCase() === props.asked) ?? "Events";
  return (
    <Page
      title={job.name}
      lead={
        <>
          <Status status={job.status} />
          {job.config?.dryRun === true && <span className="tag">dry run</span>}
          <span className="muted">{modelOf(job)}</span>
        </>
      }
      aside={<Actions job={job} data={data} isLocal={isLocal} again={again} />}
    >
      <NotStarted started={again} />
      {error && <Failure error={error} what="The job's state" isOld />}
      <Connecting connection={connection} isActive={isActive(job.status)} />
      {job.status === "failed" && failure && (
        <Notice tone="bad" title={`The run failed${atStep(data.failure?.step)}.`}>
          <span className="failure-text">{failure}</span>
        </Notice>
      )}
      <StandIn metadata={data.metadata} />
      <Numbers job={job} feed={feed} />
      <JobCharts job={job} feed={feed} />
      <div className="tabs" role="tablist" aria-label="More of this job" onKeyDown={moveAmongTabs}>
        {tabs.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab === name}
            aria-controls="tab-panel"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => location.replace(jobLink(job.id, name.toLowerCase()))}
          >
            {name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} className="tab-panel">
        {tab === "Events" && <JobEvents feed={feed} />}
        {tab === "Output" && run && <RunOutput runId={run.id} />}
        {tab === "Config" && <Config job={job} metadata={data.metadata} />}
        {tab === "Artifacts" && <Artifacts job={job} data={data} isLocal={isLocal} />}
        {tab === "Samples" && <Samples job={job} checkpoints={data.checkpoints} />}
      </div>
    </Page>
  );
}

function atStep(step: number | undefined): string {
  return step === undefined ? "" : ` at step ${step}`;
}

function moveAmongTabs(event: React.KeyboardEvent<HTMLElement>): void {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  const tabs = [...event.currentTarget.querySelectorAll<HTMLElement>("[role=tab]")];
  const at = tabs.indexOf(document.activeElement as HTMLElement);
  const next = tabs[(at + step + tabs.length) % tabs.length];
  next?.focus();
  next?.click();
}

function Connecting({ connection, isActive }: { connection: Connection; isActive: boolean }) {
  return (
    <div aria-live="polite">
      {connection.state === "reconnecting" && (
        <p className="reconnecting">
          <strong>Reconnecting</strong> (attempt {connection.attempt}). {connection.reason}
        </p>
      )}
      {connection.state === "refused" && isActive && (
        <Notice tone="warn" title="The events can't be followed.">
          {connection.reason}
        </Notice>
      )}
    </div>
  );
}

/** Makes it obvious if another model than the requested one was trained. */
function StandIn({ metadata }: { metadata: Record<string, unknown> | undefined }) {
  const base = (metadata?.baseModel ?? {}) as {
    used?: unknown;
    requested?: unknown;
    reason?: unknown;
  };
  if (typeof base.reason !== "string") return null;
  return (
    <Notice tone="warn" title={`${String(base.used ?? "Another model")} stands in.`}>
      {base.reason}
    </Notice>
  );
}

function Numbers({ job, feed }: { job: Job; feed: EventFeed }) {
  const { data } = feed;
  const now = useNow(isActive(job.status));
  const step = data.last(data.step);
  const total = totalSteps(data, job.config ?? {});
  const left = job.status === "running" ? timeLeft(data, total, now) : undefined;
  const best = data.best(data.evalLoss);
  const percent = step !== undefined && total ? Math.min(100, (step / total) * 100) : undefined;
  const numbers: [string, string, string?][] = [
    [
      "Step",
      step === undefined ? "–" : formatNumber(step, 0),
      total ? `of ${formatNumber(total, 0)}` : "",
    ],
    ["Loss", formatLoss(data.last(data.loss))],
    ["Best eval loss", formatLoss(best?.value), best ? `step ${best.step}` : ""],
    ["Samples/s", formatNumber(data.last(data.samplesPerSecond))],
    ["Duration", formatDuration(durationOf(job, now))],
    job.status === "running"
      ? ["Time left", left === undefined ? "–" : formatDuration(left)]
      : ["Created", formatAgo(job.createdAt, now)],
  ];
  return (
    <div className="numbers-box">
      <dl className="numbers">
        {numbers.map(([name, value, more]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <span className="number">{value}</span> <span className="muted">{more}</span>
            </dd>
          </div>
        ))}
      </dl>
      <div
        className="progress"
        role="progressbar"
        aria-label="Steps done"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(percent ?? 0)}
        data-status={job.status}
      >
        <span style={{ width: `${percent ?? 0}%` }} />
      </div>
    </div>
  );
}

/** The newest adapter of a run: the final one, or else that of its last checkpoint. */
function newestAdapter(job: Job, { checkpoints, end }: RunData): Target | undefined {
  if (end === "completed") return { kind: "adapter", adapter: { kind: "final", jobId: job.id } };
  const step = checkpoints.at(-1)?.step;
  if (step === undefined) return undefined;
  return { kind: "adapter", adapter: { kind: "checkpoint", jobId: job.id, step } };
}

function Actions(props: {
  job: Job;
  data: RunData;
  isLocal: boolean;
  again: ReturnType<typeof useStartedRun>;
}) {
  const { job, data, isLocal, again } = props;
  const [asking, setAsking] = useState<"cancel" | "delete">();
  const leave = () => {
    location.hash = "#/jobs";
  };
  const cancel = useCancel();
  const remove = useDelete(leave);
  const adapter = newestAdapter(job, data);
  const isOver = !isActive(job.status);
  const wasOver = useRef(isOver);
  // The button that cancelled the run disappears with it.
  useEffect(() => {
    if (isOver && !wasOver.current && document.activeElement === document.body) focusMain();
    wasOver.current = isOver;
  }, [isOver]);
  const error = cancel.error ?? remove.error;
  const asked = { job, onClose: () => setAsking(undefined) };
  return (
    <>
      {error && (
        <span className="action-error" role="alert">
          {error.message}
        </span>
      )}
      {adapter && (
        <a className="button" href={playgroundLink(formatChoice(adapter))}>
          Ask the model
        </a>
      )}
      {!isOver ? (
        <button type="button" className="button danger" onClick={() => setAsking("cancel")}>
          {cancel.isPending ? "Cancelling…" : "Cancel run"}
        </button>
      ) : (
        <>
          <button
            type="button"
            className="button"
            disabled={again.isBusy}
            title="Runs the project's entry as it is now"
            onClick={() => again.start(false)}
          >
            {again.isBusy ? "Starting…" : "Run again"}
          </button>
          {isLocal && (
            <button type="button" className="button danger" onClick={() => setAsking("delete")}>
              {remove.isPending ? "Deleting…" : "Delete job"}
            </button>
          )}
        </>
      )}
      {asking === "cancel" && <AskToCancel {...asked} onConfirm={() => cancel.mutate(job)} />}
      {asking === "delete" && <AskToDelete {...asked} onConfirm={() => remove.mutate(job)} />}
    </>
  );
}

function Config({ job, metadata }: { job: Job; metadata: Record<string, unknown> | undefined }) {
  const others = useJobs().data?.filter(({ id }) => id !== job.id) ?? [];
  const [otherId, setOtherId] = useState("");
  const other = others.find(({ id }) => id === otherId);
  const changed = new Map(
    other ? diffConfigs(other.config, job.config).map((change) => [change.path, change]) : [],
  );
  const rows = flatten(job.config).map(([path, value]): [string, unknown] => [path, value]);
  const gone = [...changed.values()].filter(({ after }) => after === undefined);
  return (
    <div className="config">
      <div className="toolbar">
        <label>
          <span>Compare with</span>
          <select value={otherId} onChange={({ target }) => setOtherId(target.value)}>
            <option value="">No other run</option>
            {others.slice(0, 200).map(({ id, name, createdAt }) => (
              <option key={id} value={id}>
                {name} · {formatWhen(createdAt)}
              </option>
            ))}
          </select>
        </label>
        <Copy text={JSON.stringify(job.config, null, 2)} label="Copy as JSON" />
      </div>
      <table className="config-table">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Value</th>
            {other && <th scope="col">{other.name}</th>}
          </tr>
        </thead>
        <tbody>
          {[...rows, ...gone.map(({ path }): [string, unknown] => [path, undefined])].map(
            ([path, value]) => {
              const change = changed.get(path);
              return (
                <tr key={path} data-changed={change !== undefined || undefined}>
                  <th scope="row">{path}</th>
                  <td>{formatValue(value)}</td>
                  {other && <td>{change ? formatValue(change.before) : formatValue(value)}</td>}
                </tr>
              );
            },
          )}
        </tbody>
      </table>
      {metadata && (
        <Section title="Metadata">
          <Facts facts={flatten(metadata).map(([path, value]) => [path, formatValue(value)])} />
        </Section>
      )}
      <p className="muted">
        Job <code>{job.id}</code> <Copy text={job.id} label="Copy id" />
      </p>
    </div>
  );
}
