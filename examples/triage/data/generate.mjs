// Writes triage.jsonl and triage.heldout.jsonl from the phrases in phrases.mjs. Seeded: the same
// phrases give the same files. Run it with `npm run data` after changing a phrase.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CLOSERS, OPENERS, SLOTS, TICKETS } from "./phrases.mjs";

const SEED = 20_251;
const TRAIN_PER_LABEL = 80;
const HELD_OUT_PER_LABEL = 12;
/** Phrases at the end of each list that only the held-out tickets use. */
const UNSEEN_PHRASES = 4;
const MAX_BYTES = 160;

/**
 * @param {number} seed
 * @returns {() => number} mulberry32: uniform in [0, 1)
 */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @returns {{ train: string, heldOut: string }} the contents of the two files */
export function generate() {
  const random = randomFrom(SEED);
  /** @template T @param {readonly T[]} list @returns {T} */
  const pick = (list) => /** @type {T} */ (list[Math.floor(random() * list.length)]);
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

  /** @param {(label: string, phrases: readonly string[]) => string[]} ticketsOf */
  const rows = (ticketsOf) => {
    const all = Object.entries(TICKETS).flatMap(([label, phrases]) =>
      ticketsOf(label, phrases).map((content) => ({
        messages: [
          { role: "user", content },
          { role: "assistant", content: label },
        ],
      })),
    );
    // Fisher-Yates, so that no batch holds one label only.
    for (let last = all.length - 1; last > 0; last -= 1) {
      const other = Math.floor(random() * (last + 1));
      [all[last], all[other]] = [all[other], all[last]];
    }
    return `${all.map((row) => JSON.stringify(row)).join("\n")}\n`;
  };

  const train = rows((_, phrases) =>
    Array.from({ length: TRAIN_PER_LABEL }, () => write(phrases.slice(0, -UNSEEN_PHRASES))),
  );
  const heldOut = rows((_, phrases) =>
    Array.from({ length: HELD_OUT_PER_LABEL }, (_, index) =>
      // Half of them from phrases that training never shows.
      write(index % 2 === 0 ? phrases.slice(-UNSEEN_PHRASES) : phrases.slice(0, -UNSEEN_PHRASES)),
    ),
  );
  return { train, heldOut };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { train, heldOut } = generate();
  writeFileSync(new URL("triage.jsonl", import.meta.url), train);
  writeFileSync(new URL("triage.heldout.jsonl", import.meta.url), heldOut);
}
