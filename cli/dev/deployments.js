// Checks the request bodies of the endpoint routes before anything is created. The error names the invalid
// field.

const { Refusal } = require("./backend.js");

const SLUG = /^[a-z0-9][a-z0-9-]{0,48}[a-z0-9]$/;
const MAX_LABEL = 80;

/** @typedef {Record<string, unknown>} Fields */

/**
 * @param {unknown} body
 * @returns {Fields}
 */
function fieldsOf(body) {
  if (typeof body === "object" && body !== null && !Array.isArray(body)) {
    return /** @type {Fields} */ (body);
  }
  throw new Refusal(400, "The body must be a JSON object.");
}

/**
 * @param {boolean} ok
 * @param {string} message
 */
function check(ok, message) {
  if (!ok) throw new Refusal(400, message);
}

/** @param {Fields} body */
function checkShared(body) {
  check(
    body.slug === undefined || (typeof body.slug === "string" && SLUG.test(body.slug)),
    "slug: use 2 to 50 of a-z, 0-9 and -, beginning and ending with a letter or digit.",
  );
  check(
    body.authMode === undefined || body.authMode === "none" || body.authMode === "fixed_api_key",
    'authMode must be "none" or "fixed_api_key".',
  );
  check(
    body.enabled === undefined || typeof body.enabled === "boolean",
    "enabled must be true or false.",
  );
  if (body.target !== undefined) checkTarget(body.target);
  const days = body.runRetentionDays;
  if (body.runRetentionMode === "days") {
    check(
      Number.isInteger(days) && Number(days) > 0,
      'runRetentionDays must be a whole number above 0 with runRetentionMode "days".',
    );
  } else {
    check(days == null, 'runRetentionDays goes with runRetentionMode "days" only.');
  }
}

/** @param {unknown} target */
function checkTarget(target) {
  const { kind, adapter, baseModel } = fieldsOf(target);
  if (kind === "base_model") {
    return check(isText(baseModel), "target.baseModel must be the name of a model.");
  }
  check(kind === "adapter", 'target.kind must be "adapter" or "base_model".');
  const { kind: which, jobId, step } = fieldsOf(adapter);
  check(
    which === "final" || which === "checkpoint",
    'target.adapter.kind must be "final" or "checkpoint".',
  );
  check(isText(jobId), "target.adapter.jobId must be a job's id.");
  check(
    which === "final" || (Number.isInteger(step) && Number(step) >= 0),
    "target.adapter.step must be the step of a checkpoint.",
  );
}

/** @param {unknown} value */
function isText(value) {
  return typeof value === "string" && value.trim() !== "";
}

/**
 * @param {unknown} body
 * @returns {import("../..").CreateDeploymentInput}
 */
function checkedCreation(body) {
  const fields = fieldsOf(body);
  for (const name of ["slug", "target", "authMode"]) {
    check(fields[name] !== undefined, `${name} is missing.`);
  }
  checkShared(fields);
  return /** @type {import("../..").CreateDeploymentInput} */ (fields);
}

/**
 * @param {unknown} body
 * @returns {import("../..").UpdateDeploymentInput}
 */
function checkedUpdate(body) {
  const fields = fieldsOf(body);
  checkShared(fields);
  check(Object.keys(fields).length > 0, "There is nothing to change.");
  return /** @type {import("../..").UpdateDeploymentInput} */ (fields);
}

/**
 * @param {unknown} body
 * @returns {{ label: string }}
 */
function checkedKey(body) {
  const { label } = fieldsOf(body);
  const trimmed = typeof label === "string" ? label.trim() : "";
  check(
    trimmed.length >= 1 && trimmed.length <= MAX_LABEL,
    `label must be 1 to ${MAX_LABEL} characters.`,
  );
  return { label: trimmed };
}

module.exports = { checkedCreation, checkedKey, checkedUpdate, fieldsOf };
