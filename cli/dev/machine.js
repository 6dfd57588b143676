// The routes that exist only for local runs: hardware information, the dataset preview, and deleting a job.

const { System } = require("./system.js");

/** @typedef {Pick<import("./app.js").Parts, "backend" | "manifests">} MachineParts */

/**
 * @param {import("hono").Hono} app
 * @param {MachineParts} parts
 */
function addMachine(app, { backend, manifests }) {
  const system = new System();
  app.get("/api/system", async (context) => {
    const { engine } = await backend.askLocal("GET", "/v1/me");
    return context.json(await system.info(engine));
  });
  app.get("/api/dataset", async (context) => {
    backend.checkLocal();
    const manifest = await manifests.current();
    if (!manifest.trainer) return context.json(manifest, 400);
    const { config } = manifest.trainer;
    const page = { offset: numberIn(context, "offset"), limit: numberIn(context, "limit") };
    const { signal } = context.req.raw;
    const body = { config, ...page };
    return context.json(await backend.askLocal("POST", "/v1/dataset/preview", { body, signal }));
  });
  app.delete("/api/jobs/:id", async (context) => {
    const id = context.req.param("id");
    await backend.askLocal("DELETE", `/v1/jobs/${encodeURIComponent(id)}`);
    return context.body(null, 204);
  });
}

/**
 * @param {import("hono").Context} context
 * @param {string} name
 * @returns {number | string | undefined} text that isn't a number is returned unchanged, so that the backend
 *   reports the error
 */
function numberIn(context, name) {
  const text = context.req.query(name);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
}

module.exports = { addMachine };
