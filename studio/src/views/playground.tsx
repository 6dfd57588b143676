import { useEffect, useReducer, useRef, useState } from "react";
import { type Answer, ask, NO_ANSWER } from "../api/chat.ts";
import { useIdentity, useJobs, useManifest } from "../api/queries.ts";
import type { Target } from "../api/types.ts";
import { type ChatForm, checkForm, EMPTY_FORM, sends } from "../lib/chat-options.ts";
import { formatDuration, formatNumber } from "../lib/format.ts";
import { chatFields, formatChoice, parseChoice } from "../lib/model-choice.ts";
import { playgroundLink } from "../lib/route.ts";
import { curlSnippet, inferSnippet, openaiSnippet } from "../lib/snippets.ts";
import { Copy, Failure, Page } from "../ui/parts.tsx";
import { Options } from "./chat-options.tsx";
import { ModelPicker } from "./model-picker.tsx";

/** One question, and the response of each column. */
interface Turn {
  id: number;
  question: string;
  answers: (Reply | undefined)[];
}

interface Reply {
  answer: Answer;
  state: "streaming" | "done" | "stopped" | "failed";
  error?: string;
}

type Change =
  | { kind: "ask"; id: number; question: string }
  | { kind: "reply"; id: number; column: number; reply: Reply }
  | { kind: "clear" };

function turnsAfter(turns: Turn[], change: Change): Turn[] {
  if (change.kind === "clear") return [];
  if (change.kind === "ask") {
    return [...turns, { id: change.id, question: change.question, answers: [] }];
  }
  return turns.map((turn) => {
    if (turn.id !== change.id) return turn;
    const answers = [...turn.answers];
    answers[change.column] = change.reply;
    return { ...turn, answers };
  });
}

export function Playground({ adapter, compare }: { adapter?: string; compare?: string }) {
  const jobs = useJobs();
  const manifest = useManifest();
  const fallback = manifest.data?.trainer?.config.model;
  const first =
    parseChoice(adapter) ??
    (typeof fallback === "string"
      ? ({ kind: "base_model", baseModel: fallback } as const)
      : undefined);
  const second = parseChoice(compare);
  const targets = second === undefined ? [first] : [first, second];
  const [form, setForm] = useState<ChatForm>(EMPTY_FORM);
  const { options, errors } = checkForm(form);
  const chat = useChat(targets, form.system, options);
  const setTarget = (column: number, target: Target) => {
    const choice = formatChoice(target);
    location.hash =
      column === 0 ? playgroundLink(choice, compare) : playgroundLink(adapter, choice);
  };
  const canCompare = first !== undefined;
  return (
    <Page
      title="Playground"
      aside={
        <>
          <button
            type="button"
            className="button"
            aria-pressed={second !== undefined}
            disabled={!canCompare}
            onClick={() => {
              const choice = first && formatChoice(first);
              location.hash = playgroundLink(choice, second === undefined ? choice : undefined);
            }}
          >
            Compare
          </button>
          <button
            type="button"
            className="button"
            disabled={chat.turns.length === 0 || chat.isBusy}
            onClick={chat.clear}
          >
            New conversation
          </button>
        </>
      }
    >
      {jobs.error && <Failure error={jobs.error} what="The jobs" isOld={jobs.data !== undefined} />}
      <div className="playground">
        <div className="chat">
          <div className="chat-columns" data-columns={targets.length}>
            {targets.map((target, column) => (
              <Column
                // biome-ignore lint/suspicious/noArrayIndexKey: a column is identified by its position
                key={column}
                label={
                  targets.length === 1 ? "Model" : column === 0 ? "First model" : "Second model"
                }
                target={target}
                jobs={jobs.data ?? []}
                fallback={typeof fallback === "string" ? fallback : undefined}
                onTarget={(next) => setTarget(column, next)}
                turns={chat.turns}
                column={column}
              />
            ))}
          </div>
          <Composer
            isBusy={chat.isBusy}
            isReady={first !== undefined && Object.keys(errors).length === 0}
            onSend={chat.send}
            onStop={chat.stop}
          />
          {first && (
            <Snippets target={first} system={form.system} turns={chat.turns} options={options} />
          )}
        </div>
        <Options form={form} errors={errors} onChange={setForm} />
      </div>
    </Page>
  );
}

/** The conversation of all columns: each gets the same questions and keeps its own responses. */
function useChat(targets: (Target | undefined)[], system: string, options: object) {
  const [turns, change] = useReducer(turnsAfter, []);
  const [pending, setPending] = useState(0);
  const stopper = useRef<AbortController>(undefined);
  const nextId = useRef(1);
  useEffect(() => () => stopper.current?.abort(), []);

  const askColumn = async (
    target: Target,
    column: number,
    id: number,
    question: string,
    signal: AbortSignal,
  ) => {
    let last: Answer | undefined;
    const show = (state: Reply["state"], error?: string) => {
      const answer = last ?? NO_ANSWER;
      change({ kind: "reply", id, column, reply: { answer, state, ...(error && { error }) } });
    };
    show("streaming");
    const body = {
      ...chatFields(target),
      messages: messagesOf(system, turns, column, question),
      ...options,
    };
    try {
      last = await ask(body, signal, (answer) => {
        last = answer;
        show("streaming");
      });
      show("done");
    } catch (error) {
      if (signal.aborted) show("stopped");
      else show("failed", error instanceof Error ? error.message : String(error));
    }
  };
  return {
    turns,
    isBusy: pending > 0,
    send(question: string) {
      const id = nextId.current++;
      const aborter = new AbortController();
      stopper.current = aborter;
      change({ kind: "ask", id, question });
      for (const [column, target] of targets.entries()) {
        if (!target) continue;
        setPending((count) => count + 1);
        void askColumn(target, column, id, question, aborter.signal).finally(() =>
          setPending((count) => count - 1),
        );
      }
    },
    stop: () => stopper.current?.abort(),
    clear: () => change({ kind: "clear" }),
  };
}

function messagesOf(system: string, turns: Turn[], column: number, question: string) {
  const past = turns.flatMap(({ question: asked, answers }) => {
    const answer = answers[column]?.answer.text;
    // Skip a question without a response from this column: there would be two user messages in a row.
    if (!answer) return [];
    return [
      { role: "user", content: asked },
      { role: "assistant", content: answer },
    ];
  });
  const start = system.trim() === "" ? [] : [{ role: "system", content: system }];
  return [...start, ...past, { role: "user", content: question }];
}

function Column(props: {
  label: string;
  target: Target | undefined;
  jobs: import("../api/types.ts").Job[];
  fallback: string | undefined;
  onTarget: (target: Target) => void;
  turns: Turn[];
  column: number;
}) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the end moves when text arrives
  useEffect(() => {
    const element = box.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [props.turns]);
  return (
    <div className="chat-column">
      <ModelPicker
        label={props.label}
        target={props.target}
        jobs={props.jobs}
        fallback={props.fallback}
        onChange={props.onTarget}
      />
      <div
        className="messages"
        ref={box}
        role="log"
        aria-label={`Conversation with the ${props.label.toLowerCase()}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard
        tabIndex={0}
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24;
        }}
      >
        {props.turns.length === 0 && (
          <p className="muted messages-empty">
            {props.target ? "Ask something." : "Choose a model above, then ask it something."}
          </p>
        )}
        {props.turns.map((turn) => (
          <div key={turn.id}>
            <div className="message" data-role="user">
              {turn.question}
            </div>
            <Message reply={turn.answers[props.column]} />
          </div>
        ))}
      </div>
    </div>
  );
}

function Message({ reply }: { reply: Reply | undefined }) {
  if (!reply) return <p className="message message-facts">not asked</p>;
  const { answer, state, error } = reply;
  return (
    <div className="message" data-role="assistant" aria-busy={state === "streaming"}>
      <div className="message-text">
        {answer.text}
        {state === "streaming" && <span className="caret" aria-hidden="true" />}
      </div>
      {error !== undefined && <p className="message-error">{error}</p>}
      <p className="message-facts">{factsOf(reply)}</p>
    </div>
  );
}

function factsOf({ answer, state }: Reply): string {
  const { firstMs, totalMs, tokens, finish } = answer;
  const facts: string[] = [];
  if (state === "stopped") facts.push("stopped");
  if (finish === "length") facts.push("cut off at max tokens");
  if (firstMs !== undefined) facts.push(`first text after ${formatDuration(firstMs)}`);
  if (tokens !== undefined && totalMs !== undefined) {
    facts.push(`${tokens} tokens`, `${formatNumber((tokens / totalMs) * 1000)} tokens/s`);
  }
  if (answer.model !== undefined) facts.push(answer.model);
  return facts.join(" · ");
}

function Composer(props: {
  isBusy: boolean;
  isReady: boolean;
  onSend: (question: string) => void;
  onStop: () => void;
}) {
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  const canSend = props.isReady && !props.isBusy && text.trim() !== "";
  const send = () => {
    if (!canSend) return;
    props.onSend(text);
    setText("");
    // The pressed button turns into the stop button.
    box.current?.focus();
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={box}
        aria-label="Message"
        placeholder="Message"
        rows={2}
        value={text}
        onChange={({ target }) => setText(target.value)}
        onKeyDown={(event) => {
          const { isComposing, keyCode } = event.nativeEvent;
          if (!sends({ key: event.key, shiftKey: event.shiftKey, isComposing, keyCode })) return;
          event.preventDefault();
          send();
        }}
      />
      {props.isBusy ? (
        <button type="button" className="button" onClick={props.onStop}>
          Stop
        </button>
      ) : (
        <button type="submit" className="button primary" disabled={!canSend}>
          Send message
        </button>
      )}
    </form>
  );
}

function Snippets(props: {
  target: Target;
  system: string;
  turns: Turn[];
  options: Record<string, unknown>;
}) {
  const last = props.turns.at(-1)?.question ?? "Hello";
  const messages = messagesOf(props.system, props.turns.slice(0, -1), 0, last);
  const question = { target: props.target, messages, options: props.options };
  const { where, baseUrl } = useIdentity().data ?? {};
  const local = where === "local" ? baseUrl : undefined;
  return (
    <div className="snippets">
      <span className="muted">Copy as</span>
      <Copy text={curlSnippet(location.origin, question)} label="curl" />
      <Copy text={openaiSnippet(question, local)} label="OpenAI client" />
      <Copy text={inferSnippet(question)} label="infer" />
    </div>
  );
}
