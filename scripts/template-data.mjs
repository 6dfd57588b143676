// `node scripts/template-data.mjs`: writes the data of the templates of `arkor init`, and that of the
// example, which is based on one of them. Run it after changing a sentence in template-data/.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { redaction } from "./template-data/redaction.mjs";
import { translate } from "./template-data/translate.mjs";
import { triage } from "./template-data/triage.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/** @returns {Record<string, string>} the contents of the files, by path relative to the root */
export function templateData() {
  return Object.fromEntries(
    Object.entries({ triage, translate, redaction }).flatMap(([name, generate]) => {
      const { train, heldOut } = generate();
      const places = [`cli/templates/${name}`, ...(name === "triage" ? ["examples/triage"] : [])];
      return places.flatMap((place) => [
        [`${place}/data/${name}.jsonl`, train],
        [`${place}/data/${name}.heldout.jsonl`, heldOut],
      ]);
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(templateData())) {
    writeFileSync(path.join(ROOT, file), text);
  }
}
