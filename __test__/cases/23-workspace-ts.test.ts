// Case 23: a package of the workspace whose exports are TypeScript.
import path from "node:path";
import { expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { CASES } from "./local-backend.ts";

it("a linked package in TypeScript stayed an import that Node can't load", async () => {
  const project = Project.copyOf(path.join(CASES, "23-workspace-ts"));
  project.link("@acme/labels", "packages/labels");
  const { code, stdout } = await arkor(["start", "--local"], project.at(undefined)).exit;
  expect(stdout).toMatch(/^\[ 'a' \]\n/);
  expect(stdout).toContain("finished with status=completed\n");
  expect(code).toBe(0);
});
