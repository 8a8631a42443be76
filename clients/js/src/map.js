/** A map: a register for every key. */

import { CellField } from './cellfield.js'
import { CELL } from './entry.js'
import { assertKey, Declaration } from './field.js'

/**
 * A mapping from strings to values, each key merging on its own; a write concurrent with a deletion survives.
 * Iteration is in the order of the keys and goes over what there was when it began.
 *
 * @template T
 * @extends {CellField<T>}
 */
export class MapField extends CellField {
  static kind = /** @type {const} */ ('map')

  /**
   * @param {import('./document.js').StateDocument} document
   * @param {string} name
   * @param {() => void} [touch]
   * @param {import('./field.js').CellOptions<T>} [options]
   */
  constructor(document, name, touch = () => {}, options = {}) {
    super(document, name, touch, options, CELL)
  }

  /** How many keys there are. */
  get size() {
    if (this.validate === undefined && this.onConflict === undefined) return this.cells.size
    return this.entries().length
  }

  /**
   * @param {string} key
   * @returns {T | undefined} a new object at each read if it can be changed
   */
  get(key) {
    return /** @type {T | undefined} */ (this.read(key)?.value)
  }

  /** @param {string} key */
  has(key) {
    return this.read(key) !== null
  }

  /**
   * Write a key.
   *
   * @param {string} key
   * @param {T} value
   * @returns {this}
   * @throws {import('./errors.js').InvalidValueError} if the value does not fit; nothing is written then
   */
  set(key, value) {
    assertKey(key, this.name)
    this.check(value)
    this.document.setCell(this.name, key, value)
    return this
  }

  /**
   * Delete a key; a concurrent write survives.
   *
   * @param {string} key
   * @returns {boolean} whether it was there
   */
  delete(key) {
    const was = this.cells.cells.has(key)
    this.document.deleteCell(this.name, key)
    return was
  }

  /** Delete every key in one transaction. */
  clear() {
    this.document.clearCells(this.cells)
  }

  /** All keys and values by key. @returns {Array<[string, T]>} */
  entries() {
    /** @type {Array<[string, T]>} */
    const found = []
    for (const key of [...this.cells.cells.keys()].sort()) {
      const read = this.read(key)
      if (read !== null) found.push([key, /** @type {T} */ (read.value)])
    }
    return found
  }

  keys() {
    return this.entries().map(([key]) => key)
  }

  values() {
    return this.entries().map(([, value]) => value)
  }

  /** @param {(value: T, key: string, map: this) => void} call */
  forEach(call) {
    for (const [key, value] of this.entries()) call(value, key, this)
  }

  [Symbol.iterator]() {
    return this.entries()[Symbol.iterator]()
  }

  /** All keys and values, as a Map. */
  get value() {
    return new Map(this.entries())
  }

  /**
   * Make the map hold these keys and values and no others, in one transaction.
   *
   * @param {Map<string, T> | Record<string, T>} value
   */
  assign(value) {
    const wanted = value instanceof Map ? value : new Map(Object.entries(value))
    this.document.transaction(() => {
      for (const key of [...this.cells.cells.keys()]) if (!wanted.has(key)) this.delete(key)
      for (const [key, item] of wanted) this.set(key, item)
    })
  }

  toJSON() {
    return Object.fromEntries(this.entries())
  }
}

/**
 * Declare a map.
 *
 * @template [T=any]
 * @param {import('./field.js').CellOptions<T>} [options]
 * @returns {Declaration<MapField<T>>}
 */
export const map = (options = {}) =>
  new Declaration((document, name, touch) => new MapField(document, name, touch, options))
