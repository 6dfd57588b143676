import type { Job } from "../api/types.ts";

/** A job's name. A dry run, which trains on only a few rows, is marked as one. */
export function JobName({ job }: { job: Job }) {
  return (
    <>
      {job.name} {job.config?.dryRun === true && <span className="tag">dry run</span>}
    </>
  );
}
