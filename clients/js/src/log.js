/** A log: items are only appended, and read in one order everywhere, until they are pruned. */

import { stampMs } from './clock.js'
import { InvalidValueError } from './errors.js'
import { Declaration, ValueField } from './field.js'
import { canonical } from './msgpack.js'
import { pack } from './pack.js'

/** @typedef {import('./entry.js').Entry} Entry */

/**
 * A sequence of items in the order of their hybrid clock stamps; what one agent appends stays in its order. An item
 * that was appended elsewhere at an earlier moment takes its place there when it arrives. An item that does not fit is
 * read as it is stored, and listed in `violations`.
 *
 * @template T
 * @extends {ValueField<T>}
 */
export class Log extends ValueField {
  static kind = /** @type {const} */ ('log')

  /**
   * @param {import('./document.js').StateDocument} document
   * @param {string} name
   * @param {() => void} [touch]
   * @param {import('./field.js').FieldOptions<T>} [options]
   */
  constructor(document, name, touch = () => {}, options = {}) {
    super(document, name, touch, options)
    this.items = document.index.items(name)
  }

  get length() {
    return this.items.size
  }

  /**
   * @param {number} index a negative one counts from the end
   * @returns {T | undefined}
   */
  at(index) {
    return /** @type {T | undefined} */ (this.items.list().at(index)?.value)
  }

  /** All items, in order. @returns {T[]} */
  get value() {
    return this.items.list().map(({ value }) => /** @type {T} */ (value))
  }

  [Symbol.iterator]() {
    return this.value[Symbol.iterator]()
  }

  /**
   * Append items, in one transaction.
   *
   * @param {...T} values
   * @returns {number} how many there are
   * @throws {InvalidValueError} if one does not fit; nothing is written then
   */
  push(...values) {
    for (const value of values) this.check(value)
    if (values.length === 1) this.document.appendItem(this.name, values[0])
    else this.document.transaction(() => values.forEach(value => this.document.appendItem(this.name, value)))
    return this.length
  }

  /**
   * Delete old items.
   *
   * @param {{ keep?: number, before?: Date | number }} which all but the newest `keep`; those appended before a
   *   moment (milliseconds since the Unix epoch if it is a number); with both, those that are both
   * @returns {number} how many went
   * @throws {InvalidValueError} if `keep` is negative or no whole number, or neither is given
   */
  prune({ keep, before }) {
    if (keep === undefined && before === undefined) throw this.refusal('neither keep nor before')
    if (keep !== undefined && !(Number.isInteger(keep) && keep >= 0)) throw this.refusal(`keep of ${keep}`)
    const moment = before === undefined ? Infinity : Number(before)
    if (Number.isNaN(moment)) throw this.refusal('a moment that is none')
    const items = this.items.list()
    const old = items
      .slice(0, Math.max(items.length - (keep ?? 0), 0))
      .filter(({ stamp }) => stampMs(stamp) < moment)
    this.document.pruneItems(old)
    return old.length
  }

  /** @param {string} what */
  refusal(what) {
    return new InvalidValueError(what, { subject: `prune of ${this.name}`, remedy: 'nothing was pruned' })
  }

  /**
   * Make these the items: those at the front that are gone are pruned, those at the end appended.
   *
   * @param {Iterable<T>} values
   * @throws {InvalidValueError} if that does not do, for a log is not rewritten; nothing is written then
   */
  assign(values) {
    const wanted = [...values]
    const forms = wanted.map(value => canonical(pack(value, this.document.limits.depth)))
    const held = this.items.list().map(({ packed }) => canonical(packed))
    let gone = 0
    while (gone < held.length && !held.slice(gone).every((form, at) => form === forms[at])) gone += 1
    const kept = held.length - gone
    if (held.length > 0 && wanted.length > 0 && kept === 0) {
      throw new InvalidValueError('items in the middle would change', {
        subject: this.name,
        remedy: 'a log is only appended to and pruned'
      })
    }
    this.document.transaction(() => {
      this.prune({ keep: kept })
      this.push(...wanted.slice(kept))
    })
  }

  toJSON() {
    return this.value
  }
}

/**
 * Declare a log.
 *
 * @template [T=any]
 * @param {import('./field.js').FieldOptions<T>} [options]
 * @returns {Declaration<Log<T>>}
 */
export const log = (options = {}) =>
  new Declaration((document, name, touch) => new Log(document, name, touch, options))
