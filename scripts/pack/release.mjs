// Checks the facts that have to agree before a version is published.

/**
 * @param {object} state
 * @param {string} state.tag `v1.2.3`
 * @param {Record<string, string | undefined>} state.versions by the file that they're in
 * @param {string} state.changelog
 * @returns {string[]} a message for each problem
 */
export function releaseProblems({ tag, versions, changelog }) {
  const version = tag.replace(/^v/, "");
  if (!/^v\d+\.\d+\.\d+(-[\w.]+)?$/.test(tag)) return [`${tag} is no tag of a version: v1.2.3`];
  const problems = Object.entries(versions)
    .filter(([, found]) => found !== version)
    .map(([file, found]) => `${file} has version ${found}, the tag says ${version}`);
  const heading = changelog.split("\n").find((line) => line.startsWith("## "));
  const [, newest, date] = heading?.match(/^## (\S+) \((.*)\)$/) ?? [];
  if (newest !== version) {
    problems.push(`CHANGELOG.md begins with ${newest ?? "no version"}, the tag says ${version}`);
  } else if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) {
    problems.push(`CHANGELOG.md has no date for ${version}: "## ${version} (YYYY-MM-DD)"`);
  }
  return problems;
}

/**
 * @param {string} cargoToml
 * @returns {string | undefined} the version of its package
 */
export function crateVersion(cargoToml) {
  return cargoToml.match(/^version = "(.*)"$/m)?.[1];
}
