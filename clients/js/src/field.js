/** What the typed fields of a state have in common. */

import { shownKey } from './changes.js'
import { InvalidValueError } from './errors.js'
import { decode } from './msgpack.js'
import { pack } from './pack.js'

/** @typedef {import('./cells.js').Kind} Kind */
/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./changes.js').Change} Change */
/** @typedef {import('./document.js').StateDocument} StateDocument */
/** @typedef {import('./document.js').Conflict} Conflict */
/** @typedef {import('./resolution.js').Strategy} Strategy */

/**
 * Tells whether a value fits a field: true, or false, or what does not fit. It gets values as they are read, and so
 * whatever anybody stored.
 *
 * @template T
 * @typedef {((value: any) => value is T) | ((value: any) => boolean | string)} Validator
 */

/**
 * @template T
 * @typedef {object} FieldOptions
 * @property {Validator<T>} [validate] which values fit; without it all that can be stored do
 */

/**
 * @template T
 * @typedef {FieldOptions<T> & { onConflict?: Strategy }} CellOptions onConflict decides what is read while rivals are
 *   live, by them alone and so the same on every replica
 */

/**
 * A stored value that does not fit its field, and who wrote it.
 *
 * @typedef {object} Violation
 * @property {string} field the field's path
 * @property {unknown} key the map's key, the set's element or the list item's id; null for the other kinds
 * @property {unknown} value
 * @property {string} author "" if unknown
 * @property {string} problem what does not fit
 */

/** A typed field of a document. */
export class Field {
  /** The name of the type, as it stands in changes. @type {Change['kind']} */
  static kind

  /**
   * @param {StateDocument} document
   * @param {string} name its path
   * @param {() => void} touch to be called inside a transaction that edits what would not show that a row is there
   */
  constructor(document, name, touch) {
    this.document = document
    this.name = name
    this.touch = touch
  }

  /** @returns {Change['kind']} */
  get kind() {
    return /** @type {typeof Field} */ (this.constructor).kind
  }

  /**
   * Listen to this field's changes: all those of one transaction at once.
   *
   * @param {(changes: Change[]) => void} listener
   * @returns {() => void} stops listening
   */
  observe(listener) {
    return this.document.observe(changes => {
      const own = changes.filter(({ kind, field }) => field === this.name && kind === this.kind)
      if (own.length > 0) listener(own)
    })
  }

  /** List the cells of this field that are in conflict. @returns {Conflict[]} */
  conflicts() {
    return []
  }

  /** List the stored values that do not fit this field. @returns {Violation[]} */
  violations() {
    return []
  }

  /**
   * List what lies under this field's path, but is of another kind: another program's idea of the field.
   *
   * @returns {Violation[]}
   */
  strangers() {
    return this.document.entriesAt(this.name).flatMap(({ kind, entries }) => {
      if (kind === this.kind) return []
      const problem = `stored as a ${kind} under this name`
      return entries.map(entry => this.violation(entry, shownKey(entry), problem))
    })
  }

  /**
   * @param {Entry} entry
   * @param {unknown} key
   * @param {string} problem
   * @returns {Violation}
   */
  violation({ value, client }, key, problem) {
    return { field: this.name, key, value, author: this.document.authorOf(client) ?? '', problem }
  }
}

/**
 * A field with values, which fit or do not.
 *
 * @template T
 */
export class ValueField extends Field {
  /**
   * @param {StateDocument} document
   * @param {string} name
   * @param {() => void} touch
   * @param {FieldOptions<T>} options
   */
  constructor(document, name, touch, { validate } = {}) {
    super(document, name, touch)
    this.validate = /** @type {((value: unknown) => boolean | string) | undefined} */ (validate)
    this.fits = this.fits.bind(this)
  }

  /**
   * Return what does not fit about a value.
   *
   * @param {unknown} value
   * @returns {string | null} null if it fits
   */
  problem(value) {
    if (this.validate === undefined) return null
    try {
      const verdict = this.validate(value)
      return verdict === true ? null : verdict === false ? 'it does not fit the field' : String(verdict)
    } catch (error) {
      // The user's own validators meet what anybody stored, and may throw anything.
      return String(error)
    }
  }

  /** @param {Entry} entry */
  fits(entry) {
    return this.validate === undefined || this.problem(entry.value) === null
  }

  /**
   * Return a value as whoever reads it will get it.
   *
   * @param {unknown} value
   * @returns {unknown}
   */
  asStored(value) {
    const isScalar = value === null || ['string', 'number', 'boolean', 'undefined'].includes(typeof value)
    return isScalar ? value : decode(pack(value, this.document.limits.depth, this.name))
  }

  /**
   * @param {T} value
   * @throws {InvalidValueError} if the value does not fit
   */
  check(value) {
    if (this.validate === undefined) return
    const problem = this.problem(this.asStored(value))
    if (problem === null) return
    throw new InvalidValueError(problem, { subject: this.name, remedy: 'nothing was written' })
  }

  violations() {
    const found = this.strangers()
    for (const { kind, entries } of this.document.entriesAt(this.name)) {
      if (kind !== this.kind) continue
      for (const entry of entries) {
        const problem = this.problem(entry.value)
        if (problem !== null) found.push(this.violation(entry, shownKey(entry), problem))
      }
    }
    return found
  }
}

/**
 * A field as it stands in a schema: what becomes a field when the schema is bound to a document.
 *
 * @template F
 */
export class Declaration {
  /**
   * @param {(document: StateDocument, name: string, touch?: () => void) => F} make
   */
  constructor(make) {
    this.make = make
  }

  /**
   * Return the field of a document.
   *
   * @param {StateDocument} document
   * @param {string} name its path
   * @param {() => void} [touch] to be called in transactions that edit what would not show that a row is there
   * @returns {F}
   */
  bind(document, name, touch) {
    return this.make(document, name, touch)
  }
}

/**
 * @param {unknown} value
 * @param {string} subject
 * @returns {asserts value is string}
 */
export function assertKey(value, subject) {
  if (typeof value === 'string') return
  throw new InvalidValueError(`${String(value)} is not a string`, { subject: `key of ${subject}` })
}

/**
 * @param {number} index
 * @param {number} length
 * @param {string} subject
 */
export const checkIndex = (index, length, subject) => {
  if (Number.isInteger(index) && index >= 0 && index <= length) return
  throw new InvalidValueError(`position ${index} of ${length}`, { subject, remedy: 'nothing was written' })
}
