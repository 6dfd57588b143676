// The text of chat answers, streamed and not, as completionText and completionStream read it.
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { CloudApiError, completionStream, completionText } from "../../index.js";

const chunk = (content: string, more: object = {}) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, ...more }] })}\n\n`;

/** The response to a request that `answer` answers. */
async function responseTo(answer: (response: ServerResponse) => void): Promise<Response> {
  const server = createServer((_, response) => answer(response)).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  return fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

const streamOf = (text: string, status = 200) =>
  responseTo((response) => {
    response.writeHead(status, { "content-type": "text/event-stream; charset=utf-8" });
    response.end(text);
  });

const jsonOf = (body: unknown, status = 200) =>
  responseTo((response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  });

const failureOf = async (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );

describe("a streamed answer", () => {
  it("is its pieces, in order, up to [DONE]", async () => {
    const text = `${chunk("Hel")}: a comment\n\n${chunk("lo 🎉")}data: [DONE]\n\n${chunk("late")}`;
    const pieces: string[] = [];
    for await (const piece of completionStream(await streamOf(text))) pieces.push(piece);
    expect(pieces).toEqual(["Hel", "lo 🎉"]);
    expect(await completionText(await streamOf(text))).toBe("Hello 🎉");
  });

  it("is read whole when a character is cut between two reads", async () => {
    const bytes = Buffer.from(`${chunk("né🎉")}data: [DONE]\n\n`);
    const response = new Response(
      new ReadableStream({
        start(controller) {
          for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
          controller.close();
        },
      }),
      { headers: { "content-type": "text/event-stream" } },
    );
    expect(await completionText(response)).toBe("né🎉");
  });

  it("may end with a finish_reason instead of [DONE]", async () => {
    expect(await completionText(await streamOf(chunk("Yes", { finish_reason: "stop" })))).toBe(
      "Yes",
    );
  });

  it("skips other choices, and pieces without text", async () => {
    const other = `data: {"choices":[{"index":1,"delta":{"content":"no"}}]}\n\n`;
    const role = `data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n`;
    const usage = `data: {"choices":[],"usage":{"total_tokens":3}}\n\n`;
    const text = `${role}${other}${chunk("yes")}${usage}data: [DONE]\n\n`;
    expect(await completionText(await streamOf(text))).toBe("yes");
  });

  it("that breaks off is an error, not a short answer", async () => {
    const pieces: string[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const piece of completionStream(await streamOf(chunk("Half"))))
          pieces.push(piece);
      })(),
    );
    expect(pieces).toEqual(["Half"]);
    expect(failure).toBeInstanceOf(CloudApiError);
    expect(failure.message).toBe("The answer ended before it was complete.");
  });

  it("with an error frame is that error", async () => {
    for (const error of ["out of memory", { message: "out of memory", code: 500 }]) {
      const text = `${chunk("Half")}data: ${JSON.stringify({ error })}\n\n`;
      const failure = await failureOf(completionText(await streamOf(text)));
      expect(failure).toBeInstanceOf(CloudApiError);
      expect(failure).toMatchObject({ status: 200, message: "out of memory" });
    }
  });

  it("in which Python wrote a bare -Infinity is read all the same", async () => {
    const text = chunk("yes", { logprob: "?", finish_reason: "stop" }).replace('"?"', "-Infinity");
    expect(await completionText(await streamOf(`${text}data: [DONE]\n\n`))).toBe("yes");
  });

  it("closes the connection when the loop is left", async () => {
    const connection: { closed?: Promise<unknown> } = {};
    const response = await responseTo((answer) => {
      connection.closed = once(answer, "close");
      answer.writeHead(200, { "content-type": "text/event-stream" });
      answer.write(chunk("first"));
    });
    for await (const piece of completionStream(response)) {
      if (piece === "first") break;
    }
    await connection.closed;
  });
});

describe("a whole answer", () => {
  it("is the message's text", async () => {
    const body = { choices: [{ index: 0, message: { role: "assistant", content: "Hello" } }] };
    expect(await completionText(await jsonOf(body))).toBe("Hello");
  });

  it("of tool calls only has no text", async () => {
    const body = { choices: [{ message: { content: null, tool_calls: [{ id: "1" }] } }] };
    expect(await completionText(await jsonOf(body))).toBe("");
  });

  it.each([
    ["that isn't JSON", "<html>", "The answer isn't JSON."],
    ["of another shape", { ok: true }, "The answer isn't a chat completion."],
    ["with an error", { error: "overloaded" }, "overloaded"],
  ])("%s is an error", async (_, body, message) => {
    const failure = await failureOf(completionText(await jsonOf(body)));
    expect(failure).toBeInstanceOf(CloudApiError);
    expect(failure.message).toBe(message);
  });
});

it("a response that isn't 2xx is the backend's error", async () => {
  const refused = await failureOf(completionText(await jsonOf({ error: "no such adapter" }, 404)));
  expect(refused).toMatchObject({ name: "CloudApiError", status: 404, message: "no such adapter" });
  const plain = await failureOf(completionText(await jsonOf("busy", 503)));
  expect(plain).toMatchObject({ status: 503, message: "busy" });
});

it("a response that was read before is a TypeError", async () => {
  const response = await jsonOf({ choices: [] });
  await response.text();
  expect(await failureOf(completionText(response))).toBeInstanceOf(TypeError);
});
