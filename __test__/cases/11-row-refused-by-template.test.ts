import path from "node:path";
import { expect, it } from "vitest";
import { CASES, dataset, startLocalServer } from "./local-backend.ts";

const FOLDER = "11-row-refused-by-template";

it("a row that the chat template refuses got a 201, and the failed job didn't name it", async () => {
  const server = await startLocalServer();
  const config = {
    model: path.join(CASES, FOLDER, "model"),
    datasetSource: dataset(`${FOLDER}/rows.jsonl`),
  };
  for (const dryRun of [false, true]) {
    const { status, error } = await server.train({ ...config, dryRun });
    expect(status).toBe(400);
    expect(error).toContain("line 4: ");
    expect(error).toContain("template");
  }
  expect((await server.request("/v1/jobs")).body.jobs).toEqual([]);
});
