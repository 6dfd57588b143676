import type { Deployment, Target } from "../api/types.ts";
import { chatFields } from "./model-choice.ts";

export interface Question {
  target: Target;
  messages: { role: string; content: string }[];
  options: Record<string, unknown>;
}

const json = (value: unknown, indent = 2) => JSON.stringify(value, null, indent);

/** Quotes text for a shell: within single quotes, only a single quote is special. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A request through Studio's server. The token comes from the file that Studio writes. */
export function curlSnippet(origin: string, { target, messages, options }: Question): string {
  const body = { ...chatFields(target), messages, ...options, stream: false };
  return [
    `curl ${origin}/api/inference/chat \\`,
    '  -H "X-Arkor-Studio-Token: $(cat ~/.arkor/studio-token)" \\',
    "  -H 'Content-Type: application/json' \\",
    `  -d ${quoted(json(body))}`,
  ].join("\n");
}

/** A call of a checkpoint's `infer` in a callback. */
export function inferSnippet({ messages, options }: Question): string {
  const args = json({ messages, ...options, stream: false });
  return [
    'import { completionText } from "arkor";',
    "",
    "// in onCheckpoint({ infer })",
    `const response = await infer(${args});`,
    "console.log(await completionText(response));",
  ].join("\n");
}

/** The model's name in the local backend's OpenAI-compatible API. */
function openaiModel(target: Target): string {
  if (target.kind === "base_model") return target.baseModel;
  const { adapter } = target;
  return adapter.kind === "final"
    ? `${adapter.jobId}/adapter`
    : `${adapter.jobId}/checkpoint-${adapter.step}`;
}

/**
 * A request with OpenAI's client. The local backend accepts it for every model; the cloud only at an
 * endpoint.
 * @param local the local backend's URL, if the models are there
 */
export function openaiSnippet(
  { target, messages, options }: Question,
  local: string | undefined,
): string {
  const { temperature, topP, maxTokens, responseFormat } = options;
  const body = {
    model: local === undefined ? "the endpoint's slug" : openaiModel(target),
    messages,
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { top_p: topP }),
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(responseFormat !== undefined && { response_format: responseFormat }),
  };
  return [
    'import OpenAI from "openai";',
    "",
    ...(local === undefined
      ? [
          "// OPENAI_BASE_URL: the address of an endpoint with this model.",
          "// OPENAI_API_KEY: a key of that endpoint.",
        ]
      : [
          `// OPENAI_BASE_URL: ${local}/v1`,
          "// OPENAI_API_KEY: the token in .arkor/local/server.json",
        ]),
    "const client = new OpenAI();",
    `const completion = await client.chat.completions.create(${json(body)});`,
    "console.log(completion.choices[0].message.content);",
  ].join("\n");
}

/** A request to an endpoint, with the caller's own key. */
export function endpointSnippet(url: string, deployment: Deployment): string {
  const lines = [`curl ${url}/chat/completions \\`];
  if (deployment.authMode === "fixed_api_key") {
    lines.push('  -H "Authorization: Bearer $ARKOR_ENDPOINT_KEY" \\');
  }
  const body = { model: deployment.slug, messages: [{ role: "user", content: "Hello" }] };
  lines.push("  -H 'Content-Type: application/json' \\", `  -d ${quoted(json(body))}`);
  return lines.join("\n");
}
