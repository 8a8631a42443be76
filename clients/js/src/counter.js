/** Counters: every writer session keeps its own totals, so that concurrent counts add up exactly. */

import { COUNTER } from './entry.js'
import { InvalidValueError } from './errors.js'
import { Declaration, Field } from './field.js'

/**
 * A whole number that many writers add to and subtract from at once, exactly.
 *
 * Source: the PN-counter of M. Shapiro et al., "A comprehensive study of convergent and commutative replicated data
 * types" (2011), with one entry of totals for each writer session.
 */
export class Counter extends Field {
  static kind = /** @type {const} */ ('counter')

  /**
   * @param {import('./document.js').StateDocument} document
   * @param {string} name
   * @param {() => void} [touch]
   */
  constructor(document, name, touch = () => {}) {
    super(document, name, touch)
    this.cells = document.index.cells(COUNTER, name)
  }

  /** The sum over all writers. @returns {number | bigint} a BigInt beyond 2^53 - 1 */
  get value() {
    return this.cells.total()
  }

  /**
   * Add a whole number; a negative one is subtracted.
   *
   * @param {number} [amount]
   * @throws {InvalidValueError} if it is not a whole number, or this session's total would pass 2^53 - 1
   */
  add(amount = 1) {
    if (!Number.isSafeInteger(amount)) {
      throw new InvalidValueError(`${String(amount)} is not a whole number`, {
        subject: this.name,
        remedy: 'count in the smallest unit, such as cents or milliseconds'
      })
    }
    if (amount !== 0) this.document.count(this.name, amount)
  }

  /**
   * Subtract a whole number.
   *
   * @param {number} [amount]
   * @throws {InvalidValueError} as `add` does
   */
  subtract(amount = 1) {
    this.add(-amount)
  }

  /**
   * Add or subtract what it takes to count this.
   *
   * @param {number | bigint} value
   */
  assign(value) {
    this.add(this.difference(value))
  }

  /**
   * @param {number | bigint} value
   * @returns {number}
   */
  difference(value) {
    return typeof value === 'bigint' || Number.isInteger(value)
      ? Number(BigInt(value) - BigInt(this.value))
      : NaN
  }

  toJSON() {
    return this.value
  }
}

/**
 * A counter that only grows: what another program subtracts under its name is not read.
 *
 * Source: the G-counter of M. Shapiro et al., "A comprehensive study of convergent and commutative replicated data
 * types" (2011).
 */
export class GrowOnlyCounter extends Counter {
  /**
   * @param {import('./document.js').StateDocument} document
   * @param {string} name
   * @param {() => void} [touch]
   */
  constructor(document, name, touch) {
    super(document, name, touch)
    this.cells.grows = true
  }

  /** @param {number} [amount] at least 0 */
  add(amount = 1) {
    if (amount < 0) {
      throw new InvalidValueError(`${amount} is negative`, {
        subject: this.name,
        remedy: 'a gcounter() only grows; declare a counter()'
      })
    }
    super.add(amount)
  }
}

/**
 * Declare a counter.
 *
 * @returns {Declaration<Counter>}
 */
export const counter = () => new Declaration((document, name, touch) => new Counter(document, name, touch))

/**
 * Declare a counter that only grows.
 *
 * @returns {Declaration<GrowOnlyCounter>}
 */
export const gcounter = () =>
  new Declaration((document, name, touch) => new GrowOnlyCounter(document, name, touch))
