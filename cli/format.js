// Formats numbers for people.

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/**
 * @param {number} ms
 * @returns {string} `12s`, `3m05s`, `1h02m`, `4d03h`; `-` for anything that isn't a duration
 */
function formatDuration(ms) {
  if (!Number.isFinite(ms)) return "-";
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  if (minutes < 1) return `${seconds}s`;
  if (hours < 1) return `${minutes}m${two(seconds % 60)}s`;
  return hours < 100 ? `${hours}h${two(minutes % 60)}m` : `${days}d${two(hours % 24)}h`;
}

/**
 * @param {number} value a loss, or another number of any size
 * @returns {string} three decimals, or an exponent if those would hide the value or be too long
 */
function formatMetric(value) {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || value === 0) return String(value + 0);
  return size < 1e-3 || size >= 1e6 ? value.toExponential(2) : value.toFixed(3);
}

/** @param {number} value */
function formatLearningRate(value) {
  return Number.isFinite(value) && value !== 0 ? value.toExponential(1) : String(value + 0);
}

/**
 * @param {number} value whole, not negative
 * @returns {string} `324`, `12,000`, `1.1M`, `7.2B`
 */
function formatCount(value) {
  return value < 1e6
    ? value.toLocaleString("en-US")
    : value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 });
}

/** @param {number} value not negative */
function formatSpeed(value) {
  if (value >= 1e6 || (value > 0 && value < 0.01)) return value.toExponential(1);
  return value.toFixed(value < 0.1 ? 2 : value < 10 ? 1 : 0);
}

/**
 * @param {number} bytes not negative
 * @param {number} [scale] the number that determines the unit; `bytes` by default
 * @returns {string} the number without its unit, see `unitOf`
 */
function formatBytes(bytes, scale = bytes) {
  const { size, unit } = unitOf(scale);
  const value = bytes / size;
  return value.toFixed(unit === "GB" || (value > 0 && value < 10) ? 1 : 0);
}

/**
 * @param {number} bytes
 * @returns {{ unit: "GB" | "MB" | "kB", size: number }} decimal units, as on the Hub and on disks
 */
function unitOf(bytes) {
  if (bytes >= 1e9) return { unit: "GB", size: 1e9 };
  return bytes >= 1e6 ? { unit: "MB", size: 1e6 } : { unit: "kB", size: 1e3 };
}

/**
 * @param {number} bytes
 * @returns {string} the number with its unit
 */
function formatSize(bytes) {
  return `${formatBytes(bytes)} ${unitOf(bytes).unit}`;
}

module.exports = {
  formatBytes,
  formatCount,
  formatDuration,
  formatLearningRate,
  formatMetric,
  formatSize,
  formatSpeed,
  isNumber,
  unitOf,
};
