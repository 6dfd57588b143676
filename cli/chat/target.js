// Finds the model to chat with: a job's adapter, one of its checkpoints, or a base model.

const { pastEvents } = require("../past-events.js");
const { CliError } = require("../errors.js");
const { arkorCommand } = require("../invocation.js");
const { newestCompleted } = require("../newest-job.js");

/** @typedef {import("../dev/backend.js").Backend} Backend */

/**
 * @typedef {object} Target
 * @property {Record<string, unknown>} fields of the request's body
 * @property {string} [notice] tells the user which model was picked, if they didn't name it
 */

const JOB_ID = /^job[_-]/;

/**
 * @param {Backend} backend
 * @param {string | undefined} wanted
 * @returns {Promise<Target>}
 * @throws {CliError} if there is no such job or checkpoint
 */
async function findTarget(backend, wanted) {
  if (wanted === undefined) return newestJob(backend);
  const [, jobId = "", step] = /^([^/\\]+)(?:\/(?:checkpoint-)?(\d+))?$/.exec(wanted) ?? [];
  const job = jobId === "" ? undefined : await jobOf(backend, jobId);
  if (!job) {
    if (!JOB_ID.test(wanted)) return { fields: { baseModel: wanted } };
    throw new CliError(
      `There is no job ${jobId || wanted}. To list this project's: ${arkorCommand("jobs")}`,
    );
  }
  if (step !== undefined) return { fields: checkpoint(job.id, Number(step)) };
  if (job.status === "completed") return { fields: final(job.id) };
  const last = await lastCheckpoint(backend, job.id);
  if (last === undefined) {
    throw new CliError(`Job ${job.id} is ${job.status} and hasn't saved a checkpoint to talk to.`);
  }
  const notice = `Job ${job.id} is ${job.status}: its checkpoint of step ${last} answers.`;
  return { fields: checkpoint(job.id, last), notice };
}

/**
 * @param {Backend} backend
 * @returns {Promise<Target>}
 */
async function newestJob(backend) {
  const jobs = await backend.jobs();
  const newest = newestCompleted(jobs, "answers");
  if (newest) return { fields: final(newest.job.id), notice: newest.notice };
  throw new CliError(
    jobs.length === 0
      ? `This project has no job to talk to yet. Train one: ${arkorCommand("start")}`
      : `No job of this project is completed. Name one that has saved a checkpoint: ${arkorCommand("chat <job>")}`,
  );
}

/**
 * @param {Backend} backend
 * @param {string} jobId
 * @returns {Promise<import("../..").TrainingJob | undefined>} undefined if there's no such job
 */
async function jobOf(backend, jobId) {
  try {
    const { job } = await backend.call((client, scope) => client.getJob(jobId, scope));
    return job;
  } catch (error) {
    if (/** @type {{ status?: unknown }} */ (error).status === 404) return undefined;
    throw error;
  }
}

/**
 * @param {Backend} backend
 * @param {string} jobId
 * @returns {Promise<number | undefined>} the step of the last checkpoint
 */
async function lastCheckpoint(backend, jobId) {
  /** @type {number | undefined} */ let last;
  const open = (/** @type {AbortSignal} */ signal) =>
    backend.call((client, scope) => client.openEventStream(jobId, scope, { signal }));
  await pastEvents(open, ({ type, step }) => {
    if (type === "checkpoint.saved" && typeof step === "number") last = step;
  });
  return last;
}

/** @param {string} jobId */
function final(jobId) {
  return { adapter: { kind: "final", jobId } };
}

/**
 * @param {string} jobId
 * @param {number} step
 */
function checkpoint(jobId, step) {
  return { adapter: { kind: "checkpoint", jobId, step } };
}

module.exports = { findTarget };
