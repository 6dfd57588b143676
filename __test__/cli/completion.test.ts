// `arkor completion`: what bash completes with its script, and that the scripts for other shells have the same words.
import { describe, expect, it } from "vitest";
import { createProgram } from "../../cli/program.js";
import { arkor, run } from "../support/command.ts";
import { Project } from "../support/project.ts";

/** What bash offers at the end of the line. */
async function offered(line: string, cwd = "."): Promise<string[]> {
  const project = new Project({
    "entry.ts": "",
    "models/x": "",
    ".arkor/local/jobs/job_0a/job.json": "{}",
    ".arkor/local/jobs/job_1b/job.json": "{}",
    ".arkor/local/jobs/.new-1/x": "",
    "src/arkor/index.ts": "",
  });
  const script = (await arkor(["completion", "bash"], project).exit).stdout;
  project.write("arkor.bash", script);
  const words = line.split(" ");
  const ask = `
    source arkor.bash; cd ${cwd}
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
    compopt() { echo "option: $*"; }
    _arkor; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await run("bash", ["--norc", "-c", ask], project).exit;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.split("\n").filter((word) => word !== "");
}

describe("bash completes", () => {
  it.each([
    ["arkor log", ["login", "logout"]],
    ["arkor --v", ["--version"]],
    [
      "arkor start --",
      [
        ...["--local", "--dry-run", "--resume", "--port", "--base-model", "--strict-model"],
        ...["--no-strict-model", "--engine", "--memory", "--python"],
        ...["--workers", "--ray", "--max-failures", "--vllm", "--help"],
      ],
    ],
    ["arkor start --local --d", ["--dry-run"]],
    ["arkor init --template r", ["redaction"]],
    ["arkor completion ", ["bash", "zsh", "fish"]],
    ["arkor start ", ["option: -o default"]],
    ["arkor start --base-model m", ["option: -o default"]],
    ["arkor export --to m", ["option: -o dirnames", "models"]],
    ["arkor start --port ", []],
    ["arkor local --tls-cert ", ["option: -o default"]],
    ["arkor local --listen ", []],
    ["arkor jobs ", ["rm"]],
    ["arkor jobs rm job_0", ["job_0a"]],
    ["arkor cancel ", ["job_0a", "job_1b"]],
    ["arkor chat ", ["job_0a", "job_1b"]],
    ["arkor export job_1", ["job_1b"]],
    ["arkor export job_1b --to m", ["option: -o dirnames", "models"]],
    ["arkor export job_1b --format g", ["gguf"]],
    ["arkor attach job_1", ["option: -o default", "job_1b"]],
    ["arkor start --resume ", ["job_0a", "job_1b"]],
    ["arkor start --engine ", ["auto", "cpu", "torch"]],
    ["arkor engine ", ["list", "install", "remove"]],
    ["arkor engine i", ["install"]],
    ["arkor engine install ", ["torch"]],
    ["arkor engine install torch --c", ["--cpu", "--cuda"]],
  ])("%s", async (line, words) => {
    expect(await offered(line)).toEqual(words);
  });
});

it("bash completes jobs in a folder of the project too", async () => {
  expect(await offered("arkor chat job_0", "src/arkor")).toEqual(["job_0a"]);
});

describe.each(["bash", "zsh", "fish"])("the script for %s", (shell) => {
  it("knows every command, every flag and every choice", async () => {
    const { code, stdout } = await arkor(["completion", shell], new Project()).exit;
    expect(code).toBe(0);
    const { commands } = createProgram();
    for (const command of [...commands, ...commands.flatMap((one) => one.commands)]) {
      expect(stdout).toContain(command.name());
      for (const { long } of command.options) {
        expect(stdout).toContain(shell === "fish" ? `-l ${long?.slice(2)}` : long);
      }
    }
    expect(stdout).toContain("triage translate redaction");
  });
});

it("another shell is a usage error that names those that there are", async () => {
  const { code, stderr } = await arkor(["completion", "cmd"], new Project()).exit;
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr:
      "error: command-argument value 'cmd' is invalid for argument 'shell'. Allowed choices are bash, zsh, fish.\n",
  });
});
