import type { Job } from "../api/types.ts";

/** A job's name; a dry run, which only trains a few rows, mustn't be taken for a run. */
export function JobName({ job }: { job: Job }) {
  return (
    <>
      {job.name} {job.config?.dryRun === true && <span className="tag">dry run</span>}
    </>
  );
}
