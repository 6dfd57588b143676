// Seeded choices: the same seed gives the same data.

/** @param {number} seed */
export function randomFrom(seed) {
  let state = seed >>> 0;
  /** Mulberry32, uniform in [0, 1). */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  /** @param {number} count */
  const below = (count) => Math.floor(next() * count);
  return {
    below,
    /** @template T @param {readonly T[]} list @returns {T} */
    pick: (list) => /** @type {T} */ (list[below(list.length)]),
    /** @template T @param {readonly T[]} list @returns {T[]} a copy, by Fisher and Yates */
    shuffled(list) {
      const all = [...list];
      for (let last = all.length - 1; last > 0; last -= 1) {
        const other = below(last + 1);
        [all[last], all[other]] = [/** @type {T} */ (all[other]), /** @type {T} */ (all[last])];
      }
      return all;
    },
  };
}
