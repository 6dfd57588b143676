// The manifest that `arkor start` reads. It names the trainer.
import { createArkor } from "arkor";
import { trainer } from "./trainer.js";

export const arkor = createArkor({ trainer });
