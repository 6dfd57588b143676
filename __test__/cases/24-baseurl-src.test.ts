// Case 24: `"baseUrl": "./src"`, and src/arkor in it.
import path from "node:path";
import { expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { CASES } from "./local-backend.ts";

it(`"baseUrl" made the project's own entry of "arkor"`, async () => {
  const project = Project.copyOf(path.join(CASES, "24-baseurl-src"));
  const { code, stdout } = await arkor(["start", "--local"], project.at(undefined)).exit;
  expect(stdout).toContain("finished with status=completed\n");
  expect(code).toBe(0);
});
