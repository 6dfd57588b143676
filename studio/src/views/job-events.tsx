import { useVirtualizer } from "@tanstack/react-virtual";
import { useDeferredValue, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { EventFeed } from "../api/events.ts";
import { formatCount } from "../lib/format.ts";
import type { RunData } from "../lib/run-data.ts";
import { Empty } from "../ui/parts.tsx";

const ROW_HEIGHT = 26;

/** The indices of the events that match a filter. When more arrive, filtering continues where it stopped. */
class Filter {
  readonly places: number[] = [];
  #seen = 0;

  constructor(
    readonly data: RunData,
    readonly type: string,
    readonly words: string,
  ) {}

  get isAll(): boolean {
    return this.type === "" && this.words === "";
  }

  update(): number {
    if (this.isAll) return this.data.length;
    for (; this.#seen < this.data.length; this.#seen++) {
      const { type, text } = this.data.row(this.#seen);
      const isOfType = this.type === "" || type === this.type;
      if (isOfType && `${type} ${text}`.toLowerCase().includes(this.words)) {
        this.places.push(this.#seen);
      }
    }
    return this.places.length;
  }

  at(index: number): number {
    return this.isAll ? index : (this.places[index] ?? -1);
  }
}

export function JobEvents({ feed }: { feed: EventFeed }) {
  const { data } = feed;
  const [type, setType] = useState("");
  const [search, setSearch] = useState("");
  const words = useDeferredValue(search.trim().toLowerCase());
  const filter = useMemo(() => new Filter(data, type, words), [data, type, words]);
  const count = filter.update();
  const scroller = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const rows = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: the end moves when events arrive
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [count]);

  return (
    <div className="events">
      <div className="toolbar">
        <input
          type="search"
          aria-label="Search events"
          placeholder="Search events"
          value={search}
          onChange={({ target }) => setSearch(target.value)}
        />
        <select
          aria-label="Kind of event"
          value={type}
          onChange={({ target }) => setType(target.value)}
        >
          <option value="">All events</option>
          <option value="training.started">Started</option>
          <option value="training.log">Log</option>
          <option value="checkpoint.saved">Checkpoints</option>
          <option value="training.completed">Completed</option>
          <option value="training.failed">Failed</option>
        </select>
        <span className="muted count">
          {count === data.length
            ? formatCount(data.length, "event")
            : `${count.toLocaleString("en-US")} of ${data.length.toLocaleString("en-US")}`}
        </span>
      </div>
      {data.dropped > 0 && (
        <p className="muted">{data.dropped} events besides the log lines are not kept.</p>
      )}
      {count === 0 ? (
        <Empty title={data.length === 0 ? "No events yet." : "No events match."} />
      ) : (
        <section
          ref={scroller}
          className="event-box"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard
          tabIndex={0}
          aria-label="Events"
          onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
            isAtEnd.current = scrollHeight - scrollTop - clientHeight < ROW_HEIGHT;
          }}
        >
          <ul style={{ height: rows.getTotalSize() }}>
            {rows.getVirtualItems().map(({ index, start, key }) => {
              const row = data.row(filter.at(index));
              return (
                <li
                  key={key}
                  style={{ transform: `translateY(${start}px)`, height: ROW_HEIGHT }}
                  data-type={row.type}
                >
                  <span className="event-time">{timeOf(row.time)}</span>
                  <span className="event-type">{row.type}</span>
                  <span className="event-text" title={row.text}>
                    {row.text}
                  </span>
                </li>
              );
            })}
          </ul>
        </section>
      )}
    </div>
  );
}

function timeOf(ms: number): string {
  return ms === 0 ? "" : new Date(ms).toLocaleTimeString("en-GB");
}
