// Appointments in English and German. Every word of a held-out sentence occurs in training, but never
// in that combination. Written for arkor and in the public domain (CC0 1.0).
import { randomFrom } from "./random.mjs";
import { toJsonLines } from "./rows.mjs";

const SEED = 7;
const TRAIN = 600;
const HELD_OUT = 50;

/** @typedef {readonly [english: string, german: string]} Pair */

/** @type {Pair[]} */
const DAYS = [
  ["Monday", "Montag"],
  ["Tuesday", "Dienstag"],
  ["Wednesday", "Mittwoch"],
  ["Thursday", "Donnerstag"],
  ["Friday", "Freitag"],
  ["Saturday", "Samstag"],
  ["Sunday", "Sonntag"],
];

/** @type {Pair[]} Without one, which is "ein" in "ein Uhr" and "eins" in "halb eins". */
const HOURS = [
  ["two", "zwei"],
  ["three", "drei"],
  ["four", "vier"],
  ["five", "fünf"],
  ["six", "sechs"],
  ["seven", "sieben"],
  ["eight", "acht"],
  ["nine", "neun"],
  ["ten", "zehn"],
];

/** @type {Pair[]} German counts the half hours towards the next hour. */
const TIMES = HOURS.flatMap(([english, german], index) => {
  /** @type {Pair[]} */
  const times = [[`${english} o'clock`, `${german} Uhr`]];
  const next = HOURS[index + 1];
  if (next) times.push([`half past ${english}`, `halb ${next[1]}`]);
  return times;
});

/** @type {Pair[]} */
const EVENTS = [
  ["The meeting", "Das Treffen"],
  ["The concert", "Das Konzert"],
  ["The course", "Der Kurs"],
  ["The party", "Die Feier"],
  ["The exam", "Die Prüfung"],
  ["The film", "Der Film"],
];

/** @type {Pair[]} */
const CITIES = [
  ["Lisbon", "Lissabon"],
  ["Munich", "München"],
  ["Vienna", "Wien"],
  ["Zurich", "Zürich"],
  ["Berlin", "Berlin"],
  ["Hamburg", "Hamburg"],
];

/** @type {Record<string, Pair[]>} */
const SLOTS = { day: DAYS, time: TIMES, event: EVENTS, city: CITIES };

/** @type {Pair[]} */
const SENTENCES = [
  ["{event} is on {day} at {time}.", "{event} ist am {day} um {time}."],
  ["{event} begins on {day} at {time}.", "{event} beginnt am {day} um {time}."],
  ["Shall we meet on {day} at {time}?", "Treffen wir uns am {day} um {time}?"],
  ["The train to {city} leaves at {time}.", "Der Zug nach {city} fährt um {time}."],
  ["I am going to {city} on {day}.", "Ich fahre am {day} nach {city}."],
];

/** @returns {import("./rows.mjs").Data} */
export function translate() {
  const { pick } = randomFrom(SEED);
  /** @type {Map<string, string>} */
  const all = new Map();
  while (all.size < TRAIN + HELD_OUT) {
    const [english, german] = pick(SENTENCES);
    const chosen = Object.fromEntries(
      Object.entries(SLOTS).map(([slot, pairs]) => [slot, pick(pairs)]),
    );
    const filled = (/** @type {string} */ text, /** @type {0 | 1} */ language) =>
      text.replace(/\{(\w+)\}/g, (_, slot) => chosen[slot]?.[language] ?? "");
    all.set(filled(english, 0), filled(german, 1));
  }
  const rows = [...all].map(([question, answer]) => ({ question, answer }));
  return { train: toJsonLines(rows.slice(0, TRAIN)), heldOut: toJsonLines(rows.slice(TRAIN)) };
}
