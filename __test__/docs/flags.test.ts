// Every flag of the command is in docs/command.md.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { createProgram } from "../../cli/program.js";
import { ROOT } from "../support/process.ts";

it("docs/command.md has a row for every flag", () => {
  const page = readFileSync(path.join(ROOT, "docs/command.md"), "utf8");
  const table = page.slice(page.indexOf("## Flags"), page.indexOf("## A new project"));
  const documented = new Map<string, string>();
  let command = "";
  for (const line of table.split("\n").filter((row) => row.includes("`--"))) {
    const [, first, flags] = line.split("|");
    command = first.trim().replaceAll("`", "") || command;
    documented.set(command, `${documented.get(command) ?? ""} ${flags}`);
  }
  const missing = withNames((createProgram() as Command).commands).flatMap(([name, one]) =>
    one.options
      .map((option) => option.long ?? "")
      .filter((flag) => !(documented.get(name) ?? "").includes(`${flag}`))
      .map((flag) => `${name} ${flag}`),
  );
  expect(missing).toEqual([]);
});

it("create-arkor/README.md has every flag of arkor init", () => {
  const page = readFileSync(path.join(ROOT, "create-arkor/README.md"), "utf8");
  const init = (createProgram() as Command).commands.find((one) => one.name() === "init");
  const flags = (init?.options ?? []).map((option) => option.long ?? "");
  expect(flags).toContain("--template");
  expect(flags.filter((flag) => !page.includes(`\`${flag}`))).toEqual([]);
});

/** Each command and its subcommands, with the names as the user types them. */
function withNames(commands: readonly Command[]): [string, Command][] {
  return commands.flatMap((one): [string, Command][] => [
    [one.name(), one],
    ...one.commands.map((own): [string, Command] => [`${one.name()} ${own.name()}`, own]),
  ]);
}
