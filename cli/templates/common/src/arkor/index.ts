// What `arkor start` runs: the manifest names the trainer.
import { createArkor } from "arkor";
import { trainer } from "./trainer.js";

export const arkor = createArkor({ trainer });
