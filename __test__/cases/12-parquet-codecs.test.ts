import { expect, it } from "vitest";
import { dataset, startLocalServer } from "./local-backend.ts";

it("gzip, brotli and lz4 pages of Parquet files were called broken", async () => {
  const server = await startLocalServer();
  const losses = [];
  for (const codec of ["gzip", "brotli", "lz4"]) {
    const job = await server.train({
      model: "arkor-tiny",
      datasetSource: dataset(`12-parquet-codecs/${codec}.parquet`),
      dryRun: true,
    });
    expect(job.error).toBeUndefined();
    expect(job.job?.status).toBe("completed");
    losses.push(job.losses);
  }
  expect(losses[1]).toEqual(losses[0]);
  expect(losses[2]).toEqual(losses[0]);
});
