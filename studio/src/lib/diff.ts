import { isRecord } from "./json.ts";

export interface Change {
  path: string;
  before: unknown;
  after: unknown;
}

/** The leaves in which two configs differ, by path. A missing value is `undefined`. */
export function diffConfigs(before: unknown, after: unknown, path = ""): Change[] {
  if (isRecord(before) && isRecord(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((name) =>
      diffConfigs(before[name], after[name], path === "" ? name : `${path}.${name}`),
    );
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [{ path, before, after }];
}

/** The leaves of a config, in order, for a table. */
export function flatten(config: unknown, path = ""): [path: string, value: unknown][] {
  if (!isRecord(config) || Object.keys(config).length === 0)
    return path === "" ? [] : [[path, config]];
  return Object.entries(config).flatMap(([name, value]) =>
    flatten(value, path === "" ? name : `${path}.${name}`),
  );
}
