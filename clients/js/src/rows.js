/** Rows: a map whose values are states of their own, the fields of each merging one by one. */

import { ELEMENT } from './entry.js'
import { assertKey, Declaration, Field } from './field.js'
import { canonical } from './msgpack.js'
import { pack } from './pack.js'
import { child, unescape } from './path.js'

/** @typedef {import('./changes.js').Change} Change */
/** @typedef {import('./document.js').StateDocument} StateDocument */
/** @typedef {import('./state.js').State} State */

/**
 * What rows ask of their schema.
 *
 * @template R
 * @typedef {{ bind: (document: StateDocument, path: string, touch: () => void) => R }} RowSchema
 */

/**
 * A mapping from strings to states. A row that was read is live: an edit of its fields is an edit of the document. A
 * deletion takes what it has seen, so that a row survives with what was written to it meanwhile. Iteration is in the
 * order of the keys.
 *
 * @template {State} R
 */
export class Rows extends Field {
  static kind = /** @type {const} */ ('set')

  /**
   * @param {StateDocument} document
   * @param {string} name
   * @param {RowSchema<R>} schema
   */
  constructor(document, name, schema) {
    super(document, name, () => {})
    this.schema = schema
    this.cells = document.index.cells(ELEMENT, name)
    this.branch = document.index.root.at(name)
    /** Those that were read. @type {Map<string, R>} */
    this.known = new Map()
  }

  get size() {
    return this.keys().length
  }

  /** @param {string} key */
  has(key) {
    return this.isMarked(key) || (this.branch.children.get(key)?.live ?? 0) > 0
  }

  /** @param {string} key */
  isMarked(key) {
    try {
      return this.cells.cells.has(canonical(pack(key)))
    } catch {
      return false // what cannot be stored is no row's key
    }
  }

  /**
   * Return a row.
   *
   * @param {string} key
   * @returns {R | undefined}
   */
  get(key) {
    if (this.has(key)) return this.row(key)
    this.known.delete(key)
    return undefined
  }

  /**
   * Return a row, whether it is there or not.
   *
   * @param {string} key
   * @returns {R}
   */
  row(key) {
    let row = this.known.get(key)
    if (row === undefined) {
      const touch = () => this.document.addElement(this.name, key)
      row = this.schema.bind(this.document, child(this.name, key), touch)
      this.known.set(key, row)
    }
    return row
  }

  /**
   * Write a row, in one transaction: fields that are not named are cleared.
   *
   * @param {string} key
   * @param {Record<string, any>} values by field
   * @returns {this}
   * @throws {import('./errors.js').InvalidValueError} if a value does not fit; nothing is written then
   */
  set(key, values) {
    assertKey(key, this.name)
    this.document.transaction(() => {
      this.document.addElement(this.name, key)
      const row = this.row(key)
      row.clear(name => !Object.hasOwn(values, name))
      row.assign(values)
    })
    return this
  }

  /**
   * Delete a row with everything under its path.
   *
   * @param {string} key
   * @returns {boolean} whether it was there
   */
  delete(key) {
    if (!this.has(key)) return false
    this.document.transaction(() => {
      this.document.discardElement(this.name, key)
      const below = this.branch.children.get(key)
      if (below !== undefined) this.document.deleteBranch(below)
    })
    this.known.delete(key)
    return true
  }

  /** Delete every row in one transaction. */
  clear() {
    this.document.transaction(() => {
      for (const key of this.keys()) this.delete(key)
    })
  }

  /** The rows' keys, in order. @returns {string[]} */
  keys() {
    /** @type {Set<string>} */
    const keys = new Set()
    for (const [{ value }] of this.cells.cells.values()) if (typeof value === 'string') keys.add(value)
    for (const [key, { live }] of this.branch.children) if (live > 0) keys.add(key)
    return [...keys].sort()
  }

  /** @returns {R[]} */
  values() {
    return this.keys().map(key => this.row(key))
  }

  /** @returns {Array<[string, R]>} */
  entries() {
    return this.keys().map(key => [key, this.row(key)])
  }

  /** @param {(row: R, key: string, rows: this) => void} call */
  forEach(call) {
    for (const [key, row] of this.entries()) call(row, key, this)
  }

  [Symbol.iterator]() {
    return this.entries()[Symbol.iterator]()
  }

  /** All keys with their rows as plain objects. */
  get value() {
    return new Map(this.entries().map(([key, row]) => [key, row.toJSON()]))
  }

  /**
   * Make these the rows and no others, in one transaction.
   *
   * @param {Map<string, Record<string, any>> | Record<string, Record<string, any>>} rows
   */
  assign(rows) {
    const wanted = rows instanceof Map ? rows : new Map(Object.entries(rows))
    this.document.transaction(() => {
      for (const key of this.keys()) if (!wanted.has(key)) this.delete(key)
      for (const [key, values] of wanted) this.set(key, values)
    })
  }

  /**
   * Listen to which rows there are, and to the changes of their fields.
   *
   * @param {(changes: Change[]) => void} listener
   * @returns {() => void} stops listening
   */
  observe(listener) {
    return this.document.observe(changes => {
      const own = changes.filter(({ field }) => field === this.name || field.startsWith(`${this.name}/`))
      if (own.length > 0) listener(own)
    })
  }

  conflicts() {
    return this.values().flatMap(row => row.conflicts())
  }

  violations() {
    return [...this.strangers(), ...this.values().flatMap(row => row.violations())]
  }

  /**
   * Settle the conflicts of all rows, in one transaction.
   *
   * @param {import('./resolution.js').Strategy} [strategy]
   * @returns {import('./document.js').Conflict[]} as they were
   */
  resolve(strategy) {
    return this.document.transaction(() => this.values().flatMap(row => row.resolve(strategy)))
  }

  /**
   * Return the field of a path.
   *
   * @param {string} path from the root of the document
   * @returns {any} undefined if the schema declares none
   */
  fieldAt(path) {
    const [key] = path.slice(this.name.length + 1).split('/')
    return this.row(unescape(key)).fieldAt(path)
  }

  toJSON() {
    return Object.fromEntries(this.entries().map(([key, row]) => [key, row.toJSON()]))
  }
}

/**
 * Declare rows: a map whose values are states of a schema.
 *
 * @template {State} R
 * @param {RowSchema<R>} schema
 * @returns {Declaration<Rows<R>>}
 */
export const rows = schema => new Declaration((document, name) => new Rows(document, name, schema))
