/** A list: items in an order that anybody may change anywhere, each a register of its own. */

import { CellField } from './cellfield.js'
import { LISTED } from './entry.js'
import { InvalidValueError } from './errors.js'
import { checkIndex, Declaration } from './field.js'
import { canonical } from './msgpack.js'
import { pack } from './pack.js'

/**
 * A sequence that many insert into, move within and delete from at once. An item keeps its id for life, also when it
 * is written or moved, so that a write and a move made at once are both kept. An item that does not fit is read as it
 * is stored, and listed in `violations`.
 *
 * @template T
 * @extends {CellField<T>}
 */
export class List extends CellField {
  static kind = /** @type {const} */ ('list')

  /**
   * @param {import('./document.js').StateDocument} document
   * @param {string} name
   * @param {() => void} [touch]
   * @param {import('./field.js').CellOptions<T>} [options]
   */
  constructor(document, name, touch = () => {}, options = {}) {
    super(document, name, touch, options, LISTED)
    this.order = /** @type {import('./cells.js').Order} */ (this.cells.order)
  }

  /** The ids of the items, in order. @returns {readonly string[]} not to be changed */
  get ids() {
    return this.order.ids
  }

  get length() {
    return this.ids.length
  }

  /**
   * @param {number} index a negative one counts from the end
   * @returns {T | undefined} a new object at each read if it can be changed
   */
  at(index) {
    const id = this.ids.at(index)
    return id === undefined ? undefined : this.get(id)
  }

  /**
   * Read an item by its id, which stays the same for its life.
   *
   * @param {string} id
   * @returns {T | undefined}
   */
  get(id) {
    const read = this.read(id) ?? this.cells.at(id)[0]
    return /** @type {T | undefined} */ (read?.value)
  }

  /** All items, in order. @returns {T[]} */
  get value() {
    return this.ids.map(id => /** @type {T} */ (this.get(id)))
  }

  [Symbol.iterator]() {
    return this.value[Symbol.iterator]()
  }

  /**
   * Insert items before a position, in one transaction.
   *
   * @param {number} index from 0 to the length
   * @param {...T} values
   * @throws {InvalidValueError} if the position lies outside, or a value does not fit; nothing is written then
   */
  insert(index, ...values) {
    const { ids } = this
    checkIndex(index, ids.length, this.name)
    for (const value of values) this.check(value)
    let [left, right] = this.around(ids, index)
    this.document.transaction(() => {
      for (const value of values) left = this.document.insertItem(this.name, left, right, value)
    })
  }

  /**
   * Append items, in one transaction.
   *
   * @param {...T} values
   * @returns {number} how many there are
   * @throws {InvalidValueError} if one does not fit; nothing is written then
   */
  push(...values) {
    this.insert(this.length, ...values)
    return this.length
  }

  /**
   * Write the item at a position.
   *
   * @param {number} index
   * @param {T} value
   * @throws {InvalidValueError} if there is no such item, or the value does not fit; nothing is written then
   */
  set(index, value) {
    this.check(value)
    this.document.putItem(this.name, this.idAt(this.ids, index), value)
  }

  /**
   * Delete items from a position on, in one transaction.
   *
   * @param {number} index
   * @param {number} [count]
   * @throws {InvalidValueError} if they lie outside; nothing is written then
   */
  delete(index, count = 1) {
    const { ids } = this
    checkIndex(index, ids.length, this.name)
    checkIndex(count, ids.length - index, this.name)
    const gone = ids.slice(index, index + count)
    this.document.transaction(() => {
      for (const id of gone) this.document.removeItem(this.name, id)
    })
  }

  /** Delete every item in one transaction. */
  clear() {
    this.document.transaction(() => {
      for (const id of [...this.cells.cells.keys()]) this.document.removeItem(this.name, id)
    })
  }

  /**
   * Move an item to another position.
   *
   * @param {number} index
   * @param {number} to where it shall stand afterwards
   * @throws {InvalidValueError} if there is no such item or position
   */
  move(index, to) {
    const { ids } = this
    const id = this.idAt(ids, index)
    this.idAt(ids, to)
    // Where it stands afterwards, with itself still counted.
    const between = to > index ? to + 1 : to
    if (index !== to) this.document.moveItem(this.name, id, ...this.around(ids, between))
  }

  /**
   * @param {readonly string[]} ids
   * @param {number} index
   * @returns {string}
   */
  idAt(ids, index) {
    if (Number.isInteger(index) && index >= 0 && index < ids.length) return ids[index]
    throw new InvalidValueError(`item ${index} of ${ids.length}`, {
      subject: this.name,
      remedy: 'nothing was written'
    })
  }

  /**
   * Return the positions between which an index lies.
   *
   * @param {readonly string[]} ids
   * @param {number} index
   * @returns {[string | null, string | null]}
   */
  around(ids, index) {
    const left = index > 0 ? this.order.position(ids[index - 1]) : null
    return [left, index < ids.length ? this.order.position(ids[index]) : null]
  }

  /** @param {string} key */
  erase(key) {
    this.document.removeItem(this.name, key)
  }

  /**
   * Make the list hold these items and no others, in one transaction: what both begin and end with stays.
   *
   * @param {Iterable<T>} values
   */
  assign(values) {
    const wanted = [...values]
    const now = this.ids.map(id => this.formHere(id))
    const then = wanted.map(item => this.formOf(item))
    let start = 0
    while (start < now.length && start < then.length && now[start] === then[start]) start += 1
    let end = 0
    const most = Math.min(now.length, then.length) - start
    while (end < most && now.at(-1 - end) === then.at(-1 - end)) end += 1
    this.document.transaction(() => {
      const both = Math.min(now.length, then.length) - end
      for (let at = start; at < both; at++) if (now[at] !== then[at]) this.set(at, wanted[at])
      if (now.length > then.length) this.delete(both, now.length - then.length)
      else this.insert(both, ...wanted.slice(both, then.length - end))
    })
  }

  /**
   * @param {string} id
   * @returns {string}
   */
  formHere(id) {
    try {
      return this.formOf(/** @type {T} */ (this.get(id)))
    } catch {
      return canonical(this.cells.at(id)[0].packed) // another program's, which cannot be written here
    }
  }

  /** @param {T} item */
  formOf(item) {
    return canonical(pack(item, this.document.limits.depth))
  }

  toJSON() {
    return this.value
  }
}

/**
 * Declare a list.
 *
 * @template [T=any]
 * @param {import('./field.js').CellOptions<T>} [options]
 * @returns {Declaration<List<T>>}
 */
export const list = (options = {}) =>
  new Declaration((document, name, touch) => new List(document, name, touch, options))
