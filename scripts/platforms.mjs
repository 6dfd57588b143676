// `npm run platforms`: writes the manifests in npm/ and local/npm/ again, after a change of the version, the
// description or the targets in package.json.
import { writePlatforms } from "./pack/platforms.mjs";
import { root } from "./steps.mjs";

writePlatforms(root);
