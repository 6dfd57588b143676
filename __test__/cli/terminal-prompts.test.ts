// The questions of `arkor login`, `logout` and `init` at a real terminal, key by key.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Backend, json } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { arkorAt, KEY, shellAt } from "../support/terminal.ts";

/** A backend that issues anonymous identities and has no account to log in with. */
async function issuing() {
  const backend = await Backend.start();
  backend.on("POST /v1/auth/anonymous", (_, response) =>
    json(response, 200, {
      token: "a-token",
      anonymousId: "anonymous-1",
      kind: "cli",
      personalOrg: { id: "o", slug: "org-1", name: "Org" },
    }),
  );
  return backend;
}

describe("arkor login", () => {
  it("asks, with the anonymous identity preselected: Enter alone takes it", async () => {
    const backend = await issuing();
    const project = new Project();
    const terminal = arkorAt(["login"], project.at(backend));
    await terminal.until(
      /How do you want to sign in\?[\s\S]*● Anonymously[\s\S]*○ With an account/,
    );
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("Signed in anonymously, as org-1.");
    expect(JSON.parse(readFileSync(project.credentials, "utf8")).token).toBe("a-token");
    expect(terminal.raw).not.toContain("a-token");
  });

  it("goes to the account's login with the arrow keys", async () => {
    const backend = await issuing();
    const project = new Project();
    const terminal = arkorAt(["login"], project.at(backend));
    await terminal.until(/● Anonymously/);
    terminal.press(KEY.down);
    await terminal.until(/● With an account/);
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(1);
    expect(backend.requests.map(({ path }) => path)).toEqual(["/v1/auth/cli/config"]);
    expect(existsSync(project.credentials)).toBe(false);
  });

  it.each([
    ["Ctrl-C", KEY.ctrlC],
    ["Escape", KEY.escape],
  ])("%s leaves everything as it was, the terminal too", async (_, key) => {
    const backend = await issuing();
    const project = new Project();
    // The shell waits at the end, because output just before it exits may be lost with the terminal.
    const line = "trap : INT; stty -g; $ARKOR login; echo code=$?; stty -g; read line";
    const terminal = shellAt(line, project.at(backend));
    await terminal.until(/● Anonymously/);
    expect(terminal.showsCursor).toBe(false);
    terminal.press(key);
    await terminal.until(/code=130\n[\da-f]+(:[\da-f]+\n?){30,}/);
    terminal.press(KEY.enter);
    await terminal.exit;
    expect(terminal.screen).toContain("Nothing was changed.");
    const settings = terminal.lines.join("\n").match(/[\da-f]+(:[\da-f]+\n?){30,}/g) ?? [];
    expect(settings).toHaveLength(2);
    expect(settings[1]?.trim()).toBe(settings[0]?.trim());
    expect(terminal.showsCursor).toBe(true);
    expect(backend.requests).toEqual([]);
    expect(existsSync(project.credentials)).toBe(false);
  });

  it("asks before an account takes the place of an anonymous identity; Enter alone does not", async () => {
    const backend = await issuing();
    const project = new Project().signIn(backend, { orgSlug: "org-of-old" });
    const terminal = arkorAt(["login", "--oauth"], project.at(backend));
    await terminal.until(/replaces the anonymous identity of org-of-old, which can't be restored/);
    await terminal.until(/Go on\?/);
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("Still signed in anonymously.");
    expect(backend.requests).toEqual([]);
  });
});

it.each([{ CI: "1" }, { TERM: "dumb" }])("with %j nothing is asked", async (env) => {
  const backend = await issuing();
  const terminal = arkorAt(["login"], new Project().at(backend, env));
  expect(await terminal.exit).toBe(0);
  expect(terminal.screen).toMatch(/^Signed in anonymously, as org-1\./);
});

describe("arkor logout", () => {
  it("asks, and Enter alone keeps the credentials", async () => {
    const backend = await issuing();
    const project = new Project().signIn(backend);
    const terminal = arkorAt(["logout"], project.at(backend));
    await terminal.until(/Delete .*credentials\.json\?/);
    expect(terminal.screen).toContain("warning: An anonymous identity can't be restored");
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("Still signed in.");
    expect(existsSync(project.credentials)).toBe(true);
  });

  it("deletes them after a yes", async () => {
    const backend = await issuing();
    const project = new Project().signIn(backend);
    const terminal = arkorAt(["logout"], project.at(backend));
    await terminal.until(/Delete .*credentials\.json\?/);
    terminal.press("y");
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("Signed out.");
    expect(existsSync(project.credentials)).toBe(false);
  });
});

describe("arkor init", () => {
  it("asks for name, template, AGENTS.md, installation and repository, and does as it's told", async () => {
    const project = new Project();
    const terminal = arkorAt(["init"], project.at(undefined));
    await terminal.until(/What's the project's name\?/);
    terminal.press("Not a name", KEY.enter);
    await terminal.until(/A name consists of a-z/);
    terminal.press(...Array.from("Not a name", () => KEY.backspace), "my-mail", KEY.enter);
    await terminal.until(/What should the model learn\?[\s\S]*● Triage/);
    terminal.press(KEY.down);
    await terminal.until(/● Translate/);
    terminal.press(KEY.down);
    await terminal.until(/● Redaction/);
    terminal.press(KEY.enter);
    await terminal.until(/Add an AGENTS\.md for coding agents\?/);
    terminal.press(KEY.enter);
    await terminal.until(/Install with npm\?/);
    terminal.press("n");
    await terminal.until(/Create a git repository\?/);
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(0);
    expect(JSON.parse(project.read("package.json")).name).toBe("my-mail");
    expect(project.read("arkor.config.ts")).toContain('name: "my-mail"');
    expect(project.has("data/redaction.jsonl")).toBe(true);
    expect(project.has("AGENTS.md")).toBe(false);
    expect(project.has(".git/HEAD")).toBe(true);
    expect(terminal.screen).toMatch(/Next:\n {2}npm install\n {2}npm run train:local/);
  });

  it("takes the name from the directory that it is given, and doesn't ask for it", async () => {
    const project = new Project();
    const terminal = arkorAt(["init", "my-app", "--skip-install"], project.at(undefined));
    await terminal.until(/What should the model learn\?/);
    expect(terminal.screen).not.toContain("What's the project's name?");
    terminal.press(KEY.enter);
    await terminal.until(/Add an AGENTS\.md/);
    terminal.press(KEY.enter);
    await terminal.until(/Create a git repository\?/);
    terminal.press("n");
    expect(await terminal.exit).toBe(0);
    expect(JSON.parse(project.read("my-app/package.json")).name).toBe("my-app");
  });

  it("asks for a name when the directory's can't be one", async () => {
    const project = new Project();
    const terminal = arkorAt(["init", "My App"], project.at(undefined));
    await terminal.until(/What's the project's name\?[\s\S]*my-app/);
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(130);
  });

  it("names the next steps in a window of 40 columns, each command in one piece", async () => {
    const project = new Project();
    const terminal = arkorAt(["init", "-y", "--skip-install"], {
      ...project.at(undefined),
      columns: 40,
    });
    expect(await terminal.exit).toBe(0);
    const lines = terminal.lines.filter((line) => line !== "");
    expect(lines.slice(lines.indexOf("Next:"))).toEqual([
      "Next:",
      "  npm install",
      "  npm run train:local",
      "    train on this machine",
      "  npx arkor chat",
      "    ask the model that came out",
      "  npm run dev",
      "    open Studio, to do both in a",
      "    browser",
    ]);
  });

  it("asks readably in a window of 40 columns", async () => {
    const project = new Project();
    const terminal = arkorAt(["init", "--name", "x"], { ...project.at(undefined), columns: 40 });
    await terminal.until(/What should the model learn\?/);
    await terminal.until(/● Triage[\s\S]*○ Translate[\s\S]*○ Redaction/);
    for (const line of terminal.lines) expect(line.length).toBeLessThanOrEqual(40);
    // Each key redraws the question in place.
    terminal.press(KEY.down);
    await terminal.until(/○ Triage[\s\S]*● Translate/);
    expect(terminal.screen.match(/What should the model learn\?/g)).toHaveLength(1);
    expect(terminal.screen.match(/Triage/g)).toHaveLength(1);
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(130);
    expect(project.has("package.json")).toBe(false);
  });

  it("writes nothing when it is left at the last question", async () => {
    const project = new Project();
    const terminal = arkorAt(
      ["init", "mine", "--template", "triage", "--name", "x", "--agents-md"],
      project.at(undefined),
    );
    await terminal.until(/Install with npm\?/);
    terminal.press(KEY.ctrlC);
    expect(await terminal.exit).toBe(130);
    expect(project.has("mine")).toBe(false);
  });

  it("asks before a second template comes into a project; Enter alone changes nothing", async () => {
    const project = new Project();
    const args = ["init", "--name", "x", "--skip-install", "--skip-git", "--no-agents-md"];
    await arkor([...args, "-y", "--template", "translate"], project.at(undefined)).exit;
    const terminal = arkorAt([...args, "--template", "triage"], project.at(undefined));
    // The question is wrapped, and its lines begin with a bar.
    await terminal.until(/has the template translate[\s│]+already[\s│]+\(data\/translate.*\)/s);
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("Nothing was changed.");
    expect(project.has("data/triage.jsonl")).toBe(false);

    const again = arkorAt([...args, "--template", "triage"], project.at(undefined));
    await again.until(/Go on\?/);
    again.press("y");
    expect(await again.exit).toBe(0);
    expect(project.has("data/triage.jsonl")).toBe(true);
    expect(project.read("arkor.config.ts")).toContain("data/translate.jsonl");
  });

  it("preselects the template that the project has", async () => {
    const project = new Project();
    const args = ["init", "--name", "x", "--skip-install", "--skip-git", "--no-agents-md"];
    await arkor([...args, "-y", "--template", "translate"], project.at(undefined)).exit;
    const terminal = arkorAt(args, project.at(undefined));
    await terminal.until(/What should the model learn\?[\s\S]*● Translate/);
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("Kept arkor.config.ts");
  });
});
