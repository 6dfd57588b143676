import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { ApiError, api } from "../api/client.ts";

/** How many characters are shown. A browser lays out a megabyte of text slowly, and nobody reads that much. */
const SHOWN = 200_000;

/** The output of a run that Studio started, from its beginning and live. */
export function RunOutput({ runId }: { runId: string }) {
  const [text, setText] = useState("");
  const [error, setError] = useState<string>();
  const box = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);

  useEffect(() => {
    const stop = new AbortController();
    setText("");
    read(runId, stop.signal, (more) => setText((before) => (before + more).slice(-SHOWN))).catch(
      (reason) => {
        if (!stop.signal.aborted)
          setError(reason instanceof ApiError ? reason.message : String(reason));
      },
    );
    return () => stop.abort();
  }, [runId]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the end moves when text arrives
  useLayoutEffect(() => {
    const element = box.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [text]);

  return (
    <>
      <pre
        ref={box}
        className="output"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard
        tabIndex={0}
        role="log"
        aria-label="Output of the run"
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < 8;
        }}
      >
        {text === "" ? "No output yet." : text}
      </pre>
      {error !== undefined && <p className="muted">{error}</p>}
    </>
  );
}

async function read(runId: string, signal: AbortSignal, onText: (text: string) => void) {
  const response = await api.runOutput(runId, signal);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  while (reader) {
    const { value, done } = await reader.read();
    if (done) return;
    onText(value);
  }
}
