// Finds the job to use when the user names none.

/** @typedef {Pick<import("..").TrainingJob, "id" | "name" | "status" | "createdAt"> & { config?: unknown }} Job */

/**
 * @template {{ createdAt?: unknown }} T
 * @param {T[]} jobs
 * @returns {T[]} newest first, whatever the backend's order
 */
function newestFirst(jobs) {
  // An unparsable time must not affect the order of the others.
  const age = (/** @type {T} */ job) => Date.parse(String(job.createdAt)) || 0;
  return [...jobs].sort((a, b) => age(b) - age(a));
}

/** @param {{ config?: unknown }} job */
function isDryRun({ config }) {
  return /** @type {{ dryRun?: unknown } | undefined} */ (config)?.dryRun === true;
}

/**
 * The newest completed job. A dry run, whose model has learned next to nothing, is only used if there's no
 * other.
 * @template {Job} T
 * @param {T[]} jobs
 * @param {string} does the verb for the notice, such as `answers`
 * @returns {{ job: T, notice: string } | undefined} `notice` tells the user about the choice; undefined if no
 *   job is completed
 */
function newestCompleted(jobs, does) {
  const completed = newestFirst(jobs.filter(({ status }) => status === "completed"));
  const real = completed.find((job) => !isDryRun(job));
  if (real) return { job: real, notice: `Job ${real.id} (${real.name}) ${does}.` };
  const [dry] = completed;
  if (!dry) return undefined;
  const notice = `Job ${dry.id} (${dry.name}), a dry run, ${does}: no other job is completed.`;
  return { job: dry, notice };
}

module.exports = { isDryRun, newestCompleted, newestFirst };
