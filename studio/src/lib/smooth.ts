import { ABSENT, Column } from "./column.ts";

/**
 * An exponential moving average of a column. It corrects the bias of the first values towards zero, like
 * TensorBoard, and is extended as the column grows.
 */
export class Smoothed {
  readonly column = new Column();
  #weight: number;
  #average = 0;
  #count = 0;

  constructor(
    readonly source: Column,
    weight: number,
  ) {
    this.#weight = weight;
  }

  set weight(weight: number) {
    if (weight === this.#weight) return;
    this.#weight = weight;
    this.#average = 0;
    this.#count = 0;
    this.column.clear();
  }

  /** Adds the values that have arrived since the last call. */
  update(): Column {
    const { source, column } = this;
    if (source.length < column.length) {
      this.#average = 0;
      this.#count = 0;
      column.clear();
    }
    const weight = this.#weight;
    for (let at = column.length; at < source.length; at++) {
      const value = source.at(at);
      if (value === ABSENT || Number.isNaN(value)) {
        column.push(value);
        continue;
      }
      this.#count += 1;
      this.#average = this.#average * weight + (1 - weight) * value;
      column.push(this.#average / (1 - weight ** this.#count));
    }
    return column;
  }
}
