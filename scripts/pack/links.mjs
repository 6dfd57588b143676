// Rewrites the links of the pages in a package, because their targets in a checkout may not be packed.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { relink, repositoryOf } from "../links.mjs";
import { root } from "../steps.mjs";
import { readManifest } from "./platforms.mjs";

/**
 * The pages of other packages, and their location once both packages are installed, relative to the directory
 * of `arkor`.
 */
const BESIDE = new Map([["local/README.md", "../@arkor/local/README.md"]]);

/**
 * Points the links of a package's pages to installed files if possible, else to the repository.
 * @param {string} from the package's directory in the checkout
 * @param {string} to the directory that it's staged in
 */
export function relinkPages(from, to) {
  const manifest = readManifest(path.join(to, "package.json"));
  const beside = manifest.name === "arkor" ? BESIDE : new Map();
  const repository = repositoryOf(manifest);
  const directory = path.relative(root, from).split(path.sep).join("/");
  for (const page of pagesIn(to)) {
    const text = readFileSync(path.join(to, page), "utf8");
    const source = path.posix.join(directory, page);
    const linked = relink(text, source, root, (file, isPicture) => {
      if (existsSync(path.join(to, path.posix.relative(directory, file)))) return undefined;
      // npm also shows README.md on its website, where relative links to other packages don't work.
      const installed = page === "README.md" ? undefined : beside.get(file);
      if (installed !== undefined) return path.posix.relative(path.posix.dirname(page), installed);
      if (!existsSync(path.join(root, file))) return undefined;
      return `${repository}/${isPicture ? "raw" : "blob"}/main/${file}`;
    });
    writeFileSync(path.join(to, page), linked);
  }
}

/** @param {string} directory */
function pagesIn(directory) {
  return ["", "docs"]
    .filter((one) => existsSync(path.join(directory, one)))
    .flatMap((one) =>
      readdirSync(path.join(directory, one)).map((file) => path.posix.join(one, file)),
    )
    .filter((file) => file.endsWith(".md"));
}
