// `arkor jobs` and `arkor cancel`: the project's jobs on the backend.

const fs = require("node:fs");
const path = require("node:path");
const { cancelJob, listJobs } = require("../lib/account.js");
const { CliError, oneLine } = require("./errors.js");
const { formatDuration } = require("./progress.js");
const { painter } = require("./reporter.js");
const { table } = require("./table.js");

/** @typedef {import("..").TrainingJob} Job */
/** @typedef {import("./progress.js").Style} Style */

/** @type {Record<string, Style>} */
const STYLES = {
  queued: "dim",
  running: "cyan",
  completed: "green",
  failed: "red",
  cancelled: "yellow",
};

/**
 * @param {{ json?: boolean }} options
 * @returns {Promise<void>}
 */
async function showJobs({ json }) {
  const jobs = await listJobs(process.cwd()).catch((error) => {
    throw withLocalRuns(error, process.cwd());
  });
  const { stdout } = process;
  if (json) {
    stdout.write(`${JSON.stringify(jobs, null, 2)}\n`);
  } else if (jobs.length === 0) {
    stdout.write("No jobs yet. Submit one with: arkor start\n");
  } else {
    const width = stdout.isTTY ? stdout.columns : undefined;
    const lines = jobsTable(jobs, { now: Date.now(), width, paint: painter(stdout) });
    stdout.write(`${lines.join("\n")}\n`);
  }
}

/**
 * @param {unknown} error
 * @param {string} cwd
 * @returns {unknown} with how to list the local runs, where nobody is signed in and there are some
 */
function withLocalRuns(error, cwd) {
  const isUnsigned = error instanceof Error && error.message.startsWith("Not signed in.");
  if (!isUnsigned || !fs.existsSync(path.join(cwd, ".arkor/local/jobs"))) return error;
  return new CliError(
    `${error.message} To list this directory's local runs, start \`arkor local\`, and run this with the two variables that it prints.`,
    { cause: error },
  );
}

/**
 * @param {Job[]} jobs
 * @param {object} options
 * @param {number} options.now ms since the epoch
 * @param {number | undefined} options.width
 * @param {import("./progress.js").Paint} options.paint
 * @returns {string[]}
 */
function jobsTable(jobs, { now, width, paint }) {
  const columns = [
    { title: "ID" },
    {
      title: "STATUS",
      paint: (/** @type {string} */ text, /** @type {string} */ padded) => {
        const style = STYLES[text];
        return style ? paint(style, padded) : padded;
      },
    },
    { title: "CREATED", leavesAt: 2 },
    { title: "TOOK", leavesAt: 1 },
    { title: "NAME", shrinks: true, leavesAt: 3 },
  ];
  // The newest first, whatever order the backend has.
  const sorted = [...jobs].sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
  const rows = sorted.map((job) => [
    oneLine(String(job.id)),
    oneLine(String(job.status)),
    minuteOf(job.createdAt),
    tookOf(job, now),
    oneLine(String(job.name)),
  ]);
  return table(columns, rows, width);
}

/**
 * @param {string} timestamp ISO 8601
 * @returns {string} in UTC, `2026-01-31 09:05`, or as it came
 */
function minuteOf(timestamp) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return oneLine(String(timestamp));
  return date.toISOString().slice(0, 16).replace("T", " ");
}

/**
 * @param {Job} job
 * @param {number} now ms since the epoch, where a running job has come to
 * @returns {string}
 */
function tookOf({ status, startedAt, completedAt }, now) {
  const from = Date.parse(startedAt ?? "");
  const to = completedAt ? Date.parse(completedAt) : status === "running" ? now : Number.NaN;
  return Number.isFinite(to - from) ? formatDuration(to - from) : "-";
}

/** @param {string} jobId */
async function cancel(jobId) {
  await cancelJob(process.cwd(), jobId);
  process.stdout.write(`${outcomeOf(oneLine(jobId), await statusOf(jobId))}\n`);
}

/**
 * A backend accepts the cancelling of a finished job too, so what has come of it is asked for.
 * @param {string} jobId
 * @returns {Promise<string | undefined>} undefined when it can't be told
 */
async function statusOf(jobId) {
  try {
    return (await listJobs(process.cwd())).find(({ id }) => id === jobId)?.status;
  } catch {
    // The cancelling has gone through; that this has not is no failure of it.
    return undefined;
  }
}

/**
 * @param {string} jobId
 * @param {string | undefined} status after the cancelling
 * @returns {string}
 */
function outcomeOf(jobId, status) {
  if (status === undefined) return `The backend has accepted to cancel job ${jobId}.`;
  if (status === "cancelled") return `Job ${jobId} is cancelled.`;
  if (status === "queued" || status === "running") {
    return `Job ${jobId} is being cancelled; it is still ${status}.`;
  }
  return `Job ${jobId} was not cancelled: it has ended before, with status=${oneLine(status)}`;
}

module.exports = { cancel, jobsTable, showJobs };
