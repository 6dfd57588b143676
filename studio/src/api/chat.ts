import { createParser } from "eventsource-parser";
import { isRecord, parseLenient } from "../lib/json.ts";
import { ApiError, api } from "./client.ts";

export interface Answer {
  text: string;
  finish: string | undefined;
  /** The name of the model, as the backend reports it. */
  model: string | undefined;
  tokens: number | undefined;
  /** The time to the first piece of text and to the end, in ms. */
  firstMs: number | undefined;
  totalMs: number | undefined;
}

/** The state before the first piece of text. */
export const NO_ANSWER: Answer = {
  text: "",
  finish: undefined,
  model: undefined,
  tokens: undefined,
  firstMs: undefined,
  totalMs: undefined,
};

/** Sends a chat, and calls back as the response grows. Resolves with the whole response. */
export async function ask(
  body: object,
  signal: AbortSignal,
  onAnswer: (answer: Answer) => void,
): Promise<Answer> {
  const start = performance.now();
  const response = await api.chat({ ...body, stream: true }, signal);
  let answer = NO_ANSWER;
  let failure: string | undefined;
  const parser = createParser({
    onEvent({ data }) {
      if (data === "[DONE]" || data === "") return;
      const chunk = parseLenient(data);
      if (!isRecord(chunk)) return;
      failure = errorOf(chunk) ?? failure;
      answer = grown(answer, chunk, performance.now() - start);
      onAnswer(answer);
    },
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  while (reader) {
    const { value, done } = await reader.read();
    if (done) break;
    parser.feed(value);
  }
  if (failure !== undefined) throw new ApiError(502, failure);
  const whole = { ...answer, totalMs: performance.now() - start };
  onAnswer(whole);
  return whole;
}

function errorOf({ error }: Record<string, unknown>): string | undefined {
  if (typeof error === "string") return error;
  return isRecord(error) ? String(error.message ?? "The backend gave up.") : undefined;
}

function grown(answer: Answer, chunk: Record<string, unknown>, ms: number): Answer {
  const choice = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
  const delta = isRecord(choice) && isRecord(choice.delta) ? choice.delta : {};
  const piece = typeof delta.content === "string" ? delta.content : "";
  const finish = isRecord(choice) ? choice.finish_reason : undefined;
  const usage = isRecord(chunk.usage) ? chunk.usage.completion_tokens : undefined;
  return {
    text: answer.text + piece,
    finish: typeof finish === "string" ? finish : answer.finish,
    model: typeof chunk.model === "string" ? chunk.model : answer.model,
    tokens: typeof usage === "number" ? usage : answer.tokens,
    firstMs: answer.firstMs ?? (piece === "" ? undefined : ms),
    totalMs: undefined,
  };
}
