// A project whose @arkor/local has a torch engine with a small lock file. Its PATH contains only the
// stand-ins that a test adds, and its cache starts empty.
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { arkor, ROOT, type Running } from "./command.ts";
import { writeTool } from "./fake-tools.mjs";
import { Project } from "./project.ts";
import { arkorAt, type Terminal } from "./terminal.ts";

const wheel = (file: string, size: number) =>
  `    { url = "https://files.pythonhosted.org/packages/aa/${file}", hash = "sha256:0", size = ${size} },`;

const PLATFORMS = [
  "manylinux_2_28_x86_64",
  "manylinux_2_28_aarch64",
  "macosx_14_0_arm64",
  "win_amd64",
];

/** A lock file in uv's format: torch with CUDA on Linux, transformers, and Ray as an extra. */
export const LOCK = `version = 1

[[package]]
name = "arkor-torch"
version = "0.1.0"
dependencies = [
    { name = "torch" },
    { name = "transformers" },
]

[package.optional-dependencies]
ray = [
    { name = "ray" },
]

[[package]]
name = "nvidia-cublas"
version = "13.0.0"
wheels = [
${wheel("nvidia_cublas-13.0.0-py3-none-manylinux_2_27_x86_64.whl", 2_000_000)}
${wheel("nvidia_cublas-13.0.0-py3-none-manylinux_2_27_aarch64.whl", 2_000_000)}
]

[[package]]
name = "ray"
version = "2.60.0"
wheels = [
${PLATFORMS.map((platform) => wheel(`ray-2.60.0-cp311-cp311-${platform}.whl`, 500_000)).join("\n")}
]

[[package]]
name = "torch"
version = "2.15.0"
dependencies = [
    { name = "nvidia-cublas", marker = "sys_platform == 'linux'" },
]
wheels = [
${["11", "12"]
  .flatMap((minor) =>
    PLATFORMS.map((platform) =>
      wheel(`torch-2.15.0-cp3${minor}-cp3${minor}-${platform}.whl`, 1_000_000),
    ),
  )
  .join("\n")}
]

[[package]]
name = "transformers"
version = "5.24.0"
wheels = [
${wheel("transformers-5.24.0-py3-none-any.whl", 100_000)}
]
`;

interface Call {
  tool: string;
  args: string[];
  place?: string;
  cache?: string;
  active?: string;
}

export type Tool = "python3" | "python" | "uv" | "nvidia-smi";

export class Machine {
  readonly project: Project;
  readonly cache: string;
  readonly #bin: string;
  readonly #log: string;

  /** @param tools the stand-ins on its PATH */
  constructor(tools: Tool[], files: Record<string, string> = {}) {
    this.project = new Project(files);
    const local = "node_modules/@arkor/local";
    const program = JSON.stringify(path.join(ROOT, "__test__/support/fake-backend.mjs"));
    this.project.write(`${local}/index.js`, `exports.binaryPath = () => ${program};`);
    this.project.write(`${local}/torch/pyproject.toml`, "");
    this.lock(LOCK);
    const directory = realpathSync(mkdtempSync(path.join(tmpdir(), "arkor-engine-")));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    this.cache = path.join(directory, "cache");
    this.#bin = path.join(directory, "bin");
    this.#log = path.join(directory, "log");
    mkdirSync(this.#bin);
    writeFileSync(this.#log, "");
    for (const tool of tools) this.add(tool);
  }

  /** Adds a stand-in to the PATH. */
  add(tool: Tool) {
    writeTool(path.join(this.#bin, tool), tool.replace("3", ""));
  }

  get tools(): string {
    return this.#bin;
  }

  /** Writes the lock file of the torch engine. */
  lock(content: string) {
    this.project.write("node_modules/@arkor/local/torch/uv.lock", content);
  }

  get worker(): string {
    return this.project.path("node_modules/@arkor/local/torch");
  }

  /** The directory in which arkor installs engines. */
  get engines(): string {
    return path.join(this.cache, "arkor/engines");
  }

  /** The directory of a lock file's environment. */
  place(lock = LOCK): string {
    const hash = createHash("sha256").update(lock).digest("hex").slice(0, 12);
    return path.join(this.engines, `torch-${hash}`);
  }

  /** The contents of the engines' directory. */
  get left(): string[] {
    return existsSync(this.engines) ? readdirSync(this.engines).sort() : [];
  }

  /** The arguments that the stand-ins were called with, without the calls that only ask for a version. */
  get calls(): Call[] {
    const lines = readFileSync(this.#log, "utf8").split("\n");
    return lines
      .filter((line) => line !== "")
      .map((line): Call => JSON.parse(line))
      .filter(({ args }) => args[0] !== "--version" && args[0] !== "-c");
  }

  forgetCalls() {
    writeFileSync(this.#log, "");
  }

  at(env: Record<string, string | undefined> = {}) {
    return this.project.at(undefined, {
      PATH: this.#bin,
      XDG_CACHE_HOME: this.cache,
      FAKE_LOG: this.#log,
      ARKOR_UV: undefined,
      ARKOR_ENGINE: undefined,
      ARKOR_PYTHON: undefined,
      ARKOR_LOCAL_BIN: undefined,
      RAY_ADDRESS: undefined,
      UV_CACHE_DIR: undefined,
      ...env,
    });
  }

  run(args: string[], env?: Record<string, string | undefined>): Running {
    return arkor(args, this.at(env));
  }

  install(args: string[] = [], env?: Record<string, string | undefined>): Running {
    return this.run(["engine", "install", "torch", ...args], env);
  }

  installAtTerminal(args: string[] = []): Terminal {
    return arkorAt(["engine", "install", "torch", ...args], { ...this.at(), columns: 200 });
  }
}
