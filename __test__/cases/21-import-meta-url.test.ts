// Case 21: data is looked up beside the module that names it.
import path from "node:path";
import { expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { CASES } from "./local-backend.ts";

it.each([[["start", "--local"]], [["start", "train.ts", "--local"]]])(
  "%j looked for the rows in .arkor/build",
  async (args) => {
    const project = Project.copyOf(path.join(CASES, "21-import-meta-url"));
    const { code, stdout, stderr } = await arkor(args, project.at(undefined)).exit;
    expect(stderr).not.toContain("error:");
    expect(stdout).toContain("finished with status=completed\n");
    expect(code).toBe(0);
  },
);
