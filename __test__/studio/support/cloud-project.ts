// A project that is signed in at a scripted cloud.
import { Project } from "../../support/project.ts";
import type { StudioCloud } from "./cloud.ts";
import { type Studio, startStudio } from "./studio.ts";

export const ENTRY = `import { createTrainer } from "arkor";
export const trainer = createTrainer({
  name: "tickets",
  model: "acme/base",
  dataset: { type: "huggingface", name: "acme/tickets" },
  maxSteps: 100,
});
`;

export function cloudProject(cloud: StudioCloud, entry = ENTRY): Project {
  const project = new Project({
    "src/arkor/index.ts": entry,
    "package.json": '{ "name": "tickets", "type": "module" }',
    ".arkor/state.json": JSON.stringify({
      orgSlug: "acme",
      projectSlug: "tickets",
      projectId: "p",
    }),
  });
  return project.signIn(cloud, { orgSlug: "acme" });
}

export async function cloudStudio(cloud: StudioCloud, entry = ENTRY): Promise<Studio> {
  return startStudio(cloudProject(cloud, entry), { backend: cloud });
}
