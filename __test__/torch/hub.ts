// A Hub with one model, as far as arkor-local asks it.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { onTestFinished } from "vitest";

const COMMIT = "c".repeat(40);

/** Serves the files of a folder as a model of this name. Returns the address, for `HF_ENDPOINT`. */
export async function serveModel(name: string, folder: string): Promise<string> {
  const files = new Map(
    readdirSync(folder).map((file) => [file, readFileSync(path.join(folder, file))]),
  );
  const siblings = [...files].map(([rfilename, content]) => {
    const sha256 = createHash("sha256").update(content).digest("hex");
    const size = content.length;
    return { rfilename, size, blobId: "b".repeat(40), lfs: { sha256, size, pointerSize: 7 } };
  });
  const server = http.createServer(({ url = "" }, response) => {
    if (url.startsWith(`/api/models/${name}`)) {
      response.end(JSON.stringify({ id: name, sha: COMMIT, private: false, siblings }));
      return;
    }
    const file = url.startsWith(`/${name}/resolve/`) ? path.basename(url) : "";
    const content = files.get(file);
    response.statusCode = content ? 200 : 404;
    response.end(content ?? '{"error":"no"}');
  });
  server.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
