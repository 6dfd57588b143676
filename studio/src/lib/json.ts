const BARE = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;

/**
 * Parses JSON from a trainer in Python, which may contain bare `NaN` and `Infinity`. They become the strings
 * of the same name.
 */
export function parseLenient(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(
      text.replace(BARE, (token) => (token.startsWith('"') ? token : `"${token}"`)),
    );
  }
}

/** A number in an event: `undefined` if it's missing, NaN if it isn't finite. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : Number.NaN;
  return value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number.NaN : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
