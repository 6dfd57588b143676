// An esbuild plugin that decides what goes into a bundle: the project's own modules and those of
// linked workspace packages do; `arkor`, what is installed, and Node's modules stay imports.
"use strict";

const fs = require("node:fs");
const { isBuiltin } = require("node:module");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { ancestors } = require("../files.js");

/** No version of Node can load these from `node_modules`. */
const TYPESCRIPT = /\.[cm]?tsx?$/;
/** Also `C:\`. */
const URL_LIKE = /^\w+:/;
const PACKAGE_NAME = /^(?:@[^/]+\/)?[^@#~/][^/]*/;
/** Marks the plugin's own calls to esbuild's resolver. */
const ASKED = Symbol("asked by the plugin");
const REQUIRED = "arkor-require";

/**
 * @param {string} directory where the bundle will lie
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
      // ESM output has no `require` that esbuild could use for an external module.
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
 * @returns {Promise<import("esbuild").OnResolveResult | undefined>} undefined: esbuild decides
 */
async function resolvePackage(build, directory, args) {
  const [name] = args.path.match(PACKAGE_NAME) ?? [];
  // Two copies in one process wouldn't recognise each other's trainers.
  if (name === "arkor" || name?.startsWith("@arkor/")) return external(args, args.path);
  const found = name === undefined ? undefined : findPackage(name, args.resolveDir);
  if (found && !isInstalled(found.real)) return undefined;

  // From within node_modules no tsconfig.json applies: its `paths` can't capture what is installed.
  const resolveDir = found ? found.nodeModules : args.resolveDir;
  const { kind, importer } = args;
  const options = { kind, importer, resolveDir, pluginData: ASKED };
  const { errors, path: file, sideEffects } = await build.resolve(args.path, options);
  // A missing package may be optional; leave it to Node to fail when the import runs.
  if (errors.length > 0) return name === undefined ? undefined : external(args, args.path);
  if (!isInstalled(file) || TYPESCRIPT.test(file)) return { path: file, sideEffects };
  const isSeen = found && findPackage(/** @type {string} */ (name), directory)?.real === found.real;
  return isSeen ? external(args, args.path) : externalFile(args, directory, file);
}

/**
 * @param {import("esbuild").OnResolveArgs} args
 * @param {string} target what Node is to import
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
 * Looks up a package as Node does.
 * @param {string} name
 * @param {string} from a directory
 * @returns {{ nodeModules: string, real: string } | undefined}
 */
function findPackage(name, from) {
  for (const directory of ancestors(from)) {
    if (path.basename(directory) === "node_modules") continue;
    const nodeModules = path.join(directory, "node_modules");
    try {
      return { nodeModules, real: fs.realpathSync(path.join(nodeModules, name)) };
    } catch {
      // Further up, then.
    }
  }
  return undefined;
}

/**
 * Whether a package manager installed it. A link to a workspace package points elsewhere.
 * @param {string} real
 */
function isInstalled(real) {
  return real.split(path.sep).includes("node_modules");
}

/**
 * @param {string} directory of the bundle
 * @param {string} file
 * @returns {string} leads from the bundle to the file, on another machine too
 */
function pathFrom(directory, file) {
  const relative = path.relative(directory, file);
  // On Windows, on another drive.
  if (path.isAbsolute(relative)) return relative;
  const portable = relative.split(path.sep).join("/");
  return portable.startsWith("../") ? portable : `./${portable}`;
}

/**
 * @param {string} directory of the bundle
 * @param {string} file
 */
function urlFrom(directory, file) {
  const found = pathFrom(directory, file);
  if (path.isAbsolute(found)) return pathToFileURL(found).href;
  return found.split("/").map(encodeURIComponent).join("/");
}

module.exports = { packages, urlFrom };
