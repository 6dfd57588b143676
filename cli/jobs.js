// `arkor jobs` and `arkor cancel`: the project's jobs on the backend.

const { cancelJob, listJobs } = require("../lib/account.js");
const { printableJson } = require("../lib/printable.js");
const { arkorCommand } = require("./invocation.js");
const { withBackend } = require("./local/choose.js");
const { isDryRun, newestFirst } = require("./newest-job.js");
const { print } = require("./output.js");
const { formatDuration } = require("./format.js");
const { painter } = require("./paint.js");
const { table } = require("./table.js");

/** @typedef {import("..").TrainingJob} Job */
/** @typedef {import("./cells.js").Style} Style */

/** @type {Record<string, Style>} */
const STYLES = {
  queued: "dim",
  running: "cyan",
  completed: "green",
  failed: "red",
  cancelled: "yellow",
};

/** The end of a status that marks a dry run. */
const DRY_RUN = /, dry$| \(dry run\)$/;
/** In a terminal narrower than this, the longer mark of a dry run doesn't fit next to a local job's id. */
const NARROW = 60;

/**
 * @param {{ json?: boolean, local?: boolean }} options
 * @returns {Promise<void>}
 */
async function showJobs({ json, local }) {
  const jobs = await withBackend({ local }, () => listJobs(process.cwd()));
  const { stdout } = process;
  if (json) {
    stdout.write(`${printableJson(jobs)}\n`);
  } else if (jobs.length === 0) {
    print(`No jobs yet. Submit one with: ${arkorCommand("start")}`);
  } else {
    const width = stdout.isTTY ? stdout.columns : undefined;
    const lines = jobsTable(jobs, { now: Date.now(), width, paint: painter(stdout) });
    stdout.write(`${lines.join("\n")}\n`);
  }
}

/**
 * @param {Job[]} jobs
 * @param {object} options
 * @param {number} options.now in ms since the epoch
 * @param {number | undefined} options.width
 * @param {import("./cells.js").Paint} options.paint
 * @returns {string[]}
 */
function jobsTable(jobs, { now, width, paint }) {
  const columns = [
    { title: "ID" },
    {
      title: "STATUS",
      paint: (/** @type {string} */ text, /** @type {string} */ padded) => {
        const style = STYLES[text.split(DRY_RUN)[0] ?? ""];
        return style ? paint(style, padded) : padded;
      },
    },
    { title: "CREATED", leavesAt: 2 },
    { title: "TOOK", leavesAt: 1 },
    { title: "NAME", shrinks: true, leavesAt: 3 },
  ];
  const mark = width !== undefined && width < NARROW ? ", dry" : " (dry run)";
  const rows = newestFirst(jobs).map((job) => [
    String(job.id),
    `${job.status}${isDryRun(job) ? mark : ""}`,
    minuteOf(job.createdAt),
    tookOf(job, now),
    String(job.name),
  ]);
  return table(columns, rows, width);
}

/**
 * @param {string} timestamp ISO 8601
 * @returns {string} in UTC, `2026-01-31 09:05`, or unchanged if it can't be parsed
 */
function minuteOf(timestamp) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return String(timestamp);
  return date.toISOString().replace(/T(\d\d:\d\d).*/, " $1");
}

/**
 * @param {Job} job
 * @param {number} now in ms since the epoch; counts as the end of a running job
 * @returns {string}
 */
function tookOf({ status, startedAt, completedAt }, now) {
  const from = Date.parse(startedAt ?? "");
  const to = completedAt ? Date.parse(completedAt) : status === "running" ? now : Number.NaN;
  return formatDuration(to - from);
}

/**
 * @param {string} jobId
 * @param {{ local?: boolean }} options
 */
async function cancel(jobId, { local }) {
  await withBackend({ local, jobId }, async () => {
    await cancelJob(process.cwd(), jobId);
    print(outcomeOf(jobId, await statusOf(jobId)));
  });
}

/**
 * A backend accepts the request even for a finished job, so look up the status afterwards.
 * @param {string} jobId
 * @returns {Promise<string | undefined>} undefined if it can't be fetched
 */
async function statusOf(jobId) {
  try {
    return (await listJobs(process.cwd())).find(({ id }) => id === jobId)?.status;
  } catch {
    // The cancellation succeeded; a failed look-up doesn't change that.
    return undefined;
  }
}

/**
 * @param {string} jobId
 * @param {string | undefined} status after the request
 * @returns {string}
 */
function outcomeOf(jobId, status) {
  if (status === undefined) return `The backend accepted the request to cancel job ${jobId}.`;
  if (status === "cancelled") return `Job ${jobId} is cancelled.`;
  if (status === "queued" || status === "running") {
    return `Job ${jobId} is being cancelled; its status is still ${status}.`;
  }
  return `Job ${jobId} was not cancelled: it had already finished with status=${status}`;
}

module.exports = { cancel, jobsTable, showJobs };
