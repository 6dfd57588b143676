// Assembles the site's sources: docs/, and the pages from other directories of the repository. docs/README.md
// is the index, both on GitHub and on the site: its lists become the sidebar.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { relink, repositoryOf } from "../links.mjs";
import { root } from "../steps.mjs";

/** Pages outside docs/, and their names on the site. */
const ELSEWHERE = new Map([
  ["local/README.md", "local-backend.md"],
  ["bench/README.md", "benchmarks.md"],
  ["CONTRIBUTING.md", "contributing.md"],
  ["CHANGELOG.md", "changelog.md"],
]);
const INDEX = "docs/README.md";
const REFERENCE = "reference/index.md";

/** @returns {Map<string, string>} every page: its path in the repository → its path on the site */
export function pages() {
  const inDocs = readdirSync(path.join(root, "docs"), { recursive: true, encoding: "utf8" })
    .map((file) => file.split(path.sep).join("/"))
    .filter((file) => file.endsWith(".md") && file !== "README.md")
    .sort();
  const pairs = inDocs.map((file) => /** @type {const} */ ([`docs/${file}`, file]));
  return new Map([[INDEX, "index.md"], ...pairs, ...ELSEWHERE, ["index.d.ts", REFERENCE]]);
}

/**
 * @typedef {object} Group
 * @property {string} text
 * @property {{ text: string, link: string }[]} items
 */

/**
 * The sidebar: a group for each heading of the index, and an item for each link at the start of a list item.
 * @returns {Group[]}
 */
export function sidebar() {
  const known = pages();
  /** @type {Group[]} */
  const groups = [];
  for (const line of readFileSync(path.join(root, INDEX), "utf8").split("\n")) {
    const [, heading] = line.match(/^## (.+)$/) ?? [];
    if (heading !== undefined) groups.push({ text: heading, items: [] });
    const [, text, target] = line.match(/^(?:\d+\.|-) \[([^\]]+)\]\(([^)]+)\)/) ?? [];
    if (text === undefined || target === undefined) continue;
    const source = path.posix.join("docs", target);
    const page =
      known.get(source) ?? (source === "docs/decisions" ? "decisions/index.md" : undefined);
    if (page === undefined) throw new Error(`${INDEX} links to ${target}, which is no page.`);
    groups.at(-1)?.items.push({ text, link: `/${page.replace(/(index)?\.md$/, "")}` });
  }
  return groups.filter(({ items }) => items.length > 0);
}

/**
 * Adapts a page's links to the site: to other pages on the site, and to the repository for everything else.
 * @param {string} text
 * @param {string} source the page's path in the repository
 * @param {{ pages: Map<string, string>, repository: string }} site
 */
export function withLinks(text, source, { pages: known, repository }) {
  const from = path.posix.dirname(known.get(source) ?? "");
  return relink(text, source, root, (file) => {
    const page = known.get(file) ?? (file === "docs/decisions" ? "decisions/index.md" : undefined);
    if (page !== undefined) return `./${path.posix.relative(from, page)}`;
    // Files in docs/ that aren't pages are copied.
    if (file.startsWith("docs/images/") && source.startsWith("docs/")) return undefined;
    return existsSync(path.join(root, file)) ? `${repository}/blob/main/${file}` : undefined;
  });
}

/** @param {string} site the directory to write, which is replaced */
export function stage(site) {
  rmSync(site, { recursive: true, force: true });
  const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const repository = repositoryOf(manifest);
  const known = pages();
  const write = (/** @type {string} */ file, /** @type {string} */ text) => {
    mkdirSync(path.dirname(path.join(site, file)), { recursive: true });
    writeFileSync(path.join(site, file), text);
  };
  for (const [source, page] of known) {
    if (page === REFERENCE) continue;
    const text = readFileSync(path.join(root, source), "utf8");
    write(page, withLinks(text, source, { pages: known, repository }));
  }
  cpSync(path.join(root, "docs/images"), path.join(site, "images"), { recursive: true });
  write("decisions/index.md", decisions(known));
  const config = {
    title: "arkor",
    description: manifest.description,
    // Works under any path at which a site may be published.
    cleanUrls: false,
    lastUpdated: false,
    themeConfig: {
      nav: [{ text: "Reference", link: "/reference/" }],
      sidebar: sidebar(),
      outline: [2, 3],
      search: { provider: "local" },
      socialLinks: [{ icon: "github", link: repository }],
    },
  };
  const anchor = path.relative(
    path.join(site, ".vitepress"),
    path.join(root, "scripts/docs/anchor.mjs"),
  );
  write(
    ".vitepress/config.mjs",
    `import { anchorOf } from ${JSON.stringify(anchor.split(path.sep).join("/"))};

export default {
  ...${JSON.stringify(config)},
  markdown: { anchor: { slugify: anchorOf } },
};
`,
  );
}

/** @param {Map<string, string>} known */
function decisions(known) {
  const items = [...known].filter(([source]) => source.startsWith("docs/decisions/"));
  const lines = items.map(([source, page]) => {
    const [, title] = readFileSync(path.join(root, source), "utf8").match(/^# (.+)$/m) ?? [];
    return `- [${title}](./${path.posix.basename(page)})`;
  });
  return `# Decisions\n\nWhy things are the way they are.\n\n${lines.join("\n")}\n`;
}
