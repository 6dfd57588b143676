// What a backend sends reaches the terminal as text: no escape moves its cursor, and no list is too long.
import { describe, expect, it } from "vitest";
import { jobsTable } from "../../cli/jobs.js";
import { table } from "../../cli/table.js";
import { Backend, JOB, json } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";

/** Clears the screen, sets the title, reverses the text behind it. */
const EVIL = "a\u001b[2J\u001b]0;owned\u0007\u009b31m\u202eb\r";
const STATE = JSON.stringify({ orgSlug: "the org", projectSlug: "p", projectId: "i" });
const ENTRY = `
  import { createTrainer } from "arkor";
  export const trainer = createTrainer({
    name: "run", model: "m", dataset: { type: "blob", url: "https://data.test/rows.jsonl" },
  });
`;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

async function run(args: string[], prepare: (backend: Backend) => void) {
  const backend = await Backend.start((stream) =>
    stream
      .event("training.started", { metadata: { note: EVIL } }, 1)
      .event("training.failed", { error: `out of memory ${EVIL}` }, 2)
      .end(),
  );
  prepare(backend);
  const project = new Project({ ".arkor/state.json": STATE, "src/arkor/index.ts": ENTRY });
  return arkor(args, project.signIn(backend).at(backend)).exit;
}

describe("control characters of a backend never reach the terminal", () => {
  it.each<[string, string[], (backend: Backend) => void]>([
    [
      "start",
      ["start"],
      (backend) =>
        backend.on("POST /v1/jobs", (_, response) =>
          json(response, 201, { job: { ...JOB, name: EVIL, status: EVIL } }),
        ),
    ],
    [
      "a refused start",
      ["start"],
      (backend) =>
        backend.on("POST /v1/jobs", (_, response) => json(response, 400, { error: EVIL })),
    ],
    [
      "jobs",
      ["jobs"],
      (backend) =>
        backend.on("GET /v1/jobs", (_, response) =>
          json(response, 200, { jobs: [{ ...JOB, id: EVIL, name: EVIL, status: EVIL }] }),
        ),
    ],
    [
      "whoami",
      ["whoami"],
      (backend) =>
        backend.on("GET /v1/me", (_, response) =>
          json(response, 200, {
            user: { name: EVIL },
            orgs: [{ id: "o", slug: EVIL, name: EVIL }],
          }),
        ),
    ],
    [
      "cancel",
      ["cancel", "job-1"],
      (backend) =>
        backend.on(`POST /v1/jobs/${JOB.id}/cancel`, (_, response) =>
          json(response, 409, { error: EVIL }),
        ),
    ],
    [
      "a deprecation",
      ["jobs"],
      (backend) =>
        backend.on("GET /v1/jobs", (_, response) => {
          response.setHeader("deprecation", "true");
          response.setHeader("warning", '299 - "old\u009b31m"');
          json(response, 200, { jobs: [] });
        }),
    ],
  ])("%s", async (_, args, prepare) => {
    const { stdout, stderr } = await run(args, prepare);
    expect(stdout + stderr).not.toMatch(CONTROL);
    expect((stdout + stderr).length).toBeGreaterThan(0);
  });
});

it("a list of 130 000 jobs overflowed the stack", () => {
  const jobs = Array.from({ length: 130_000 }, (_, index) => ({ ...JOB, id: `job-${index}` }));
  const paint = (_style: unknown, text: string) => text;
  expect(jobsTable(jobs, { now: 0, width: 80, paint })).toHaveLength(130_001);
});

it("wide and combining characters misaligned a table", () => {
  const rows = [
    ["日本語", "x"],
    ["e\u0301te\u0301", "x"],
    ["👩‍👩‍👧", "x"],
    ["plain", "x"],
  ];
  const lines = table([{ title: "NAME" }, { title: "Y" }], rows);
  expect(lines).toEqual([
    "NAME    Y",
    "日本語  x",
    "e\u0301te\u0301     x",
    "👩‍👩‍👧      x",
    "plain   x",
  ]);
});
