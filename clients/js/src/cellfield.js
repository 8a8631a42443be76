/** Fields whose values lie in cells, and can be in conflict. */

import { distinct } from './disputes.js'
import { ValueField } from './field.js'
import { Packed } from './pack.js'
import { lastWriter, Manual } from './resolution.js'
import { openTicket } from './tickets.js'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./document.js').StateDocument} StateDocument */
/** @typedef {import('./document.js').Conflict} Conflict */
/** @typedef {import('./resolution.js').Strategy} Strategy */

/**
 * @template T
 * @typedef {import('./field.js').CellOptions<T>} CellOptions
 */

/**
 * A field whose values lie in cells, of which each is read by its first entry that fits.
 *
 * @template T
 * @extends {ValueField<T>}
 */
export class CellField extends ValueField {
  /**
   * @param {StateDocument} document
   * @param {string} name
   * @param {() => void} touch
   * @param {CellOptions<T>} options
   * @param {number} code
   */
  constructor(document, name, touch, options, code) {
    super(document, name, touch, options)
    this.cells = document.index.cells(code, name)
    this.onConflict = options.onConflict
    if (this.validate !== undefined || this.onConflict !== undefined) {
      this.cells.reader = { fits: this.fits, pick: entries => this.pick(entries)?.value }
    }
    if (this.onConflict instanceof Manual) document.watchDisputes(this.cells, this.onConflict.note)
  }

  /**
   * Return what is read of some entries of one cell.
   *
   * @param {readonly Entry[]} entries
   * @returns {{ value: unknown } | null} null if none of them fits
   */
  pick(entries) {
    const fitting = this.validate === undefined ? entries : entries.filter(this.fits)
    if (fitting.length === 0) return null
    return fitting.length === 1 || this.onConflict === undefined ? fitting[0] : this.decide(fitting)
  }

  /**
   * @param {readonly Entry[]} entries
   * @returns {{ value: unknown }}
   */
  decide(entries) {
    const kept = distinct(entries)
    if (kept.length < 2) return kept[0]
    try {
      const value = this.policy().decide(this.asConflict(kept))
      return value === undefined ? kept[0] : { value }
    } catch {
      return kept[0] // as a validator, it meets what anybody stored, and may throw anything
    }
  }

  /** @returns {Strategy} */
  policy() {
    return /** @type {Strategy} */ (this.onConflict)
  }

  /**
   * @param {Entry[]} entries
   * @returns {Conflict}
   */
  asConflict(entries) {
    const rivals = entries.map(entry => this.document.rival(entry))
    const { kind: type, name: field } = this.cells
    const key = type === 'register' ? null : entries[0].key
    return { type, field, key, rivals, kind: 'concurrent_modification', ancestor: undefined }
  }

  /**
   * Return what is read in a cell.
   *
   * @param {string} key
   * @returns {{ value: unknown } | null} null if there is nothing that fits
   */
  read(key) {
    const entries = this.cells.cells.get(key)
    if (entries === undefined) return null
    if (entries.length === 1 && this.validate === undefined) return entries[0]
    return this.pick(entries) ?? this.standIn(key)
  }

  /**
   * @param {string} key of a cell in which nothing fits
   * @returns {Entry | null} the last value seen that did
   */
  standIn(key) {
    const found = this.cells.standIns.get(key)
    return found === undefined || !this.fits(found) ? null : found
  }

  conflicts() {
    return this.document.conflictsIn(this.cells)
  }

  /**
   * Settle what is in conflict here, in one transaction.
   *
   * @param {Strategy} [strategy]
   * @param {string} [key] the map's key or the list item's id: only this cell
   * @returns {Conflict[]} the conflicts as they were
   * @throws {InvalidValueError} if a value that the strategy decides on does not fit; nothing is written then
   */
  resolve(strategy = lastWriter, key) {
    const open = this.conflicts().filter(conflict => key === undefined || conflict.key === key)
    this.document.transaction(() => {
      for (const conflict of open) this.settle(conflict, strategy)
    })
    return open
  }

  /**
   * @param {Conflict} conflict
   * @param {Strategy} strategy
   */
  settle(conflict, strategy) {
    if (strategy instanceof Manual) openTicket(this.document, conflict, strategy.note)
    else this.settleOn(conflict.key ?? '', strategy.decide(conflict), conflict)
  }

  /**
   * Write the value that was decided on, or delete the cell if it is undefined.
   *
   * @param {string} key
   * @param {unknown} value
   * @param {Conflict | null} [conflict]
   */
  settleOn(key, value, conflict = null) {
    if (value === undefined) return this.erase(key)
    this.check(/** @type {T} */ (value))
    const rival = conflict?.rivals.find(other => other.value === value && !other.deleted)
    const stored = rival === undefined ? undefined : this.document.stored(rival)
    this.document.write(this.cells.code, this.name, key, stored === undefined ? value : new Packed(stored))
  }

  /** @param {string} key */
  erase(key) {
    this.document.replace(this.cells, key, null)
  }
}
