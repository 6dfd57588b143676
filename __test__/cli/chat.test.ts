// `arkor chat`: one answer or a conversation, from a backend whose answers the test scripts.
import { describe, expect, it } from "vitest";
import { Backend, gate, JOB, json, type Received } from "../support/backend.ts";
import { ARKOR, arkor, run } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { arkorAt, KEY, type Terminal } from "../support/terminal.ts";

const STATE = JSON.stringify({ orgSlug: "the org", projectSlug: "p", projectId: "i" });
const CHAT = "POST /v1/inference/chat";
const jobAt = (id: string, day: number, status = "completed") => ({
  ...JOB,
  id,
  status,
  name: `run of ${id}`,
  createdAt: new Date(Date.UTC(2026, 0, day)).toISOString(),
});

/** A chunk of a streamed answer. */
const chunk = (content: string, more: object = {}) =>
  `data: ${JSON.stringify({ model: "the model", choices: [{ index: 0, delta: { content }, finish_reason: null }], ...more })}\n\n`;
const END = `data: ${JSON.stringify({
  choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
  usage: { prompt_tokens: 3, completion_tokens: 2 },
})}\n\ndata: [DONE]\n\n`;

/** A cloud with jobs, which answers every question with these pieces. */
async function cloud(pieces = ["to ", "you"]) {
  const backend = await Backend.start();
  const jobs = [jobAt("job-2", 2), jobAt("job-3", 3), jobAt("job-4", 4, "failed")];
  backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs }));
  for (const job of jobs) {
    backend.on(`GET /v1/jobs/${job.id}`, (_, response) => json(response, 200, { job }));
  }
  backend.on(CHAT, (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(pieces.map((piece) => chunk(piece)).join("") + END);
  });
  const project = new Project({ ".arkor/state.json": STATE }).signIn(backend);
  const asked = () => backend.to(CHAT).map(({ body }) => JSON.parse(body));
  const piped = (text: string, ...args: string[]) =>
    run(
      "/bin/sh",
      ["-c", `printf '${text}' | "$@"`, "sh", ...ARKOR, "chat", ...args],
      project.at(backend),
    );
  return { backend, project, asked, piped };
}

const user = (content: string) => ({ role: "user", content });

describe("arkor chat -m", () => {
  it("asks the newest completed job, and says which one that is and where", async () => {
    const { backend, project, asked } = await cloud();
    const { code, stdout, stderr } = await arkor(["chat", "-m", "Who?"], project.at(backend)).exit;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "to you\n" });
    expect(stderr).toBe(`Using the cloud at ${backend.url}.\nJob job-3 (run of job-3) answers.\n`);
    expect(asked()).toEqual([
      { adapter: { kind: "final", jobId: "job-3" }, messages: [user("Who?")], stream: true },
    ]);
  });

  it("passes over a dry run that is newer; where there's nothing else, it answers and is named one", async () => {
    const { backend, project, asked } = await cloud();
    const ask = async () => (await arkor(["chat", "-m", "Who?"], project.at(backend)).exit).stderr;
    const dry = { ...jobAt("job-9", 9), config: { ...JOB.config, dryRun: true } };
    const older = { ...dry, ...{ id: "job-8", createdAt: jobAt("job-8", 8).createdAt } };
    const jobs = [dry, older, jobAt("job-3", 3)];
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs }));
    expect(await ask()).toContain("\nJob job-3 (run of job-3) answers.\n");
    jobs.pop();
    expect(await ask()).toContain(
      "\nJob job-9 (run of job-9), a dry run, answers: no other job is completed.\n",
    );
    expect(asked().map(({ adapter }) => adapter.jobId)).toEqual(["job-3", "job-9"]);
  });

  it("passes the system prompt and the sampling on", async () => {
    const { backend, project, asked } = await cloud();
    const args = ["--system", "Be brief.", "--temperature", "0", "--max-tokens", "7"];
    await arkor(["chat", "job-2", "-m", "Who?", ...args], project.at(backend)).exit;
    expect(asked()).toEqual([
      {
        adapter: { kind: "final", jobId: "job-2" },
        messages: [{ role: "system", content: "Be brief." }, user("Who?")],
        temperature: 0,
        maxTokens: 7,
        stream: true,
      },
    ]);
  });

  it.each([
    ["job-2/50", { adapter: { kind: "checkpoint", jobId: "job-2", step: 50 } }],
    ["job-2/checkpoint-50", { adapter: { kind: "checkpoint", jobId: "job-2", step: 50 } }],
    ["owner/model", { baseModel: "owner/model" }],
    ["model", { baseModel: "model" }],
  ])("the target %s", async (target, expected) => {
    const { backend, project, asked } = await cloud();
    const { code } = await arkor(["chat", target, "-m", "Who?"], project.at(backend)).exit;
    expect(code).toBe(0);
    expect(asked()[0]).toMatchObject(expected);
  });

  it("asks the last checkpoint of a job that has no final adapter, and says so", async () => {
    const { backend, project, asked } = await cloud();
    backend.on("GET /v1/jobs/job-4/events/stream", (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const step of [10, 20]) {
        const event = { type: "checkpoint.saved", jobId: "job-4", step };
        response.write(`data: ${JSON.stringify(event)}\n\n`);
      }
      response.end(`data: ${JSON.stringify({ type: "training.failed", error: "e" })}\n\n`);
    });
    const { stderr } = await arkor(["chat", "job-4", "-m", "Who?"], project.at(backend)).exit;
    expect(stderr).toContain("Job job-4 is failed: its checkpoint of step 20 answers.\n");
    expect(asked()[0]).toMatchObject({ adapter: { kind: "checkpoint", jobId: "job-4", step: 20 } });
  });

  it("prints a piece as soon as it comes", async () => {
    const { backend, project } = await cloud();
    const more = gate();
    backend.on(CHAT, async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(chunk("first"));
      await more.promise;
      response.end(chunk(" second") + END);
    });
    const running = arkor(["chat", "-m", "Who?"], project.at(backend));
    await running.until("stdout", /^first$/);
    more.open();
    expect((await running.exit).stdout).toBe("first second\n");
  });

  it("--json prints one object", async () => {
    const { backend, project } = await cloud();
    const { stdout } = await arkor(["chat", "-m", "Who?", "--json"], project.at(backend)).exit;
    expect(JSON.parse(stdout)).toEqual({
      answer: "to you",
      model: "the model",
      usage: { prompt_tokens: 3, completion_tokens: 2 },
      finishReason: "stop",
    });
  });

  it("keeps lines, tabs and spaces of an answer, and nothing that drives a terminal", async () => {
    const { backend, project } = await cloud([
      "  a\tb\r\n",
      "\u001b]0;title\u0007",
      "c\u202e\u009b",
    ]);
    const { stdout } = await arkor(["chat", "-m", "Who?"], project.at(backend)).exit;
    expect(stdout).toBe("  a\tb\n\ufffd]0;title\ufffdc\ufffd\ufffd\n");
  });

  it("says when an answer was cut off, and when it has no text", async () => {
    const { backend, project } = await cloud();
    const answers = [
      [{ delta: { content: "a" }, finish_reason: "length" }, "(cut off: --max-tokens "],
      [{ delta: {}, finish_reason: "stop" }, "(no text)"],
    ] as const;
    for (const [choice, note] of answers) {
      backend.on(CHAT, (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(`data: ${JSON.stringify({ choices: [choice] })}\n\ndata: [DONE]\n\n`);
      });
      const { stderr } = await arkor(["chat", "-m", "Who?"], project.at(backend)).exit;
      expect(stderr).toContain(note);
    }
  });

  it("Ctrl-C closes the request and ends with 130", async () => {
    const { backend, project } = await cloud();
    const closed = gate();
    backend.on(CHAT, (_, response) => {
      response.on("close", () => closed.open());
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(chunk("and so on"));
    });
    const running = arkor(["chat", "-m", "Who?"], project.at(backend));
    await running.until("stdout", /and so on/);
    running.kill("SIGINT");
    await closed.promise;
    const { code, stdout } = await running.exit;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "and so on\n" });
  });

  it("an error in the middle of an answer ends it with 1", async () => {
    const { backend, project } = await cloud();
    backend.on(CHAT, (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(`${chunk("half")}data: {"error":{"message":"the GPU is gone"}}\n\n`);
    });
    const { code, stdout, stderr } = await arkor(["chat", "-m", "Who?"], project.at(backend)).exit;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "half\n" });
    expect(stderr).toContain("\nerror: the GPU is gone\n");
  });

  it("refuses a job that isn't there instead of taking it for a model", async () => {
    const { backend, project, asked } = await cloud();
    const { code, stderr } = await arkor(["chat", "job_nope", "-m", "Who?"], project.at(backend))
      .exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      "error: There is no job job_nope. To list this project's: arkor jobs\n",
    );
    expect(asked()).toEqual([]);
  });

  it("says what to do when no job can answer", async () => {
    const { backend, project } = await cloud();
    const told = async () => (await arkor(["chat", "-m", "Who?"], project.at(backend)).exit).stderr;
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs: [] }));
    expect(await told()).toContain("error: This project has no job to talk to yet.");
    const jobs = [jobAt("job-4", 4, "failed")];
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs }));
    expect(await told()).toContain("error: No job of this project is completed.");
  });

  it.each([
    [["--temperature", "warm"], "It must be a number, at least 0."],
    [["--temperature", "-1"], "It must be a number, at least 0."],
    [["--max-tokens", "0"], "It must be a whole number, at least 1."],
    [["-m", "  "], "There is no message. Give one with -m, or on stdin."],
    [[], "There is no message. Give one with -m, or on stdin."],
  ])("refuses %j before anything is asked", async (args, message) => {
    const { backend, project } = await cloud();
    const { code, stderr } = await arkor(["chat", ...args], project.at(backend)).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(stderr).toContain(message);
    expect(backend.requests).toEqual([]);
  });
});

describe("stdin that isn't a terminal", () => {
  it("is the message", async () => {
    const { asked, piped } = await cloud();
    expect((await piped("Who?\\nWhy?\\n").exit).stdout).toBe("to you\n");
    expect(asked()[0].messages).toEqual([user("Who?\nWhy?")]);
  });

  it("follows the message of -m", async () => {
    const { asked, piped } = await cloud();
    await piped("line 1\\nline 2\\n", "-m", "Summarise:").exit;
    expect(asked()[0].messages).toEqual([user("Summarise:\n\nline 1\nline 2")]);
  });
});

describe("a conversation at a terminal", () => {
  /** A conversation whose nth question is answered with `answer n`. */
  async function talk(options: { columns?: number; args?: string[] } = {}) {
    const { backend, project, asked } = await cloud();
    backend.on(CHAT, (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(chunk(`answer ${backend.to(CHAT).length}`) + END);
    });
    const { columns, args = [] } = options;
    const terminal = arkorAt(["chat", ...args], {
      ...project.at(backend),
      ...(columns !== undefined && { columns }),
    });
    await prompted(terminal);
    return { backend, terminal, asked };
  }
  /** Resolves once the command waits for the next question. */
  const prompted = (terminal: Terminal) => terminal.until(/\n> $|\n>$/);

  it("keeps what was said, until /reset", async () => {
    const { terminal, asked } = await talk({ args: ["--system", "S"] });
    terminal.press("one", KEY.enter);
    await terminal.until(/answer 1\n> ?$/);
    terminal.press("two", KEY.enter);
    await terminal.until(/answer 2\n> ?$/);
    terminal.press("/reset", KEY.enter);
    await terminal.until(/starts over\.\n> ?$/);
    terminal.press("three", KEY.enter);
    await terminal.until(/answer 3\n> ?$/);
    terminal.press("/exit", KEY.enter);
    expect(await terminal.exit).toBe(0);
    const system = { role: "system", content: "S" };
    expect(asked().map(({ messages }) => messages)).toEqual([
      [system, user("one")],
      [system, user("one"), { role: "assistant", content: "answer 1" }, user("two")],
      [system, user("three")],
    ]);
  });

  it.each([
    ["Ctrl-D", "\u0004"],
    ["Ctrl-C", KEY.ctrlC],
  ])("%s at the prompt leaves, with 0", async (_, key) => {
    const { terminal } = await talk();
    terminal.press(key);
    expect(await terminal.exit).toBe(0);
  });

  it("Ctrl-C stops an answer: the request is closed, and what came is part of the conversation", async () => {
    const { backend, terminal, asked } = await talk();
    const closed = gate();
    const answer = (_: Received, response: import("node:http").ServerResponse) => {
      response.on("close", () => closed.open());
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(chunk("and so on"));
    };
    backend.on(CHAT, answer);
    terminal.press("one", KEY.enter);
    await terminal.until(/and so on/);
    terminal.press(KEY.ctrlC);
    await closed.promise;
    await terminal.until(/\(stopped\)\n> ?$/);
    terminal.press("two", KEY.enter);
    await terminal.until(/two\nand so on/);
    expect(asked()[1].messages).toEqual([
      user("one"),
      { role: "assistant", content: "and so on" },
      user("two"),
    ]);
    terminal.press(KEY.ctrlC);
    await terminal.until(/\(stopped\)[\s\S]*\(stopped\)\n> ?$/);
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(0);
  });

  it("goes on after an error, without the question that had none", async () => {
    const { backend, terminal, asked } = await talk();
    backend.on(CHAT, (_, response) => json(response, 400, { error: "too long" }));
    terminal.press("one", KEY.enter);
    await terminal.until(/error: too long\n> ?$/);
    terminal.press("two", KEY.enter);
    await terminal.until(/error: too long[\s\S]*error: too long\n> ?$/);
    expect(asked()[1].messages).toEqual([user("two")]);
    terminal.press("\u0004");
    expect(await terminal.exit).toBe(0);
  });

  it("takes lines that are pasted together for one question", async () => {
    const { terminal, asked } = await talk();
    terminal.press("first\rsecond\rthird");
    await terminal.until(/third$/);
    terminal.press(KEY.enter);
    await terminal.until(/answer 1\n> ?$/);
    expect(asked()[0].messages).toEqual([user("first\nsecond\nthird")]);
    terminal.press("\u0004");
    await terminal.exit;
  });

  it("has the last questions under the up key, also after an answer", async () => {
    const { terminal, asked } = await talk();
    terminal.press("one", KEY.enter);
    await terminal.until(/answer 1\n> ?$/);
    terminal.press("\u001b[A", KEY.enter);
    await terminal.until(/answer 2\n> ?$/);
    expect(asked()[1].messages.at(-1)).toEqual(user("one"));
    terminal.press("\u0004");
    await terminal.exit;
  });

  it("says which words with a slash there are, and asks nothing for others", async () => {
    const { terminal, asked } = await talk({ columns: 40 });
    terminal.press("/help", KEY.enter);
    await terminal.until(/There is no \/help, only \/reset and \/exit\.\n> ?$/);
    expect(asked()).toEqual([]);
    terminal.press("\u0004");
    await terminal.exit;
  });

  it("--json is refused there", async () => {
    const { backend, project } = await cloud();
    const terminal = arkorAt(["chat", "--json"], project.at(backend));
    await terminal.until(/error: --json is for one answer\./);
    expect(await terminal.exit).toBe(1);
  });
});
