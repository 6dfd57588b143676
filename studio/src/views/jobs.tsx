import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useDeferredValue, useMemo, useRef, useState } from "react";
import { isActive, queryClient, useIdentity, useJobs, useNow, useSummary } from "../api/queries.ts";
import type { Job, Summary } from "../api/types.ts";
import {
  durationOf,
  formatAgo,
  formatCount,
  formatDuration,
  formatLoss,
  formatNumber,
  formatWhen,
} from "../lib/format.ts";
import { listJobs, modelOf, type SortKey } from "../lib/job-list.ts";
import { jobLink } from "../lib/route.ts";
import { Empty, Failure, Loading, Notice, Page, Status } from "../ui/parts.tsx";
import { AskToCancel, AskToDelete, useCancel, useDelete } from "./job-actions.tsx";
import { JobName } from "./job-name.tsx";

const ROW_HEIGHT = 40;
const COLUMNS: [key: SortKey, title: string, isNumber: boolean][] = [
  ["status", "Status", false],
  ["name", "Name", false],
  ["model", "Model", false],
  ["createdAt", "Created", false],
  ["duration", "Duration", true],
  ["loss", "Last loss", true],
  ["bestEvalLoss", "Best eval", true],
];

export function Jobs() {
  const jobs = useJobs();
  const [search, setSearch] = useState("");
  const [status, setStatus] = useState("");
  const [sort, setSort] = useState<{ key: SortKey; isDescending: boolean }>({
    key: "createdAt",
    isDescending: true,
  });
  const now = useNow();
  const wanted = useDeferredValue(search);
  // Only this order changes over time.
  const orderedAt = sort.key === "duration" ? now : 0;
  const shown = useMemo(
    () =>
      listJobs(jobs.data ?? [], {
        search: wanted,
        status,
        sort: sort.key,
        isDescending: sort.isDescending,
        now: orderedAt,
        summaryOf: knownSummary,
      }),
    [jobs.data, wanted, status, sort, orderedAt],
  );
  const total = jobs.data?.length ?? 0;
  const all = formatCount(total, "job");
  const count = shown.length === total ? all : `${formatNumber(shown.length)} of ${all}`;
  return (
    <Page title="Jobs" lead={<span className="muted count">{jobs.data ? count : ""}</span>}>
      <div className="toolbar">
        <input
          type="search"
          aria-label="Search jobs"
          placeholder="Search by name, id or model"
          value={search}
          onChange={({ target }) => setSearch(target.value)}
        />
        <select
          aria-label="Status"
          value={status}
          onChange={({ target }) => setStatus(target.value)}
        >
          <option value="">All</option>
          <option value="running">Running</option>
          <option value="queued">Queued</option>
          <option value="completed">Completed</option>
          <option value="failed">Failed</option>
          <option value="cancelled">Cancelled</option>
        </select>
      </div>
      {jobs.error && <Failure error={jobs.error} what="The jobs" isOld={jobs.data !== undefined} />}
      {jobs.isPending && <Loading rows={8} label="Loading the jobs" />}
      {jobs.data && total === 0 && (
        <Empty title="No jobs yet.">
          Start the first one on the <a href="#/">overview</a>.
        </Empty>
      )}
      {total > 0 && shown.length === 0 && (
        <Empty title="No jobs match.">
          <button
            type="button"
            className="button"
            onClick={() => {
              setSearch("");
              setStatus("");
            }}
          >
            Show all jobs
          </button>
        </Empty>
      )}
      {shown.length > 0 && <JobTable jobs={shown} now={now} sort={sort} onSort={setSort} />}
    </Page>
  );
}

function knownSummary(job: Job): Summary | undefined {
  return queryClient.getQueryData(["summary", job.id, isActive(job.status)]);
}

/**
 * A table that renders only the rows in view, because a browser couldn't lay out all of them. That's why it
 * uses roles instead of table elements.
 */
interface TableProps {
  jobs: Job[];
  now: number;
  sort: { key: SortKey; isDescending: boolean };
  onSort: (sort: { key: SortKey; isDescending: boolean }) => void;
}

function JobTable({ jobs, now, sort, onSort }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const isLocal = useIdentity().data?.where === "local";
  const [asking, setAsking] = useState<{ what: "cancel" | "delete"; job: Job }>();
  const cancel = useCancel();
  // Deleting removes the row, and with it the button that had the focus.
  const remove = useDelete(() => scroller.current?.focus());
  const rows = useVirtualizer({
    count: jobs.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
  });
  return (
    <>
      {cancel.error && (
        <Notice tone="bad" title="The job was not cancelled.">
          {cancel.error.message}
        </Notice>
      )}
      {remove.error && (
        <Notice tone="bad" title="The job was not deleted.">
          {remove.error.message}
        </Notice>
      )}
      <section
        className="table-box"
        ref={scroller}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard
        tabIndex={0}
        aria-label="Jobs"
        onKeyDown={moveAmongRows}
      >
        <div role="table" aria-label="Jobs" aria-rowcount={jobs.length + 1} className="table">
          <div role="rowgroup" className="table-head">
            <div role="row" className="table-row">
              {COLUMNS.map(([key, title, isNumber]) => (
                <SortHeader key={key} {...{ id: key, title, isNumber, sort, onSort }} />
              ))}
              <span role="columnheader" className="cell cell-actions">
                <span className="visually-hidden">Actions</span>
              </span>
            </div>
          </div>
          <div role="rowgroup" className="table-body" style={{ height: rows.getTotalSize() }}>
            {rows.getVirtualItems().map(({ index, start, key }) => {
              const job = jobs[index];
              return (
                job && (
                  <div
                    key={key}
                    role="row"
                    aria-rowindex={index + 2}
                    className="table-row"
                    style={{ transform: `translateY(${start}px)`, height: ROW_HEIGHT }}
                  >
                    <JobCells
                      job={job}
                      now={now}
                      onCancel={() => setAsking({ what: "cancel", job })}
                      onDelete={isLocal ? () => setAsking({ what: "delete", job }) : undefined}
                    />
                  </div>
                )
              );
            })}
          </div>
        </div>
      </section>
      {asking?.what === "cancel" && (
        <AskToCancel
          job={asking.job}
          onClose={() => setAsking(undefined)}
          onConfirm={() => cancel.mutate(asking.job)}
        />
      )}
      {asking?.what === "delete" && (
        <AskToDelete
          job={asking.job}
          onClose={() => setAsking(undefined)}
          onConfirm={() => remove.mutate(asking.job)}
        />
      )}
    </>
  );
}

function SortHeader(props: {
  id: SortKey;
  title: string;
  isNumber: boolean;
  sort: TableProps["sort"];
  onSort: TableProps["onSort"];
}) {
  const { id, sort } = props;
  const isSorted = sort.key === id;
  const direction = sort.isDescending ? "descending" : "ascending";
  const next = { key: id, isDescending: isSorted ? !sort.isDescending : id === "createdAt" };
  return (
    <span
      role="columnheader"
      className={`cell cell-${id}${props.isNumber ? " number" : ""}`}
      aria-sort={isSorted ? direction : "none"}
    >
      <button type="button" className="sort" onClick={() => props.onSort(next)}>
        {props.title}
        <span aria-hidden="true" className="sort-mark">
          {isSorted ? (sort.isDescending ? "↓" : "↑") : ""}
        </span>
      </button>
    </span>
  );
}

interface CellsProps {
  job: Job;
  now: number;
  onCancel: () => void;
  /** Undefined if jobs can't be deleted. */
  onDelete: (() => void) | undefined;
}

function JobCells({ job, now, onCancel, onDelete }: CellsProps) {
  const summary = useSummary(job.id, job.status).data;
  return (
    <>
      <span role="cell" className="cell cell-status">
        <Status status={job.status} />
      </span>
      <span role="cell" className="cell cell-name">
        <a href={jobLink(job.id)} data-row-link title={job.id}>
          <JobName job={job} />
        </a>
      </span>
      <span role="cell" className="cell cell-model muted" title={modelOf(job)}>
        {modelOf(job)}
      </span>
      <span role="cell" className="cell cell-createdAt muted" title={formatWhen(job.createdAt)}>
        {formatAgo(job.createdAt, now)}
      </span>
      <span role="cell" className="cell cell-duration number">
        {formatDuration(durationOf(job, now))}
      </span>
      <span role="cell" className="cell cell-loss number">
        {formatLoss(summary?.loss)}
      </span>
      <span role="cell" className="cell cell-bestEvalLoss number">
        {formatLoss(summary?.bestEvalLoss)}
      </span>
      <span role="cell" className="cell cell-actions">
        {isActive(job.status) ? (
          <button
            type="button"
            className="button quiet"
            aria-label={`Cancel ${job.name}`}
            onClick={onCancel}
          >
            Cancel
          </button>
        ) : (
          onDelete && (
            <button
              type="button"
              className="button quiet"
              aria-label={`Delete ${job.name}`}
              onClick={onDelete}
            >
              Delete
            </button>
          )
        )}
      </span>
    </>
  );
}

/** The arrow keys move from job to job, as in a list. */
function moveAmongRows(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-row-link]")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  if (at < 0 && document.activeElement !== event.currentTarget) return;
  const next = links[at + (event.key === "ArrowDown" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
