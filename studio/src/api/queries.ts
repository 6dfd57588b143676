import { keepPreviousData, QueryCache, QueryClient, useQuery } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { ApiError, api } from "./client.ts";
import { EventFeed } from "./events.ts";

export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError(error, { queryKey }) {
      // Whichever query finds that the server is gone, the page as a whole shows it.
      if (!(error instanceof ApiError) || error.status !== 0 || queryKey[0] === "identity") return;
      void queryClient.invalidateQueries({ queryKey: ["identity"] });
    },
  }),
  defaultOptions: {
    queries: {
      // Don't retry a refusal. If the server couldn't be reached, the next interval tries again.
      retry: false,
      // The server is on this machine, so it can be reached without a network.
      networkMode: "always",
      staleTime: 1000,
    },
    mutations: { retry: false, networkMode: "always" },
  },
});

const LIVE_MS = 2000;
const CALM_MS = 10_000;

export const useIdentity = () =>
  useQuery({
    queryKey: ["identity"],
    queryFn: ({ signal }) => api.identity(signal),
    refetchInterval: ({ state }) => (state.status === "error" ? LIVE_MS : CALM_MS),
  });

export const useMe = () =>
  useQuery({
    queryKey: ["me"],
    queryFn: ({ signal }) => api.me(signal),
    refetchInterval: 3 * CALM_MS,
  });

export const useSystem = (isLocal: boolean) =>
  useQuery({
    queryKey: ["system"],
    queryFn: ({ signal }) => api.system(signal),
    enabled: isLocal,
    refetchInterval: 5000,
  });

export const useManifest = () =>
  useQuery({
    queryKey: ["manifest"],
    queryFn: ({ signal }) => api.manifest(signal),
    refetchInterval: LIVE_MS,
  });

/** The dataset's rows for a config. The config is part of the query key, because it determines the rows. */
export const useDataset = (page: { offset: number; limit: number }, config: object | undefined) =>
  useQuery({
    queryKey: ["dataset", page, config],
    queryFn: ({ signal }) => api.dataset(page, signal),
    enabled: config !== undefined,
    placeholderData: keepPreviousData,
  });

export const useJobs = () =>
  useQuery({
    queryKey: ["jobs"],
    queryFn: ({ signal }) => api.jobs(signal),
    refetchInterval: ({ state }) => {
      const isBusy = state.data?.some(({ status }) => status === "running" || status === "queued");
      return isBusy || state.status === "error" ? LIVE_MS : CALM_MS;
    },
  });

export const useJob = (jobId: string) =>
  useQuery({
    queryKey: ["jobs", jobId],
    queryFn: ({ signal }) => api.job(jobId, signal),
    refetchInterval: ({ state }) => {
      if (state.error instanceof ApiError && state.error.status === 404) return false;
      return state.data === undefined || isActive(state.data.status) ? LIVE_MS : false;
    },
  });

export const useSummary = (jobId: string, status: string) =>
  useQuery({
    queryKey: ["summary", jobId, isActive(status)],
    queryFn: ({ signal }) => api.summary(jobId, !isActive(status), signal),
    enabled: status !== "queued",
    staleTime: isActive(status) ? 0 : Number.POSITIVE_INFINITY,
    refetchInterval: isActive(status) ? 2 * LIVE_MS : false,
  });

export const useRuns = () =>
  useQuery({
    queryKey: ["runs"],
    queryFn: ({ signal }) => api.runs(signal),
    refetchInterval: LIVE_MS,
  });

export const useDeployments = () =>
  useQuery({
    queryKey: ["deployments"],
    queryFn: ({ signal }) => api.deployments(signal),
    refetchInterval: CALM_MS,
  });

export const useKeys = (deploymentId: string) =>
  useQuery({
    queryKey: ["deployments", deploymentId, "keys"],
    queryFn: ({ signal }) => api.keys(deploymentId, signal),
  });

export const usePrompts = () =>
  useQuery({ queryKey: ["prompts"], queryFn: ({ signal }) => api.prompts(signal) });

export function isActive(status: string): boolean {
  return status === "running" || status === "queued";
}

/** The events of a job, followed as long as a component uses them. */
export function useFeed(jobId: string): EventFeed {
  const [feed, setFeed] = useState(() => new EventFeed(jobId));
  useEffect(() => {
    const fresh = new EventFeed(jobId);
    setFeed(fresh);
    fresh.start();
    return () => fresh.close();
  }, [jobId]);
  useSyncExternalStore(
    (changed) => feed.watch(changed),
    () => feed.version,
  );
  return feed;
}

/** The events of several jobs, for charts that overlay them. */
export function useFeeds(jobIds: string[]): EventFeed[] {
  const [feeds, setFeeds] = useState<EventFeed[]>([]);
  const [, setVersion] = useState(0);
  const key = jobIds.join("\n");
  useEffect(() => {
    const fresh = key === "" ? [] : key.split("\n").map((jobId) => new EventFeed(jobId));
    const stops = fresh.map((feed) => feed.watch(() => setVersion((version) => version + 1)));
    for (const feed of fresh) feed.start();
    setFeeds(fresh);
    return () => {
      for (const stop of stops) stop();
      for (const feed of fresh) feed.close();
    };
  }, [key]);
  return feeds;
}

/** The current time, updated about once a second. */
export function useNow(isTicking = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isTicking) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isTicking]);
  return now;
}
