// The facts that are printed when a run has started and when it has ended, besides the live block. Pure, like
// `progress.js`.

const { formatCount, formatDuration, formatMetric, formatSize, isNumber } = require("./format.js");
const { placed } = require("./errors.js");

/** The local backend's base model that needs no download. */
const BUILT_IN = "arkor-tiny";

/** @typedef {import("./facts.js").Fact} Fact */

/**
 * The facts about what is trained, and where.
 * @param {any} job
 * @param {any} meta the metadata of `training.started`; the cloud may send none
 * @param {string} [where] the backend's host, if it isn't this machine
 * @returns {Fact[]}
 */
function startedFacts(job, meta, where) {
  const config = job?.config ?? {};
  return [
    { label: "model", value: modelOf(config, meta?.baseModel ?? {}, meta) },
    { label: "device", value: deviceOf(meta, where) },
    { label: "data", value: dataOf(config, meta?.rows) },
    { label: "steps", value: stepsOf(config, meta) },
    {
      label: "memory",
      value: isNumber(meta?.memoryBytes) ? `about ${formatSize(meta.memoryBytes)}` : "",
    },
  ].filter(({ value }) => value !== "");
}

/**
 * @param {any} config
 * @param {any} base
 * @param {any} meta
 */
function modelOf(config, base, meta) {
  const { requested, used, standIn } = base;
  const name = textOf(used) || textOf(config.model);
  const instead =
    standIn === true && used !== BUILT_IN ? ` (--base-model), not ${textOf(requested)}` : "";
  const { baseParameters: all, trainableParameters: trained } = meta ?? {};
  const size = isNumber(all) ? `, ${formatCount(all)} parameters` : "";
  const adapter = isNumber(trained) ? `, and ${formatCount(trained)} in the adapter` : "";
  return name === "" ? "" : `${name}${instead}${size}${adapter}`;
}

/**
 * @param {any} meta
 * @param {string | undefined} where
 */
function deviceOf(meta, where) {
  const { device, engine, dtype, processes } = meta ?? {};
  const by = textOf(engine) === "" ? "" : `${engine} engine`;
  const many = isNumber(processes) && processes > 1 ? `${processes} processes` : "";
  const details = [textOf(device), by, textOf(dtype), many].filter((text) => text !== "");
  const place = where ?? "this machine";
  return details.length === 0 ? place : `${place}: ${details.join(", ")}`;
}

/**
 * @param {any} config
 * @param {any} rows
 */
function dataOf({ datasetSource = {} }, rows) {
  const name = textOf(datasetSource.name) || fileOf(textOf(datasetSource.url));
  const { train, eval: held } = rows ?? {};
  if (!isNumber(train)) return name;
  const counted = `${formatCount(train)} rows${isNumber(held) ? ` to train, ${formatCount(held)} to evaluate` : ""}`;
  return name === "" ? counted : `${name}, ${counted}`;
}

/** @param {string} url only its path is used, because the query may contain a signature */
function fileOf(url) {
  const { pathname = "" } = URL.canParse(url) ? new URL(url) : {};
  return pathname.slice(pathname.lastIndexOf("/") + 1);
}

/**
 * @param {any} config
 * @param {any} meta
 */
function stepsOf(config, meta) {
  const total = meta?.totalSteps ?? config.maxSteps;
  const batch = meta?.batchSize ?? config.batchSize;
  if (!isNumber(total)) return "";
  const of = isNumber(batch) ? ` of ${batch} ${batch === 1 ? "row" : "rows"}` : "";
  return `${formatCount(total)}${of}${(meta?.dryRun ?? config.dryRun) === true ? ", a dry run" : ""}`;
}

/** @param {unknown} value */
function textOf(value) {
  return typeof value === "string" ? value : "";
}

/**
 * Explains that the built-in model stands in for the model that the job names, and what to do about it.
 * @param {any} meta the metadata of `training.started`
 * @returns {string[]} empty if no model stands in
 */
function standInNotice(meta) {
  const { requested, used, standIn, reason } = meta?.baseModel ?? {};
  if (standIn !== true || used !== BUILT_IN) return [];
  const why = textOf(reason).replace(/\.$/, "");
  const name = textOf(requested);
  const ways = ["pass its directory with --base-model DIR"];
  if (why.includes("HF_HUB_OFFLINE")) ways.unshift("unset HF_HUB_OFFLINE");
  else if (why.includes("not on this machine")) ways.unshift("be online");
  return [
    `warning: ${BUILT_IN} stands in for ${name}${reasonClause(name, why)}.`,
    `It shows that your data and callbacks work, and no more. To train ${name}, ${ways.join(" or ")}. --strict-model makes this an error.`,
  ];
}

/**
 * Reports that some rows aren't trained on.
 * @param {any} meta the metadata of `training.started`
 * @returns {string[]} empty if all rows are
 */
function leftOutNotice(meta) {
  const { train = 0, eval: held = 0, withoutTarget: leftOut } = meta?.rows ?? {};
  if (!isNumber(leftOut) || leftOut <= 0) return [];
  const all = train + held + leftOut;
  const limit = meta?.maxLength?.used;
  const within = isNumber(limit) ? ` within maxLength, ${formatCount(limit)} tokens` : "";
  const bytes = meta?.baseModel?.used === BUILT_IN ? ` (for ${BUILT_IN}, a token is a byte)` : "";
  return [
    `warning: ${formatCount(leftOut)} of ${formatCount(all)} rows are left out: they have nothing to train${within}${bytes}.`,
    "Set a larger maxLength, or shorten their prompts.",
  ];
}

/**
 * @param {string} requested
 * @param {string} why
 */
function reasonClause(requested, why) {
  return why.startsWith(`${requested} is `) ? `, which${why.slice(requested.length)}` : `: ${why}`;
}

/**
 * @typedef {object} Ended the state at the end of a run
 * @property {any} job
 * @property {number} tookMs measured by this command
 * @property {import("./progress.js").Progress} progress
 * @property {Failures} failures
 */

/**
 * @param {Ended} ended
 * @returns {Fact[]}
 */
function endedFacts({ job, tookMs, progress, failures }) {
  const own = Date.parse(job?.completedAt) - Date.parse(job?.startedAt);
  return [
    { label: "time", value: formatDuration(Number.isFinite(own) ? own : tookMs) },
    { label: "loss", value: change(progress.firstLoss, progress.loss) },
    { label: "eval loss", value: change(progress.firstEvalLoss, progress.evalLoss) },
    ...failures.facts(),
  ].filter(({ value }) => value !== "");
}

/**
 * @param {number | undefined} before
 * @param {number | undefined} after
 */
function change(before, after) {
  if (before === undefined || after === undefined) return "";
  const [first, last] = [formatMetric(before), formatMetric(after)];
  return first === last ? last : `${first} → ${last}`;
}

/** Collects the errors of callbacks that didn't end the run. */
class Failures {
  /** @type {Map<string, { count: number, first: import("./internals.js").CallbackFailure }>} */
  #byName = new Map();

  /** @param {import("./internals.js").CallbackFailure} failure */
  add(failure) {
    const known = this.#byName.get(failure.name);
    if (known) known.count += 1;
    else this.#byName.set(failure.name, { count: 1, first: failure });
  }

  /** @returns {Fact[]} */
  facts() {
    return [...this.#byName].map(([name, { count, first }]) => {
      const often = count === 1 ? "once" : `${formatCount(count)} times`;
      const at = first.step === undefined ? "" : ` at step ${first.step}`;
      const when = count === 1 ? at : `, first${at}`;
      return {
        label: "callback",
        value: `${name} threw ${often}${when}: ${placed(first.error)}`,
        style: "yellow",
      };
    });
  }
}

module.exports = { Failures, endedFacts, leftOutNotice, standInNotice, startedFacts };
