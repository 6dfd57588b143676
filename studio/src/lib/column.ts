/** Marks a missing value. A value that isn't finite is stored as NaN. */
export const ABSENT = Number.NEGATIVE_INFINITY;

/** The number of values that share one minimum and maximum, so that a query needn't scan a million values. */
const BLOCK = 64;

/** A growing column of numbers that keeps the minimum and maximum of each block. */
export class Column {
  values = new Float64Array(1024);
  length = 0;
  #least = new Float64Array(32);
  #most = new Float64Array(32);
  /** The indices of the values that aren't finite. */
  readonly broken: number[] = [];

  push(value: number): void {
    if (this.length === this.values.length) this.values = grown(this.values);
    const block = Math.floor(this.length / BLOCK);
    if (this.length % BLOCK === 0) {
      if (block === this.#least.length) {
        this.#least = grown(this.#least);
        this.#most = grown(this.#most);
      }
      this.#least[block] = Number.POSITIVE_INFINITY;
      this.#most[block] = Number.NEGATIVE_INFINITY;
    }
    if (Number.isNaN(value)) this.broken.push(this.length);
    else if (value !== ABSENT) {
      this.#least[block] = Math.min(this.#least[block] ?? value, value);
      this.#most[block] = Math.max(this.#most[block] ?? value, value);
    }
    this.values[this.length] = value;
    this.length += 1;
  }

  clear(): void {
    this.length = 0;
    this.broken.length = 0;
  }

  at(index: number): number {
    return this.values[index] ?? ABSENT;
  }

  /**
   * Writes the smallest and the largest value from `from` up to `to` (exclusive) to `out`.
   * @returns whether the range has any value
   */
  extremes(from: number, to: number, out: { least: number; most: number }): boolean {
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    let at = from;
    while (at < to) {
      if (at % BLOCK === 0 && at + BLOCK <= to) {
        const block = at / BLOCK;
        least = Math.min(least, this.#least[block] ?? least);
        most = Math.max(most, this.#most[block] ?? most);
        at += BLOCK;
      } else {
        const value = this.values[at] ?? ABSENT;
        // Any comparison with NaN is false.
        if (value !== ABSENT) {
          if (value < least) least = value;
          if (value > most) most = value;
        }
        at += 1;
      }
    }
    out.least = least;
    out.most = most;
    return least <= most;
  }
}

function grown(old: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const next = new Float64Array(old.length * 2);
  next.set(old);
  return next;
}

/** The first index whose value isn't below `wanted`, in a column that never falls. */
export function lowerBound(column: Column, wanted: number): number {
  let low = 0;
  let high = column.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (column.at(middle) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
