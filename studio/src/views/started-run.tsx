import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api } from "../api/client.ts";
import { queryClient, useRuns } from "../api/queries.ts";
import { jobLink } from "../lib/route.ts";
import { Notice } from "../ui/parts.tsx";
import { RunOutput } from "./run-output.tsx";

/** Starts a run, and opens its job as soon as the job is known. */
export function useStartedRun() {
  const [runId, setRunId] = useState<string>();
  const runs = useRuns();
  const start = useMutation({
    mutationFn: (dryRun: boolean) => api.train({ dryRun }),
    onSuccess: (id) => {
      setRunId(id);
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
    },
  });
  const run = runs.data?.find(({ id }) => id === runId);
  const jobId = run?.jobId;
  useEffect(() => {
    if (jobId) location.hash = jobLink(jobId);
  }, [jobId]);
  // The job's id arrives within a second or two, so poll for it more often than for the rest.
  const isWaiting = runId !== undefined && (run === undefined || run.exitCode === null);
  useEffect(() => {
    if (!isWaiting) return;
    const ask = () => void queryClient.invalidateQueries({ queryKey: ["runs"] });
    const timer = setInterval(ask, 300);
    return () => clearInterval(timer);
  }, [isWaiting]);
  return {
    start: (dryRun: boolean) => {
      setRunId(undefined);
      start.mutate(dryRun);
    },
    isBusy: start.isPending || isWaiting,
    error: start.error?.message,
    failedRun: run && run.exitCode !== null && !run.jobId ? run.id : undefined,
  };
}

/** Shows why a run didn't start. */
export function NotStarted({ started }: { started: ReturnType<typeof useStartedRun> }) {
  return (
    <>
      {started.error !== undefined && (
        <Notice tone="bad" title="The run was not started.">
          {started.error}
        </Notice>
      )}
      {started.failedRun !== undefined && (
        <div className="failed-start">
          <Notice tone="bad" title="The run ended before the backend had taken it." />
          <RunOutput runId={started.failedRun} />
        </div>
      )}
    </>
  );
}
