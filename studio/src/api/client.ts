// The only module that makes requests to `/api`.

import type * as Api from "./types.ts";

const STORED = "arkor-studio-token";

/** A response that isn't 2xx. Status 0 means that there was no response. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

type Heard = (isRefused: boolean) => void;
const listeners = new Set<Heard>();

/** Moves the token from the address bar, where it could be seen and copied, to the browser's storage. */
export function adoptToken(): void {
  const [, token] = /^#token=([\w-]+)$/.exec(location.hash) ?? [];
  if (token === undefined) return;
  localStorage.setItem(STORED, token);
  history.replaceState(null, "", `${location.pathname}#/`);
  for (const heard of listeners) heard(false);
}

export function hasToken(): boolean {
  return localStorage.getItem(STORED) !== null;
}

/** Calls back when the server rejects the token, and when it accepts it. */
export function onTokenHeard(heard: Heard): () => void {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

/** Sends a request. A response that isn't 2xx is thrown as an {@link ApiError}. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("x-arkor-studio-token", localStorage.getItem(STORED) ?? "");
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "Studio's server can't be reached. Is arkor dev still running?");
  }
  const body = response.ok ? undefined : await bodyOf(response);
  const message = messageOf(body) ?? `The server answered with ${response.status}.`;
  const isRefused = response.status === 403 && /studio token/.test(message);
  for (const heard of listeners) heard(isRefused);
  if (response.ok) return response;
  throw new ApiError(response.status, message);
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

function messageOf(body: unknown): string | undefined {
  const error = (body as { error?: unknown } | undefined)?.error;
  return typeof error === "string" ? error : undefined;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send(path, { signal })).json();
}

async function write<T>(method: string, path: string, body: unknown = {}): Promise<T> {
  const headers = { "content-type": "application/json" };
  const response = await send(path, { method, headers, body: JSON.stringify(body) });
  return response.status === 204 ? (undefined as T) : response.json();
}

const id = encodeURIComponent;

export const api = {
  identity: (signal?: AbortSignal) => get<Api.Identity>("/api/credentials", signal),
  me: (signal?: AbortSignal) => get<{ user: unknown; orgs: { slug: string }[] }>("/api/me", signal),
  system: (signal?: AbortSignal) => get<Api.SystemInfo>("/api/system", signal),

  dataset: ({ offset, limit }: { offset: number; limit: number }, signal?: AbortSignal) =>
    get<Api.Dataset>(`/api/dataset?offset=${offset}&limit=${limit}`, signal),

  /** A broken entry is a result here, not an error. */
  manifest: (signal?: AbortSignal) => get<Api.Manifest>("/api/manifest?broken=200", signal),

  jobs: async (signal?: AbortSignal) => (await get<{ jobs: Api.Job[] }>("/api/jobs", signal)).jobs,
  job: async (jobId: string, signal?: AbortSignal) =>
    (await get<{ job: Api.Job }>(`/api/jobs/${id(jobId)}`, signal)).job,
  summary: (jobId: string, isFinished: boolean, signal?: AbortSignal) =>
    get<Api.Summary>(`/api/jobs/${id(jobId)}/summary?finished=${isFinished}`, signal),
  cancelJob: (jobId: string) => write<unknown>("POST", `/api/jobs/${id(jobId)}/cancel`),
  deleteJob: (jobId: string) => write<void>("DELETE", `/api/jobs/${id(jobId)}`),
  events: (jobId: string, lastEventId: string | undefined, signal: AbortSignal) =>
    send(`/api/jobs/${id(jobId)}/events`, {
      signal,
      headers: {
        accept: "text/event-stream",
        ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
      },
    }),

  runs: async (signal?: AbortSignal) =>
    (await get<{ runs: Api.RunInfo[] }>("/api/runs", signal)).runs,
  /** Starts a run and closes the output's stream. The run continues, and its output can be opened again. */
  async train(options: { file?: string; dryRun?: boolean }): Promise<string> {
    const response = await send("/api/train", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(options),
    });
    await response.body?.cancel();
    return response.headers.get("x-arkor-run") ?? "";
  },
  runOutput: (runId: string, signal: AbortSignal) =>
    send(`/api/runs/${id(runId)}/output`, { signal }),
  stopRun: (runId: string, cancel: boolean) =>
    write<Api.RunInfo>("POST", `/api/runs/${id(runId)}/stop`, { cancel }),

  chat: (body: object, signal: AbortSignal) =>
    send("/api/inference/chat", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    }),

  prompts: async (signal?: AbortSignal) =>
    (await get<{ prompts: string[] }>("/api/prompts", signal)).prompts,
  savePrompts: (prompts: string[]) =>
    write<{ prompts: string[] }>("PUT", "/api/prompts", { prompts }),

  deployments: async (signal?: AbortSignal) =>
    (await get<{ deployments: Api.Deployment[] }>("/api/deployments", signal)).deployments,
  createDeployment: (input: { slug: string; target: Api.Target; authMode: Api.AuthMode }) =>
    write<{ deployment: Api.Deployment }>("POST", "/api/deployments", input),
  updateDeployment: (deploymentId: string, change: Partial<Api.Deployment>) =>
    write<{ deployment: Api.Deployment }>("PATCH", `/api/deployments/${id(deploymentId)}`, change),
  deleteDeployment: (deploymentId: string) =>
    write<void>("DELETE", `/api/deployments/${id(deploymentId)}`),
  keys: async (deploymentId: string, signal?: AbortSignal) =>
    (await get<{ keys: Api.DeploymentKey[] }>(`/api/deployments/${id(deploymentId)}/keys`, signal))
      .keys,
  createKey: (deploymentId: string, label: string) =>
    write<{ key: Api.DeploymentKey & { plaintext: string } }>(
      "POST",
      `/api/deployments/${id(deploymentId)}/keys`,
      { label },
    ),
  revokeKey: (deploymentId: string, keyId: string) =>
    write<void>("DELETE", `/api/deployments/${id(deploymentId)}/keys/${id(keyId)}`),
};
