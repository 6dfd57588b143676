// Rewrites the relative links of a Markdown page.
import { existsSync } from "node:fs";
import path from "node:path";

/** `![text](target)`, `](target)`, or `[label]: target` on a line of its own. */
const LINK = /(!\[[^\]]*\]\(|\]\(|^\[[^\]]+\]: )([^)\s#]+)((?:#[^)\s]*)?(?:\)|$))/gm;

/**
 * Gives a page's relative links new targets.
 * @param {string} text
 * @param {string} source the page's path in the repository
 * @param {string} root the checkout
 * @param {(file: string, isPicture: boolean) => string | undefined} targetOf the target for a file of the
 *   repository; undefined leaves the link unchanged
 * @returns {string}
 */
export function relink(text, source, root, targetOf) {
  return text.replace(LINK, (whole, open, target, rest) => {
    if (/^[a-z]+:/i.test(target)) return whole;
    const file = path.posix.join(path.posix.dirname(source), target);
    const other = targetOf(file, open.startsWith("!"));
    if (other !== undefined) return `${open}${other}${rest}`;
    if (existsSync(path.join(root, file))) return whole;
    throw new Error(`${source} links to ${target}, which doesn't exist.`);
  });
}

/**
 * @param {Record<string, any>} manifest
 * @returns {string} the repository's URL
 */
export function repositoryOf(manifest) {
  return manifest.repository.url.replace(/^git\+|\.git$/g, "");
}
