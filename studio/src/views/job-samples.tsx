import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { ask } from "../api/chat.ts";
import { api } from "../api/client.ts";
import { queryClient, usePrompts } from "../api/queries.ts";
import type { Job } from "../api/types.ts";
import type { Checkpoint } from "../lib/run-data.ts";
import { Empty, Failure, Notice } from "../ui/parts.tsx";

/** The maximum number of columns, one for each of the newest checkpoints. */
const MOST_COLUMNS = 6;
const MAX_TOKENS = 64;

type Answers = Record<string, { text: string; isError: boolean } | undefined>;

/** A cache of the checkpoints' responses for each job, because generating them again takes long. */
const kept = new Map<string, Answers>();

/** The responses of each checkpoint to the project's prompts, one column per checkpoint. */
export function Samples({ job, checkpoints }: { job: Job; checkpoints: Checkpoint[] }) {
  const prompts = usePrompts();
  const [draft, setDraft] = useState("");
  const [answers, setAnswers] = useState<Answers>(kept.get(job.id) ?? {});
  const [isAsking, setAsking] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const stop = useRef<AbortController>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  const save = useMutation({
    mutationFn: api.savePrompts,
    onSuccess: ({ prompts: saved }) => queryClient.setQueryData(["prompts"], saved),
  });
  const list = prompts.data ?? [];
  const steps = checkpoints.slice(-MOST_COLUMNS).map(({ step }) => step);

  const askAll = async () => {
    const aborter = new AbortController();
    stop.current = aborter;
    setAsking(true);
    for (const prompt of list) {
      for (const step of steps) {
        if (aborter.signal.aborted) break;
        const key = keyOf(step, prompt);
        const put = (text: string, isError = false) => {
          const after = { ...kept.get(job.id), [key]: { text, isError } };
          kept.set(job.id, after);
          setAnswers(after);
        };
        const body = {
          messages: [{ role: "user", content: prompt }],
          adapter: { kind: "checkpoint", jobId: job.id, step },
          temperature: 0,
          maxTokens: MAX_TOKENS,
        };
        await ask(body, aborter.signal, ({ text }) => put(text)).catch((error) => {
          if (!aborter.signal.aborted) put(error instanceof Error ? error.message : "", true);
        });
      }
    }
    setAsking(false);
  };

  const add = () => {
    const prompt = draft.trim();
    if (prompt === "") return;
    if (!list.includes(prompt)) save.mutate([...list, prompt]);
    setDraft("");
  };
  return (
    <div className="samples">
      <form
        className="toolbar"
        onSubmit={(event) => {
          event.preventDefault();
          add();
        }}
      >
        <input
          ref={input}
          aria-label="New prompt"
          placeholder="A prompt to ask every checkpoint"
          value={draft}
          onChange={({ target }) => setDraft(target.value)}
        />
        <button type="submit" className="button" disabled={draft.trim() === ""}>
          Add prompt
        </button>
        {isAsking ? (
          <button type="button" className="button" onClick={() => stop.current?.abort()}>
            Stop
          </button>
        ) : (
          <button
            type="button"
            className="button primary"
            disabled={list.length === 0 || steps.length === 0}
            onClick={() => void askAll()}
          >
            Ask the checkpoints
          </button>
        )}
      </form>
      {prompts.error && (
        <Failure error={prompts.error} what="The prompts" isOld={prompts.data !== undefined} />
      )}
      {save.error && (
        <Notice tone="bad" title="The prompts were not saved.">
          {save.error.message}
        </Notice>
      )}
      {list.length === 0 ? (
        <Empty title="No prompts yet.">
          They are kept with the project, in <code>.arkor/prompts.json</code>.
        </Empty>
      ) : (
        <section
          className="samples-box"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable area must be reachable by keyboard
          tabIndex={0}
          aria-label="Answers by checkpoint"
        >
          <table>
            <thead>
              <tr>
                <th scope="col">Prompt</th>
                {steps.map((step) => (
                  <th scope="col" key={step} className="number">
                    Step {step}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {list.map((prompt) => (
                <tr key={prompt}>
                  <th scope="row">
                    <span>{prompt}</span>
                    <button
                      type="button"
                      className="button quiet"
                      aria-label={`Remove the prompt ${prompt}`}
                      onClick={() => {
                        save.mutate(list.filter((other) => other !== prompt));
                        input.current?.focus();
                      }}
                    >
                      Remove
                    </button>
                  </th>
                  {steps.map((step) => {
                    const answer = answers[keyOf(step, prompt)];
                    return (
                      <td key={step} data-error={answer?.isError || undefined}>
                        {answer?.text ?? "–"}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
          {steps.length === 0 && <p className="muted">The columns come with the checkpoints.</p>}
        </section>
      )}
    </div>
  );
}

function keyOf(step: number, prompt: string): string {
  return `${step} ${prompt}`;
}
