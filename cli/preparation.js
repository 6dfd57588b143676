// Describes a run's work before its first step (downloading, encoding, loading) as text. Pure, like
// `progress.js`.

const { oneLine } = require("../lib/printable.js");
const {
  formatBytes,
  formatDuration,
  formatSize,
  formatSpeed,
  isNumber,
  unitOf,
} = require("./format.js");
const { cut } = require("./text-width.js");

const PHASES = new Set(["downloading", "encoding", "loading"]);
const UNITS = new Set(["bytes", "rows", "tensors"]);
/** The maximum width of a name, which may come from the project or the Hub. */
const MAX_NAME_WIDTH = 60;

/**
 * @typedef {object} Preparation
 * @property {string} what the phase, and the name of the thing that it works on
 * @property {string} unit
 * @property {number} done
 * @property {number} total 0 if unknown
 * @property {number} at in ms
 * @property {{ done: number, at: number }} from the start of the speed measurement
 */

/**
 * @param {Preparation | undefined} before the last known state
 * @param {any} event `training.progress`
 * @param {number} now in ms
 * @returns {Preparation | undefined} undefined for an invalid event
 */
function goOn(before, { phase, name, done, total, unit }, now) {
  const isKnown = PHASES.has(phase) && UNITS.has(unit);
  if (!isKnown || !isNumber(done) || done < 0 || !isNumber(total)) return undefined;
  const named = typeof name === "string" ? oneLine(name) : "";
  const what = named === "" ? phase : `${phase} ${cut(named, MAX_NAME_WIDTH)}`;
  const isSame = before && before.what === what && before.unit === unit && before.from.done <= done;
  return { what, unit, done, total, at: now, from: isSame ? before.from : { done, at: now } };
}

/**
 * @param {Preparation} preparation
 * @returns {{ what: string, amount: string, percent?: string, speed?: string, left?: string }}
 */
function partsOf({ what, unit, done, total, at, from }) {
  const isBounded = total > 0 && done <= total;
  const perMs = at > from.at ? (done - from.done) / (at - from.at) : 0;
  const left = (total - done) / perMs;
  return {
    what,
    amount: amountOf(unit, done, isBounded ? total : undefined),
    ...(isBounded && { percent: `${Math.floor((100 * done) / total)} %` }),
    ...(perMs > 0 && { speed: speedOf(unit, perMs * 1000) }),
    ...(isBounded && perMs > 0 && { left: `${formatDuration(left)} left` }),
  };
}

/**
 * @param {string} unit
 * @param {number} done
 * @param {number | undefined} total
 */
function amountOf(unit, done, total) {
  if (unit !== "bytes") return `${total === undefined ? done : `${done} of ${total}`} ${unit}`;
  if (total === undefined) return formatSize(done);
  return `${formatBytes(done, total)} of ${formatBytes(total)} ${unitOf(total).unit}`;
}

/**
 * @param {string} unit
 * @param {number} perSecond
 */
function speedOf(unit, perSecond) {
  if (unit !== "bytes") return `${formatSpeed(perSecond)} ${unit}/s`;
  return `${formatSize(perSecond)}/s`;
}

module.exports = { goOn, partsOf };
