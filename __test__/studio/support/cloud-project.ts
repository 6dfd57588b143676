// A project that is signed in at a scripted cloud.
import { Project } from "../../support/project.ts";
import { completed, learning, minutesAgo, StudioCloud } from "./cloud.ts";
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

/** A cloud with a job in each state, and an endpoint. */
export async function busyCloud(): Promise<StudioCloud> {
  const cloud = await StudioCloud.forTest();
  cloud.add({ id: "done", name: "done", status: "completed", createdAt: minutesAgo(90) }, [
    ...learning(60),
    completed(),
  ]);
  cloud.add({ id: "failed", name: "failed", status: "failed", error: "no memory" }, [
    ...learning(60, { last: 20 }),
    { type: "training.failed", step: 20, error: "no memory" },
  ]);
  cloud.add({ id: "cancelled", name: "cancelled", status: "cancelled" });
  cloud.add({ id: "queued", name: "queued", status: "queued" });
  cloud.add({ id: "live", name: "live" }, learning(60, { last: 50 }));
  cloud.deployments.push({
    id: "dep_1",
    slug: "prod",
    orgId: "o",
    projectId: "p",
    target: { kind: "adapter", adapter: { kind: "final", jobId: "done" } },
    authMode: "fixed_api_key",
    urlFormat: "openai_compat",
    enabled: true,
    customDomain: "a.example",
    createdAt: minutesAgo(9),
    updatedAt: minutesAgo(9),
  });
  const key = { id: "k", label: "web", prefix: "ak_1", enabled: true, createdAt: minutesAgo(5) };
  cloud.keys.set("dep_1", [{ ...key, lastUsedAt: null }]);
  return cloud;
}
