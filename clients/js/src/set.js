/** Sets: an element is there if any addition of it was not seen by those who removed it. */

import { ELEMENT } from './entry.js'
import { InvalidValueError } from './errors.js'
import { Declaration, ValueField } from './field.js'
import { canonical } from './msgpack.js'
import { pack } from './pack.js'

/** @typedef {import('./document.js').StateDocument} StateDocument */

/**
 * A set in which an addition wins over a concurrent removal. Elements are told apart by how they are stored, so that
 * equal objects are one element; iteration is in a fixed order and goes over what there was when it began.
 *
 * Source: the OR-set of M. Shapiro et al., "A comprehensive study of convergent and commutative replicated data
 * types" (2011); the Yjs item of an element's entry is its unique tag.
 *
 * @template T
 * @extends {ValueField<T>}
 */
export class SetField extends ValueField {
  static kind = /** @type {const} */ ('set')

  /**
   * @param {StateDocument} document
   * @param {string} name
   * @param {() => void} [touch]
   * @param {import('./field.js').FieldOptions<T>} [options]
   */
  constructor(document, name, touch = () => {}, options = {}) {
    super(document, name, touch, options)
    this.cells = document.index.cells(ELEMENT, name)
  }

  /** How many elements there are. */
  get size() {
    return this.validate === undefined ? this.cells.size : this.values().length
  }

  /** @param {T} element */
  has(element) {
    const key = this.keyOf(element)
    const [entry] = key === null ? [] : this.cells.at(key)
    return entry !== undefined && this.fits(entry)
  }

  /**
   * @param {T} element
   * @returns {string | null} null if it cannot be stored, and so cannot be there
   */
  keyOf(element) {
    try {
      return canonical(pack(element, this.document.limits.depth))
    } catch (error) {
      if (error instanceof InvalidValueError) return null
      throw error
    }
  }

  /**
   * Add an element; added again, it outlives removals that have not seen this addition.
   *
   * @param {T} element
   * @returns {this}
   * @throws {InvalidValueError} if it does not fit; nothing is written then
   */
  add(element) {
    this.check(element)
    this.document.addElement(this.name, element)
    return this
  }

  /**
   * Remove an element if it is there.
   *
   * @param {T} element
   * @returns {boolean} whether it was there
   */
  delete(element) {
    const key = this.keyOf(element)
    if (key === null || !this.cells.cells.has(key)) return false
    this.document.replace(this.cells, key, null)
    return true
  }

  /** Remove every element in one transaction. */
  clear() {
    this.document.clearCells(this.cells)
  }

  /** The elements, in a fixed order. @returns {T[]} */
  values() {
    /** @type {T[]} */
    const found = []
    for (const key of [...this.cells.cells.keys()].sort()) {
      const [entry] = this.cells.at(key)
      if (this.fits(entry)) found.push(/** @type {T} */ (entry.value))
    }
    return found
  }

  /** @param {(element: T, again: T, set: this) => void} call */
  forEach(call) {
    for (const element of this.values()) call(element, element, this)
  }

  [Symbol.iterator]() {
    return this.values()[Symbol.iterator]()
  }

  /** The elements, as an array, because JavaScript's sets compare objects by identity. */
  get value() {
    return this.values()
  }

  /**
   * Make the set hold these elements and no others, in one transaction.
   *
   * @param {Iterable<T>} elements
   */
  assign(elements) {
    const wanted = [...elements]
    this.document.transaction(() => {
      const keys = new Set(wanted.map(element => this.keyOf(element)))
      for (const key of [...this.cells.cells.keys()]) if (!keys.has(key)) this.drop(key)
      for (const element of wanted) if (!this.has(element)) this.add(element)
    })
  }

  /** @param {string} key */
  drop(key) {
    this.document.replace(this.cells, key, null)
  }

  toJSON() {
    return this.values()
  }
}

/**
 * A set that only grows.
 *
 * @template T
 * @extends {SetField<T>}
 */
export class GrowOnlySet extends SetField {
  /**
   * @param {T} _element
   * @returns {never}
   */
  delete(_element) {
    throw this.refusal()
  }

  /** @returns {never} */
  clear() {
    throw this.refusal()
  }

  /**
   * @param {string} _key
   * @returns {never}
   */
  drop(_key) {
    throw this.refusal()
  }

  refusal() {
    return new InvalidValueError('nothing is removed from a grow-only set', {
      subject: this.name,
      remedy: 'declare a set()'
    })
  }
}

/**
 * Declare a set.
 *
 * @template [T=any]
 * @param {import('./field.js').FieldOptions<T>} [options]
 * @returns {Declaration<SetField<T>>}
 */
export const set = (options = {}) =>
  new Declaration((document, name, touch) => new SetField(document, name, touch, options))

/**
 * Declare a set that only grows.
 *
 * @template [T=any]
 * @param {import('./field.js').FieldOptions<T>} [options]
 * @returns {Declaration<GrowOnlySet<T>>}
 */
export const gset = (options = {}) =>
  new Declaration((document, name, touch) => new GrowOnlySet(document, name, touch, options))
