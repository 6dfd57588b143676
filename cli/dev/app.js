// The routes that the page and scripts can call.

const fs = require("node:fs");
const path = require("node:path");
const { Hono } = require("hono");
const { bodyLimit } = require("hono/body-limit");
const { version } = require("../../package.json");
const { Refusal, refusalOf } = require("./backend.js");
const { checkedCreation, checkedKey, checkedUpdate, fieldsOf } = require("./deployments.js");
const { guard } = require("./guard.js");
const { addMachine } = require("./machine.js");
const { servePage } = require("./page.js");
const { readPrompts, writePrompts } = require("./prompts.js");
const { Summaries } = require("./summaries.js");

const MAX_BODY_BYTES = 4 * 1024 * 1024;

/**
 * @typedef {object} Parts
 * @property {string} cwd the project
 * @property {string} token
 * @property {() => number} port
 * @property {Map<string, import("./page.js").PageFile>} page
 * @property {import("./backend.js").Backend} backend
 * @property {import("./runs.js").Runs} runs
 * @property {import("./manifest.js").Manifests} manifests
 */

/** @typedef {import("hono").Context} Context */

/** @param {Parts} parts */
function createApp(parts) {
  const app = new Hono();
  app.use("*", guard(parts));
  app.use(
    "/api/*",
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: (context) =>
        context.json({ error: `The body is larger than ${MAX_BODY_BYTES} bytes.` }, 413),
    }),
  );
  app.onError((error, context) => {
    const { status, message } = refusalOf(error);
    return context.json(
      { error: message },
      /** @type {import("hono/utils/http-status").ContentfulStatusCode} */ (status),
    );
  });
  addProject(app, parts);
  addJobs(app, parts);
  addMachine(app, parts);
  addRuns(app, parts);
  addDeployments(app, parts);
  app.all("/api/*", (context) =>
    context.json({ error: `No such call: ${context.req.method} ${context.req.path}` }, 404),
  );
  app.get("*", servePage(parts.page));
  app.notFound((context) => context.json({ error: `Not found: ${context.req.path}` }, 404));
  return app;
}

/**
 * @param {Hono} app
 * @param {Parts} parts
 */
function addProject(app, { cwd, backend, manifests }) {
  app.get("/api/credentials", async (context) =>
    context.json({
      ...(await backend.identity()),
      token: "redacted",
      where: backend.isLocal ? "local" : "cloud",
      project: path.basename(cwd),
      directory: cwd,
      version,
    }),
  );
  app.get("/api/me", async (context) => context.json(await backend.me()));
  app.get("/api/manifest", async (context) => {
    const manifest = await manifests.current();
    const trainer = manifest.trainer && withoutToken(manifest.trainer);
    // A browser logs every 400 to its console, and the page polls every two seconds.
    const isFine = manifest.error === undefined || context.req.query("broken") === "200";
    return context.json({ ...manifest, trainer }, isFine ? 200 : 400);
  });
  app.get("/api/prompts", (context) => context.json({ prompts: readPrompts(cwd) }));
  app.put("/api/prompts", async (context) => {
    writePrompts(cwd, fieldsOf(await jsonOf(context)).prompts);
    return context.json({ prompts: readPrompts(cwd) });
  });
}

/**
 * @param {Hono} app
 * @param {Parts} parts
 */
function addJobs(app, { backend }) {
  const summaries = new Summaries((jobId, signal) =>
    backend.call(
      (client, scope) => client.openEventStream(jobId, scope, { signal }),
      () => {},
    ),
  );
  app.get("/api/jobs", async (context) =>
    context.json({ jobs: (await backend.jobs(passedOn(context))).map(withoutToken) }),
  );
  app.get("/api/jobs/:id", async (context) => {
    const id = context.req.param("id");
    const call = backend.call((client, scope) => client.getJob(id, scope), passedOn(context));
    const answer = await call;
    return context.json({ ...answer, job: withoutToken(answer.job) });
  });
  app.get("/api/jobs/:id/summary", async (context) => {
    const isFinished = context.req.query("finished") === "true";
    return context.json(await summaries.of(context.req.param("id"), isFinished));
  });
  app.get("/api/jobs/:id/events", async (context) => {
    const id = context.req.param("id");
    const lastEventId = context.req.header("last-event-id");
    const { signal } = context.req.raw;
    const options = { signal, ...(lastEventId !== undefined && { lastEventId }) };
    const answer = await backend.call(
      (client, scope) => client.openEventStream(id, scope, options),
      passedOn(context),
    );
    return piped(context, answer);
  });
  app.post("/api/jobs/:id/cancel", async (context) => {
    const id = context.req.param("id");
    await backend.call((client, scope) => client.cancelJob(id, scope), passedOn(context));
    return context.json({});
  });
  app.post("/api/inference/chat", async (context) => {
    const body = fieldsOf(await jsonOf(context));
    const { signal } = context.req.raw;
    const answer = await backend.call(
      (client, scope) => client.chat({ scope, body, signal }),
      passedOn(context),
    );
    return piped(context, answer);
  });
}

/**
 * @param {Hono} app
 * @param {Parts} parts
 */
function addRuns(app, { cwd, runs, backend }) {
  const found = (/** @type {Context} */ context) => {
    const run = runs.get(context.req.param("id") ?? "");
    if (run) return run;
    throw new Refusal(404, "Studio has started no such run.");
  };
  const shown = (/** @type {import("./runs.js").Run} */ run, /** @type {Context} */ context) =>
    context.body(run.output(), 200, {
      "content-type": "text/plain; charset=utf-8",
      "x-arkor-run": run.id,
    });
  app.post("/api/train", async (context) => {
    const { file = null, dryRun = false } = fieldsOf(await jsonOf(context));
    if (typeof dryRun !== "boolean") throw new Refusal(400, "dryRun must be true or false.");
    const run = runs.start({ file: checkedFile(cwd, file), dryRun, env: process.env });
    return shown(run, context);
  });
  app.get("/api/runs", (context) => context.json({ runs: runs.list }));
  app.get("/api/runs/:id/output", (context) => shown(found(context), context));
  app.post("/api/runs/:id/stop", async (context) => {
    const run = found(context);
    const { cancel = false } = fieldsOf(await jsonOf(context));
    const { jobId } = run;
    if (cancel && jobId !== null) {
      // The child sees the cancellation in the job's stream and exits.
      await backend.call((client, scope) => client.cancelJob(jobId, scope), passedOn(context));
    } else {
      await run.stopWatching();
    }
    return context.json(run.info);
  });
}

/**
 * @param {Hono} app
 * @param {Parts} parts
 */
function addDeployments(app, { backend }) {
  const at = "/api/deployments";
  app.get(at, async (context) =>
    context.json(
      await backend.call((client, scope) => client.listDeployments(scope), passedOn(context)),
    ),
  );
  app.post(at, async (context) => {
    const input = checkedCreation(await jsonOf(context));
    const create = backend.call(
      (client, scope) => client.createDeployment(scope, input),
      passedOn(context),
    );
    return context.json(await create, 201);
  });
  app.get(`${at}/:id`, async (context) => {
    const id = context.req.param("id");
    return context.json(
      await backend.call((client, scope) => client.getDeployment(id, scope), passedOn(context)),
    );
  });
  app.patch(`${at}/:id`, async (context) => {
    const id = context.req.param("id");
    const input = checkedUpdate(await jsonOf(context));
    const update = backend.call(
      (client, scope) => client.updateDeployment(id, scope, input),
      passedOn(context),
    );
    return context.json(await update);
  });
  app.delete(`${at}/:id`, async (context) => {
    const id = context.req.param("id");
    await backend.call((client, scope) => client.deleteDeployment(id, scope), passedOn(context));
    return context.body(null, 204);
  });
  addKeys(app, backend, `${at}/:id/keys`);
}

/**
 * @param {Hono} app
 * @param {import("./backend.js").Backend} backend
 * @param {string} at
 */
function addKeys(app, backend, at) {
  const idOf = (/** @type {Context} */ context) => context.req.param("id") ?? "";
  app.get(at, async (context) => {
    const id = idOf(context);
    return context.json(
      await backend.call(
        (client, scope) => client.listDeploymentKeys(id, scope),
        passedOn(context),
      ),
    );
  });
  app.post(at, async (context) => {
    const id = idOf(context);
    const input = checkedKey(await jsonOf(context));
    const create = backend.call(
      (client, scope) => client.createDeploymentKey(id, scope, input),
      passedOn(context),
    );
    return context.json(await create, 201);
  });
  app.delete(`${at}/:keyId`, async (context) => {
    const id = idOf(context);
    const keyId = context.req.param("keyId") ?? "";
    await backend.call(
      (client, scope) => client.revokeDeploymentKey(id, keyId, scope),
      passedOn(context),
    );
    return context.body(null, 204);
  });
}

/**
 * Removes the dataset's token from an object's config, because only the backend needs it.
 * @template {{ config: Record<string, unknown> }} T
 * @param {T} holder
 * @returns {T}
 */
function withoutToken(holder) {
  const source = holder.config?.datasetSource;
  if (typeof source !== "object" || source === null) return holder;
  const { token: _, ...datasetSource } = /** @type {Record<string, unknown>} */ (source);
  return { ...holder, config: { ...holder.config, datasetSource } };
}

/** @param {Context} context */
async function jsonOf(context) {
  const text = await context.req.text();
  try {
    return text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    throw new Refusal(400, "The body is not JSON.");
  }
}

/**
 * Passes the backend's deprecation notice to Studio's client.
 * @param {Context} context
 * @returns {(notice: import("./backend.js").Notice) => void}
 */
function passedOn(context) {
  return ({ message, sunset }) => {
    context.header("deprecation", "true");
    // Characters that a header can't hold are replaced, because a notice must not fail the request.
    const words = message.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "'");
    context.header("warning", `299 - "${words}"`);
    if (sunset) context.header("sunset", sunset.replace(/[^\x20-\x7e]/g, "?"));
  };
}

/**
 * @param {Context} context
 * @param {Response} answer the backend's response
 */
function piped(context, answer) {
  const type = answer.headers.get("content-type") ?? "application/octet-stream";
  return context.newResponse(answer.body, 200, { "content-type": type });
}

/**
 * @param {string} cwd
 * @param {unknown} file
 * @returns {string | null}
 */
function checkedFile(cwd, file) {
  if (file === null) return null;
  if (typeof file !== "string" || file === "") throw new Refusal(400, "file must be a path.");
  const resolved = path.resolve(cwd, file);
  const real = fs.existsSync(resolved) ? fs.realpathSync(resolved) : resolved;
  const within = path.relative(fs.realpathSync(cwd), real);
  if (within.startsWith("..") || path.isAbsolute(within)) {
    throw new Refusal(400, `file: ${file} is outside of the project.`);
  }
  if (!fs.statSync(resolved, { throwIfNoEntry: false })?.isFile()) {
    throw new Refusal(400, `file: there is no ${file} in the project.`);
  }
  return resolved;
}

module.exports = { createApp };
