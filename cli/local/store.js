// Reads a local store without its backend.

const fs = require("node:fs");
const path = require("node:path");

const STORE = ".arkor/local";

/** @param {string} cwd the project */
function hasStore(cwd) {
  return fs.existsSync(path.join(cwd, STORE));
}

/**
 * @param {string} cwd
 * @param {string} jobId
 * @returns {boolean} whether the job is in this project's store
 */
function isStored(cwd, jobId) {
  return readStored(cwd, jobId) !== undefined;
}

/**
 * @param {string} cwd
 * @param {string} jobId
 * @returns {Partial<import("../..").TrainingJob> | undefined} the job's record; undefined if there's none
 */
function readStored(cwd, jobId) {
  if (!/^\w[\w-]*$/.test(jobId)) return undefined;
  try {
    const text = fs.readFileSync(path.join(cwd, STORE, "jobs", jobId, "job.json"), "utf8");
    const record = JSON.parse(text);
    return typeof record === "object" && record !== null ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} cwd
 * @returns {import("../newest-job.js").Job[]} the jobs whose record can be read
 */
function storedJobs(cwd) {
  return namesIn(path.join(cwd, STORE, "jobs")).flatMap((id) => {
    const record = readStored(cwd, id);
    const { name = id, status, createdAt = "", config } = record ?? {};
    return status === undefined ? [] : [{ id, name, status, createdAt, config }];
  });
}

/**
 * @param {string} directory
 * @returns {string[]} empty if the directory can't be read
 */
function namesIn(directory) {
  try {
    return fs.readdirSync(directory);
  } catch {
    return [];
  }
}

module.exports = { STORE, hasStore, isStored, namesIn, readStored, storedJobs };
