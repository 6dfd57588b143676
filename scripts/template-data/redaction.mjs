// Messages, and the same messages without personal data. The held-out ones use names, streets and pairs of
// sentences that don't occur in training. Written for arkor and in the public domain (CC0 1.0); all persons
// are fictitious.
import { randomFrom } from "./random.mjs";
import { toJsonLines } from "./rows.mjs";

const SEED = 11;
const TRAIN = 500;
const HELD_OUT = 50;
/** How many entries at the end of each list are for the held-out messages only. */
const UNSEEN_NAMES = 8;
const UNSEEN_STREETS = 4;

const words = (/** @type {string} */ text) => text.split(" ");

const FIRST_NAMES = words(
  "Anna Emil Diego Jonas Maria Sofia Lena Omar Priya Yuki Carlos Elena Felix Grace Hana Ivan Julia " +
    "Karim Laura Marco Nadia Oscar Paula Quinn Rosa Simon Tara Viktor Wanda Zoe Ben Clara Daniel Eva " +
    "Finn Greta Hugo Iris Jack Kate",
);

const LAST_NAMES = words(
  "Keller Moreau Weber Lindqvist Rossi Tanaka Novak Silva Brown Fischer Haddad Jensen Kowalski Larsen " +
    "Meyer Nguyen Okafor Patel Quist Romano Santos Taylor Ueda Vargas Walker Young Ziegler Adams Baker " +
    "Costa Dubois Evans",
);

const STREETS = [
  ...["Mill Road", "Park Lane", "High Street", "Station Road", "Church Street", "River Walk"],
  ...["Garden Lane", "King Street", "Lake View", "Hill Road", "Oak Street", "School Lane"],
  ...["Bridge Road", "Forest Lane", "Market Street", "Castle View"],
];

const DOMAINS = ["example.com", "example.org", "example.net", "mail.example"];

const SENTENCES = [
  "My name is {NAME}.",
  "You can call me at {PHONE}.",
  "Please write to {EMAIL}.",
  "I live at {ADDRESS}.",
  "Send the parcel to {ADDRESS}.",
  "My doctor is {NAME}.",
  "The invoice goes to {EMAIL}.",
  "{NAME} paid the bill.",
  "{NAME} lives at {ADDRESS}.",
  "Ask {NAME} for the key.",
  "Our new address is {ADDRESS}.",
  "My old number was {PHONE}.",
  "Forward this to {EMAIL}.",
  "The account of {EMAIL} is locked.",
  "Text {NAME} at {PHONE}.",
  "Nobody answers at {PHONE}.",
  "Please remove {EMAIL} from the list.",
  "The taxi waits at {ADDRESS}.",
  "The app is slow today.",
  "I want my money back.",
  "Thank you for your help.",
];

/** @returns {import("./rows.mjs").Data} */
export function redaction() {
  const { below, pick, shuffled } = randomFrom(SEED);
  const digits = (/** @type {number} */ count) =>
    Array.from({ length: count }, () => below(10)).join("");
  /** @type {<T>(list: readonly T[], unseen: number, heldOut: boolean) => T} */
  const pickFrom = (list, unseen, heldOut) =>
    pick(heldOut ? list.slice(-unseen) : list.slice(0, -unseen));

  /**
   * @param {string} kind
   * @param {boolean} heldOut
   */
  const valueFor = (kind, heldOut) => {
    const first = pickFrom(FIRST_NAMES, UNSEEN_NAMES, heldOut);
    const last = pickFrom(LAST_NAMES, UNSEEN_NAMES, heldOut);
    if (kind === "NAME") return `${first} ${last}`;
    if (kind === "PHONE") return `0${digits(2)} 555${digits(4)}`;
    if (kind === "ADDRESS") return `${1 + below(98)} ${pickFrom(STREETS, UNSEEN_STREETS, heldOut)}`;
    const before = pick([`${first}.${last}`, `${first}${digits(2)}`, `${first[0]}.${last}`]);
    return `${before.toLowerCase()}@${pick(DOMAINS)}`;
  };

  /** @type {(answer: string, heldOut: boolean) => import("./rows.mjs").Row} */
  const row = (answer, heldOut) => ({
    question: answer.replace(/\{(\w+)\}/g, (_, kind) => valueFor(kind, heldOut)),
    answer,
  });

  const pairs = shuffled(
    SENTENCES.flatMap((one) =>
      SENTENCES.filter((other) => other !== one).map((other) => `${one} ${other}`),
    ),
  );
  const seen = [...SENTENCES, ...pairs.slice(HELD_OUT)];
  const train = shuffled(Array.from({ length: TRAIN }, (_, index) => seen[index % seen.length]));
  return {
    train: toJsonLines(train.map((answer) => row(answer ?? "", false))),
    heldOut: toJsonLines(pairs.slice(0, HELD_OUT).map((answer) => row(answer, true))),
  };
}
