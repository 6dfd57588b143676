import { ApiError } from "../api/client.ts";
import {
  useIdentity,
  useJobs,
  useManifest,
  useMe,
  useNow,
  useSummary,
  useSystem,
} from "../api/queries.ts";
import type { Gpu, Job, SystemInfo } from "../api/types.ts";
import { diffConfigs } from "../lib/diff.ts";
import {
  durationOf,
  formatAgo,
  formatBytes,
  formatDuration,
  formatLoss,
  formatValue,
} from "../lib/format.ts";
import { modelOf } from "../lib/job-list.ts";
import { jobLink } from "../lib/route.ts";
import { Empty, Facts, Failure, Loading, Notice, Page, Section, Status } from "../ui/parts.tsx";
import { BrokenEntry } from "./broken-entry.tsx";
import { JobName } from "./job-name.tsx";
import { NotStarted, useStartedRun } from "./started-run.tsx";

const NEWEST = 6;

export function Overview() {
  const jobs = useJobs();
  return (
    <Page title="Overview">
      <div className="overview">
        <TrainerCard last={newest(jobs.data)[0]} />
        <WhereCard />
      </div>
      <Section title="Newest runs" flush aside={<a href="#/jobs">All jobs</a>}>
        {jobs.data ? <NewestRuns jobs={newest(jobs.data)} /> : null}
        {jobs.error && (
          <Failure error={jobs.error} what="The jobs" isOld={jobs.data !== undefined} />
        )}
        {jobs.isPending && <Loading rows={4} label="Loading the jobs" />}
      </Section>
    </Page>
  );
}

function newest(jobs: Job[] = []): Job[] {
  return [...jobs]
    .sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt))
    .slice(0, NEWEST);
}

/** The entry's trainer, and the buttons that run it. */
function TrainerCard({ last }: { last: Job | undefined }) {
  const manifest = useManifest();
  const started = useStartedRun();
  const trainer = manifest.data?.trainer;
  const buttons = (
    <>
      <button
        type="button"
        className="button"
        disabled={!trainer || started.isBusy}
        onClick={() => started.start(true)}
      >
        Dry run
      </button>
      <button
        type="button"
        className="button primary"
        disabled={!trainer || started.isBusy}
        onClick={() => started.start(false)}
      >
        {started.isBusy ? "Starting…" : "Run training"}
      </button>
    </>
  );
  return (
    <Section title={trainer?.name ?? "Trainer"} aside={buttons}>
      <div aria-live="polite">
        {manifest.isPending && <Loading rows={5} label="Building the entry" />}
        {manifest.error && (
          <Failure error={manifest.error} what="The entry" isOld={manifest.data !== undefined} />
        )}
        {manifest.data?.error !== undefined && <BrokenEntry manifest={manifest.data} />}
        {trainer && <TrainerConfig config={trainer.config} last={last} />}
      </div>
      <NotStarted started={started} />
    </Section>
  );
}

const SHOWN = [
  "model",
  "datasetSource",
  "maxSteps",
  "numTrainEpochs",
  "batchSize",
  "learningRate",
  "lrSchedulerType",
  "loraR",
  "loraAlpha",
  "maxLength",
];

function TrainerConfig({
  config,
  last,
}: {
  config: Record<string, unknown>;
  last: Job | undefined;
}) {
  const directory = useIdentity().data?.directory ?? "";
  const facts = SHOWN.flatMap((name): [string, string][] =>
    config[name] === undefined ? [] : [[name, shownValue(config[name], directory)]],
  );
  return (
    <>
      <Facts facts={facts} />
      {last && <Changes before={last.config} after={config} job={last} />}
    </>
  );
}

/** Shows a dataset by its name or URL, a project file by its relative path, and anything else unchanged. */
function shownValue(value: unknown, directory: string): string {
  const { name, url, path } = (value ?? {}) as Record<string, unknown>;
  return formatValue(name ?? url ?? path ?? value).replace(`file://${directory}/`, "");
}

function Changes(props: { before: unknown; after: unknown; job: Job }) {
  // The button sets this, not the entry.
  const changes = diffConfigs(props.before, props.after).filter(({ path }) => path !== "dryRun");
  if (changes.length === 0) {
    return <p className="muted changes-none">The same config as the last run.</p>;
  }
  return (
    <div className="changes">
      <h3>
        Changed since <a href={jobLink(props.job.id)}>the last run</a>
      </h3>
      <ul>
        {changes.map(({ path, before, after }) => (
          <li key={path}>
            <code>{path}</code>
            <Side value={before} is="del" />
            <span className="muted" aria-hidden="true">
              →
            </span>
            <Side value={after} is="ins" />
          </li>
        ))}
      </ul>
    </div>
  );
}

/** One side of a change: the old or the new value. */
function Side({ value, is: Tag }: { value: unknown; is: "del" | "ins" }) {
  if (value === undefined) return <span className="muted">not set</span>;
  return <Tag>{formatValue(value)}</Tag>;
}

function WhereCard() {
  const identity = useIdentity();
  const me = useMe();
  const isLocal = identity.data?.where === "local";
  const system = useSystem(isLocal);
  if (!identity.data) {
    return (
      <Section title="Where">
        {identity.error ? (
          <Failure error={identity.error} what="The project" />
        ) : (
          <Loading rows={5} label="Loading the project" />
        )}
      </Section>
    );
  }
  const { project, baseUrl, mode, orgSlug } = identity.data;
  const facts: [string, string][] = isLocal
    ? [
        ["Project", project],
        ["Backend", baseUrl.replace("http://", "")],
        ...machineFacts(system.data),
      ]
    : [
        ["Project", identity.data.projectSlug ?? "made by the first run"],
        ["Organisation", orgSlug ?? "–"],
        ["Signed in", signedIn(mode)],
        ["Backend", baseUrl.replace(/^https?:\/\//, "")],
      ];
  return (
    <Section title={isLocal ? "This machine" : "Cloud"}>
      <Facts facts={facts} />
      {me.error instanceof ApiError && <BackendTrouble error={me.error} />}
    </Section>
  );
}

/** The list of jobs below shows the whole reason, and the page shows above if Studio's own server is gone. */
function BackendTrouble({ error: { status, message } }: { error: ApiError }) {
  if (status === 0) return null;
  if (status === 502) return <Notice tone="warn" title="The backend can't be reached." />;
  return (
    <Notice tone="warn" title="The backend doesn't say who you are.">
      {message}
    </Notice>
  );
}

function signedIn(mode: "anon" | "oauth" | null): string {
  if (mode === null) return "not yet";
  return mode === "anon" ? "anonymously" : "with an account";
}

function machineFacts(system: SystemInfo | undefined): [string, string][] {
  const { engine, device, cpu, memory, gpus = [] } = system ?? {};
  return [
    ["Engine", engineOf(engine, device)],
    ["CPU", cpu ? `${cpu.model}, ${cpu.cores} cores` : "–"],
    ["Memory", memoryOf(memory)],
    ...gpus.map((gpu, index): [string, string] => [
      gpus.length === 1 ? "GPU" : `GPU ${index}`,
      gpuOf(gpu),
    ]),
  ];
}

function engineOf(engine: string | null | undefined, device: string | null | undefined): string {
  if (!engine) return "–";
  if (engine === "auto") return "chosen for each run";
  return device ? `${engine} on ${device}` : engine;
}

function gpuOf({ name, memory: { total, used }, utilization }: Gpu): string {
  const parts = [name];
  if (total !== null && used !== null) parts.push(memoryOf({ total, free: total - used }));
  if (utilization !== null) parts.push(`${utilization} % busy`);
  return parts.join(", ");
}

function memoryOf(memory: { total: number; free: number } | undefined): string {
  return memory ? `${formatBytes(memory.free)} free of ${formatBytes(memory.total)}` : "–";
}

function NewestRuns({ jobs }: { jobs: Job[] }) {
  const now = useNow();
  if (jobs.length === 0) {
    return <Empty title="No runs yet.">“Run training” above starts the first one.</Empty>;
  }
  return (
    <ul className="run-list">
      {jobs.map((job) => (
        <li key={job.id}>
          <a href={jobLink(job.id)}>
            <Status status={job.status} />
            <span className="run-name">
              <JobName job={job} />
            </span>
            <span className="run-model muted">{modelOf(job)}</span>
            <RunLoss job={job} />
            <span className="run-took number">{formatDuration(durationOf(job, now))}</span>
            <span className="run-when muted">{formatAgo(job.createdAt, now)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

function RunLoss({ job }: { job: Job }) {
  const { data } = useSummary(job.id, job.status);
  return (
    <span className="run-loss number">
      {typeof data?.loss === "number" && (
        <>
          <span className="muted">loss</span> {formatLoss(data.loss)}
        </>
      )}
    </span>
  );
}
