import { useMutation } from "@tanstack/react-query";
import { api } from "../api/client.ts";
import { queryClient } from "../api/queries.ts";
import type { Job } from "../api/types.ts";
import { Confirm } from "../ui/parts.tsx";

const refresh = () => queryClient.invalidateQueries({ queryKey: ["jobs"] });

export const useCancel = () =>
  useMutation({ mutationFn: (job: Job) => api.cancelJob(job.id), onSettled: refresh });

export const useDelete = (onDeleted: () => void) =>
  useMutation({
    mutationFn: (job: Job) => api.deleteJob(job.id),
    onSuccess: onDeleted,
    onSettled: refresh,
  });

interface AskProps {
  job: Job;
  onClose: () => void;
  onConfirm: () => void;
}

export function AskToCancel({ job, ...asked }: AskProps) {
  return (
    <Confirm title={`Cancel ${job.name}?`} action="Cancel the run" {...asked}>
      The run ends. Checkpoints that it has saved are kept.
    </Confirm>
  );
}

export function AskToDelete({ job, ...asked }: AskProps) {
  return (
    <Confirm title={`Delete ${job.name}?`} action="Delete the job" {...asked}>
      Its events, checkpoints and adapters are removed from this machine. That can't be undone.
    </Confirm>
  );
}
