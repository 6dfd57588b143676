// An esbuild plugin that decides which modules go into a bundle: the project's own and those of linked
// workspace packages. `arkor`, installed packages and Node's own modules stay imports.
"use strict";

const fs = require("node:fs");
const { isBuiltin } = require("node:module");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { ancestors } = require("../files.js");

/** Files that no version of Node can load from `node_modules`. */
const TYPESCRIPT = /\.[cm]?tsx?$/;
/** Also matches `C:\`. */
const URL_LIKE = /^\w+:/;
const PACKAGE_NAME = /^(?:@[^/]+\/)?[^@#~/][^/]*/;
/** Marks the calls that the plugin itself makes to esbuild's resolver. */
const ASKED = Symbol("asked by the plugin");
const REQUIRED = "arkor-require";

/**
 * @param {string} directory where the bundle will be written
 * @returns {import("esbuild").Plugin}
 */
function packages(directory) {
  return {
    name: "arkor-packages",
    setup(build) {
      build.onResolve({ filter: /^[^./\\]/ }, async (args) => {
        if (args.kind === "entry-point" || args.pluginData === ASKED) return undefined;
        if (isBuiltin(args.path)) return external(args, args.path);
        return URL_LIKE.test(args.path) ? undefined : resolvePackage(build, directory, args);
      });
      build.onResolve({ filter: /^\.\.?\/.*\.node$/ }, (args) =>
        externalFile(args, directory, path.resolve(args.resolveDir, args.path)),
      );
      // ESM output has no `require`, which esbuild would use for an external module.
      build.onLoad({ filter: /.*/, namespace: REQUIRED }, (args) => ({
        contents: `module.exports = __arkor_require(${JSON.stringify(args.path)});`,
        loader: "js",
      }));
    },
  };
}

/**
 * @param {import("esbuild").PluginBuild} build
 * @param {string} directory
 * @param {import("esbuild").OnResolveArgs} args
 * @returns {Promise<import("esbuild").OnResolveResult | undefined>} undefined lets esbuild decide
 */
async function resolvePackage(build, directory, args) {
  const [name] = args.path.match(PACKAGE_NAME) ?? [];
  // Two copies of arkor in one process wouldn't recognise each other's trainers.
  if (name === "arkor" || name?.startsWith("@arkor/")) return external(args, args.path);
  const found = name === undefined ? undefined : findPackage(name, args.resolveDir);
  if (found && !isInstalled(found.real)) return undefined;

  // In node_modules no tsconfig.json applies, so its `paths` can't redirect installed packages.
  const resolveDir = found ? found.nodeModules : args.resolveDir;
  const { kind, importer } = args;
  const options = { kind, importer, resolveDir, pluginData: ASKED };
  const { errors, path: file, sideEffects } = await build.resolve(args.path, options);
  // A missing package may be optional, so let Node fail when the import runs.
  if (errors.length > 0) return name === undefined ? undefined : external(args, args.path);
  if (!isInstalled(file) || TYPESCRIPT.test(file)) return { path: file, sideEffects };
  const isSeen = found && findPackage(/** @type {string} */ (name), directory)?.real === found.real;
  return isSeen ? external(args, args.path) : externalFile(args, directory, file);
}

/**
 * @param {import("esbuild").OnResolveArgs} args
 * @param {string} target the specifier that Node will import
 * @returns {import("esbuild").OnResolveResult}
 */
function external({ kind }, target) {
  return kind === "require-call"
    ? { path: target, namespace: REQUIRED }
    : { path: target, external: true };
}

/**
 * @param {import("esbuild").OnResolveArgs} args
 * @param {string} directory
 * @param {string} file
 */
function externalFile(args, directory, file) {
  const isRequired = args.kind === "require-call";
  return external(args, isRequired ? pathFrom(directory, file) : urlFrom(directory, file));
}

/**
 * Looks up a package like Node.
 * @param {string} name
 * @param {string} from the directory to start from
 * @returns {{ nodeModules: string, real: string } | undefined}
 */
function findPackage(name, from) {
  for (const directory of ancestors(from)) {
    if (path.basename(directory) === "node_modules") continue;
    const nodeModules = path.join(directory, "node_modules");
    try {
      return { nodeModules, real: fs.realpathSync(path.join(nodeModules, name)) };
    } catch {
      // It isn't here: continue further up.
    }
  }
  return undefined;
}

/**
 * Whether a package manager installed it. A link to a workspace package resolves to a path outside
 * node_modules.
 * @param {string} real
 */
function isInstalled(real) {
  return real.split(path.sep).includes("node_modules");
}

/**
 * @param {string} directory the bundle's directory
 * @param {string} file
 * @returns {string} the path from the bundle to the file, valid on other machines too
 */
function pathFrom(directory, file) {
  const relative = path.relative(directory, file);
  // On Windows, the file may be on another drive.
  if (path.isAbsolute(relative)) return relative;
  const portable = relative.split(path.sep).join("/");
  return portable.startsWith("../") ? portable : `./${portable}`;
}

/**
 * @param {string} directory the bundle's directory
 * @param {string} file
 */
function urlFrom(directory, file) {
  const found = pathFrom(directory, file);
  if (path.isAbsolute(found)) return pathToFileURL(found).href;
  return found.split("/").map(encodeURIComponent).join("/");
}

module.exports = { packages, urlFrom };
