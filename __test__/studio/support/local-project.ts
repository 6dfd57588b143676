// A small project that trains on this machine.
import { Project } from "../../support/project.ts";

export const chat = (question: string, answer: string) => ({
  messages: [
    { role: "user", content: question },
    { role: "assistant", content: answer },
  ],
});

export const rowsFile = (rows: object[]): string =>
  `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`;

/** @param more fields of the trainer */
export const localEntry = (more = ""): string => `import { createTrainer } from "arkor";
export const trainer = createTrainer({
  name: "tickets",
  model: "arkor-tiny",
  dataset: { type: "file", path: "data/rows.jsonl" },
  trainOnResponsesOnly: true,
  ${more}
});
`;

export function localProject(rows: object[] = [chat("Hi?", "Hello.")], more?: string): Project {
  return new Project({
    "src/arkor/index.ts": localEntry(more),
    "data/rows.jsonl": rowsFile(rows),
    "package.json": '{ "name": "tickets", "type": "module" }',
  });
}
