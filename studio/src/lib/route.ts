export type Route =
  | { view: "overview" }
  | { view: "jobs" }
  | { view: "job"; jobId: string; tab: string | undefined }
  | { view: "playground"; adapter: string | undefined; compare: string | undefined }
  | { view: "endpoints" }
  | { view: "dataset"; offset: number }
  | { view: "unknown"; path: string };

/** Parses the hash into a view. An unknown view is returned unchanged. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter((part) => part !== "");
  const [first, second, ...rest] = parts;
  const given = new URLSearchParams(query);
  if (first === undefined) return { view: "overview" };
  if (first === "jobs" && rest.length === 0) {
    if (second === undefined) return { view: "jobs" };
    return { view: "job", jobId: decoded(second), tab: given.get("tab") ?? undefined };
  }
  if (second === undefined) {
    if (first === "endpoints") return { view: "endpoints" };
    if (first === "dataset") {
      const [offset = "0"] = /^\d{1,9}$/.exec(given.get("offset") ?? "") ?? [];
      return { view: "dataset", offset: Number(offset) };
    }
    if (first === "playground") {
      const adapter = given.get("adapter") ?? undefined;
      return { view: "playground", adapter, compare: given.get("compare") ?? undefined };
    }
  }
  return { view: "unknown", path };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function jobLink(jobId: string, tab?: string): string {
  return `#/jobs/${encodeURIComponent(jobId)}${tab === undefined ? "" : `?tab=${tab}`}`;
}

export function datasetLink(offset: number): string {
  return offset === 0 ? "#/dataset" : `#/dataset?offset=${offset}`;
}

export function playgroundLink(adapter?: string, compare?: string): string {
  const query = new URLSearchParams();
  if (adapter !== undefined) query.set("adapter", adapter);
  if (compare !== undefined) query.set("compare", compare);
  return `#/playground${query.size > 0 ? `?${query}` : ""}`;
}
