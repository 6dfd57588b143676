import { type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { ApiError } from "../api/client.ts";
import type { JobStatus } from "../api/types.ts";

const WORDS: Record<string, string> = {
  queued: "Queued",
  running: "Running",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

export function Status({ status }: { status: JobStatus | string }) {
  return (
    <span className="status" data-status={status}>
      <span className="status-dot" aria-hidden="true" />
      {WORDS[status] ?? status}
    </span>
  );
}

/** Moves the focus to the start of the view, for when the focused element is gone. */
export function focusMain(): void {
  document.getElementById("main")?.focus({ preventScroll: true });
}

export function Page(props: {
  title: string;
  aside?: ReactNode;
  lead?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${props.title} · Arkor Studio`;
  }, [props.title]);
  return (
    <>
      <header className="page-head">
        <div className="page-title">
          <h1>{props.title}</h1>
          {props.lead}
        </div>
        {props.aside && <div className="actions">{props.aside}</div>}
      </header>
      {props.children}
    </>
  );
}

export function Section(props: {
  title: string;
  aside?: ReactNode;
  children: ReactNode;
  flush?: boolean;
}) {
  const id = useId();
  return (
    <section className="section" aria-labelledby={id} data-flush={props.flush || undefined}>
      <header className="section-head">
        <h2 id={id}>{props.title}</h2>
        {props.aside && <div className="actions">{props.aside}</div>}
      </header>
      {props.children}
    </section>
  );
}

/** A short title for a view without content, and what to do about it. */
export function Empty(props: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{props.title}</p>
      {props.children && <div className="empty-text">{props.children}</div>}
    </div>
  );
}

export function Notice(props: {
  tone: "bad" | "warn" | "info";
  title?: string;
  children?: ReactNode;
}) {
  return (
    <div className="notice" data-tone={props.tone} role={props.tone === "bad" ? "alert" : "status"}>
      {props.title && <strong>{props.title}</strong>}
      {props.children && <div>{props.children}</div>}
    </div>
  );
}

/**
 * The error of a query. If the server doesn't respond, it also tells the user that it's tried again.
 * @param isOld whether the previous result is still shown
 */
export function Failure(props: { error: Error; what: string; isOld?: boolean }) {
  const { error, what, isOld = false } = props;
  const status = error instanceof ApiError ? error.status : undefined;
  const isOffline = status === 0 || status === 502;
  // The page shows once, as a whole, that its server is gone.
  if (status === 0 && isOld) return null;
  return (
    <Notice tone="bad" title={`${what} can't be ${isOld ? "updated" : "shown"}.`}>
      {error.message}
      {isOffline && <p>Studio keeps trying.</p>}
    </Notice>
  );
}

/** Reserves the space of the content to come, so that nothing jumps when it appears. */
export function Loading({ rows = 3, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div className="loading" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all the same
        <span className="loading-row" key={row} />
      ))}
    </div>
  );
}

export function Facts({ facts }: { facts: [name: string, value: ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setState("copied"),
      () => setState("failed"),
    );
  const words = { idle: label, copied: "Copied", failed: "Can't copy" }[state];
  return (
    <button type="button" className="button quiet" onClick={copy}>
      <span aria-live="polite">{words}</span>
    </button>
  );
}

/** A native dialog of the browser, which keeps the focus inside and restores it afterwards. */
export function Dialog(props: { title: string; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Close it before it's removed from the page: a removed dialog can't restore the focus.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={props.onClose}>
      <h2 id={id}>{props.title}</h2>
      {props.children}
    </dialog>
  );
}

/** Asks for confirmation before something that can't be undone. */
export function Confirm(props: {
  title: string;
  action: string;
  onClose: () => void;
  onConfirm: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <div className="dialog-text">{props.children}</div>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={props.onClose}>
          Keep it
        </button>
        <button
          type="button"
          className="button danger"
          onClick={() => {
            props.onConfirm();
            props.onClose();
          }}
        >
          {props.action}
        </button>
      </div>
    </Dialog>
  );
}
