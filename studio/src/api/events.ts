import { createParser } from "eventsource-parser";
import { parseLenient } from "../lib/json.ts";
import { RunData } from "../lib/run-data.ts";
import { ApiError, api } from "./client.ts";

export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "reconnecting"; attempt: number; reason: string }
  | { state: "ended" }
  | { state: "refused"; reason: string };

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/**
 * The server pings the stream every 15 s. A stream that's silent for much longer is dead, even if its socket
 * still looks open.
 */
const SILENCE_MS = 45_000;
/** How often watchers are notified: more redraws of a chart would show nothing new. */
const TELL_MS = 250;

/**
 * A job's events as they arrive. If the stream breaks, it's reopened after the last event that was read, so
 * that none is missed or shown twice.
 */
export class EventFeed {
  readonly data = new RunData();
  connection: Connection = { state: "connecting" };
  /** Changes whenever there are new events to show. */
  version = 0;
  #jobId;
  #stop = new AbortController();
  #lastEventId: string | undefined;
  #watchers = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake = () => {};

  constructor(jobId: string) {
    this.#jobId = jobId;
  }

  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  start(): void {
    addEventListener("online", this.#reconnectNow);
    void this.#follow();
  }

  close(): void {
    removeEventListener("online", this.#reconnectNow);
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.#watchers.clear();
  }

  #reconnectNow = () => this.#wake();

  async #follow(): Promise<void> {
    for (let attempt = 0; !this.#stop.signal.aborted; ) {
      let reason = "The stream broke off.";
      const before = this.#lastEventId;
      try {
        if (await this.#read()) return this.#say({ state: "ended" });
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        reason = error instanceof Error ? error.message : String(error);
        const isFinal =
          error instanceof ApiError && [400, 401, 403, 404, 410].includes(error.status);
        if (isFinal) return this.#say({ state: "refused", reason });
      }
      // If events have arrived since, the earlier failures no longer count.
      attempt = this.#lastEventId === before ? attempt + 1 : 1;
      this.#say({ state: "reconnecting", attempt, reason });
      await this.#pause(Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1)));
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** @returns whether the run, and therefore the stream, is over */
  async #read(): Promise<boolean> {
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, silence.signal]);
    const response = await api.events(this.#jobId, this.#lastEventId, signal);
    this.#say({ state: "live" });
    let isOver = false;
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        if (id !== undefined) this.#lastEventId = id;
        if (event === "end") isOver = true;
        if (event === "end" || event === "ping" || data === "") return;
        this.data.add(parsed(data));
        this.#changed();
      },
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    while (reader && !isOver) {
      const timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(timer));
      if (done) break;
      parser.feed(value);
    }
    await reader?.cancel().catch(() => {});
    return isOver || this.data.end !== undefined;
  }

  #say(connection: Connection): void {
    this.connection = connection;
    this.#tell();
  }

  #changed(): void {
    this.#timer ??= setTimeout(() => this.#tell(), TELL_MS);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.version += 1;
    for (const watcher of this.#watchers) watcher();
  }
}

function parsed(text: string): unknown {
  try {
    return parseLenient(text);
  } catch {
    return { type: "unreadable", text };
  }
}
