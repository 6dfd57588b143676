// Support tickets and the team that each belongs to, made from the phrases in triage-phrases.mjs.
import { randomFrom } from "./random.mjs";
import { toJsonLines } from "./rows.mjs";
import { CLOSERS, OPENERS, SLOTS, TICKETS } from "./triage-phrases.mjs";

const SEED = 20_251;
const TRAIN_PER_LABEL = 80;
const HELD_OUT_PER_LABEL = 12;
/** How many phrases at the end of each list are for the held-out tickets only. */
const UNSEEN_PHRASES = 4;
const MAX_BYTES = 160;

/** @returns {import("./rows.mjs").Data} */
export function triage() {
  const { pick, shuffled } = randomFrom(SEED);
  /** @type {Set<string>} */
  const used = new Set();

  /** @param {readonly string[]} phrases */
  const write = (phrases) => {
    for (;;) {
      const body = pick(phrases).replace(/\{(\w+)\}/g, (_, slot) => pick(SLOTS[slot] ?? []));
      const closer = pick(CLOSERS);
      const sentence = closer === "" || /[.!?]$/.test(body) ? body : `${body}.`;
      const text = [pick(OPENERS), sentence, closer].filter(Boolean).join(" ");
      if (used.has(text) || Buffer.byteLength(text) > MAX_BYTES) continue;
      used.add(text);
      return text;
    }
  };

  /** @param {(phrases: readonly string[]) => string[]} ticketsOf */
  const rows = (ticketsOf) =>
    // Shuffled, so that no batch has only one label.
    shuffled(
      Object.entries(TICKETS).flatMap(([answer, phrases]) =>
        ticketsOf(phrases).map((question) => ({ question, answer })),
      ),
    );

  const train = rows((phrases) =>
    Array.from({ length: TRAIN_PER_LABEL }, () => write(phrases.slice(0, -UNSEEN_PHRASES))),
  );
  const heldOut = rows((phrases) =>
    Array.from({ length: HELD_OUT_PER_LABEL }, (_, index) =>
      // Half of them use phrases that don't occur in training.
      write(index % 2 === 0 ? phrases.slice(-UNSEEN_PHRASES) : phrases.slice(0, -UNSEEN_PHRASES)),
    ),
  );
  return { train: toJsonLines(train), heldOut: toJsonLines(heldOut) };
}
