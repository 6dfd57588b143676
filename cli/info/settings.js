// The environment variables that affect arkor, without their secrets.

const os = require("node:os");

/** Shown unchanged. */
const PLAIN = [
  ...["ARKOR_DEBUG", "ARKOR_ENGINE", "ARKOR_LOCAL_BIN", "ARKOR_LOG", "ARKOR_PYTHON", "ARKOR_UV"],
  ...["CI", "CUDA_VISIBLE_DEVICES", "FORCE_COLOR", "NO_COLOR", "RAY_ADDRESS", "UV_CACHE_DIR"],
  ...["HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_OFFLINE"],
  ...["NODE_EXTRA_CA_CERTS", "NO_PROXY", "no_proxy", "XDG_CACHE_HOME"],
];
/** A URL may contain a user, a password or a path that nobody else should see. */
const URLS = [
  ...["ARKOR_CLOUD_API_URL", "HF_ENDPOINT"],
  ...["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"],
];
const SECRET = [
  "ARKOR_LOCAL_TOKEN",
  "HF_TOKEN",
  "HUGGING_FACE_HUB_TOKEN",
  "VLLM_API_KEY",
  "NODE_OPTIONS",
];

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Record<string, string>} the variables that are set, by name
 */
function settings(env) {
  const shown = [
    ...PLAIN.map((name) => /** @type {const} */ ([name, env[name] && withoutHome(env[name])])),
    ...URLS.map((name) => /** @type {const} */ ([name, originOf(env[name])])),
    ...SECRET.map((name) => /** @type {const} */ ([name, env[name] && "set"])),
  ];
  const set = shown.flatMap(([name, value]) =>
    value ? [/** @type {const} */ ([name, value])] : [],
  );
  return Object.fromEntries(set.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * @param {string} text
 * @returns {string} without the home directory, whose path contains the user's name
 */
function withoutHome(text) {
  try {
    const home = os.homedir();
    return home.length > 1 ? text.replaceAll(home, "~") : text;
  } catch {
    return text;
  }
}

/** @param {string | undefined} value */
function originOf(value) {
  if (!value) return undefined;
  return URL.canParse(value) ? new URL(value).origin : "set";
}

module.exports = { settings, withoutHome };
