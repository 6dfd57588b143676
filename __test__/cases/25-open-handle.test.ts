// Case 25: the entry leaves a timer open.
import path from "node:path";
import { expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { CASES } from "./local-backend.ts";

it("a timer of the entry's kept a finished start for ever, without a word", async () => {
  const project = Project.copyOf(path.join(CASES, "25-open-handle"));
  const { code, stdout, stderr } = await arkor(["start", "--local"], project.at(undefined)).exit;
  expect(stdout).toContain("finished with status=completed\n");
  expect(stderr).toMatch(/warning: the project left a timer open; .*\n$/);
  expect(code).toBe(0);
});
