/** Disputes: which cells are in conflict, what their values come from, and which deletions somebody did not know of. */

import { isSame } from './entry.js'
import { canonical } from './msgpack.js'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./cells.js').Cells} Cells */
/** @typedef {'concurrent_modification' | 'deleted_modified' | 'type_mismatch'} ConflictKind */

/**
 * A conflict comes up when two have written within the time that an update takes, or one was away: what was
 * superseded by the last so many writes is at hand then. It costs a reference for each.
 */
const SUPERSEDED_KEPT = 1024
const DELETIONS_KEPT = 4096

/**
 * A cell that became empty: the greatest entry that was deleted, and who did it when.
 *
 * @typedef {object} Deletion
 * @property {Cells} cells
 * @property {string} key
 * @property {Entry} entry
 * @property {number | null} client
 * @property {number} seenAt a stamp
 */

/** @typedef {{ deletion: Deletion, entry: Entry | undefined }} Revival an entry whose author did not know of a deletion */

/**
 * What a cell holds that is in conflict.
 *
 * @typedef {object} Dispute
 * @property {ConflictKind} kind
 * @property {Entry[]} entries one for each value, the one that is read first
 * @property {Deletion | null} deletion
 * @property {Entry | null} ancestor what all of them superseded, if it is known
 */

/** Remembers of a document what its bytes do not tell: what was superseded, and what was deleted. */
export class Disputes {
  constructor() {
    /** The last so many, in a ring. @type {Entry[]} */
    this.superseded = []
    this.next = 0
    /** @type {Map<string, Deletion>} */
    this.deletions = new Map()
    /** @type {Map<Cells, Map<string, Revival>>} */
    this.revived = new Map()
  }

  /**
   * Note entries that were live and are not any more.
   *
   * @param {readonly Entry[]} entries
   */
  supersede(entries) {
    for (const entry of entries) {
      this.superseded[this.next] = entry
      this.next = (this.next + 1) % SUPERSEDED_KEPT
    }
  }

  /**
   * Return what was superseded in a cell, the last one first, as far as it is remembered.
   *
   * @param {{ kind: number, field: string, key: string }} cell
   * @returns {Generator<Entry>}
   */
  *before({ kind, field, key }) {
    const { length } = this.superseded
    for (let back = 1; back <= length; back++) {
      const entry = this.superseded[(this.next - back + length) % length]
      if (entry.field === field && entry.key === key && entry.kind === kind) yield entry
    }
  }

  /**
   * Note that a transaction left a cell empty.
   *
   * @param {Deletion} deletion
   */
  deleted(deletion) {
    const place = placeOf(deletion.cells, deletion.key)
    this.revived.get(deletion.cells)?.delete(deletion.key)
    this.deletions.delete(place)
    this.deletions.set(place, deletion)
    if (this.deletions.size > DELETIONS_KEPT) {
      const [oldest] = this.deletions.keys()
      this.deletions.delete(oldest)
    }
  }

  /**
   * Tell whether a cell is remembered as deleted.
   *
   * @param {Cells} cells
   * @param {string} key
   */
  isDeleted(cells, key) {
    return this.deletions.has(placeOf(cells, key))
  }

  /**
   * Note that a transaction filled an empty cell.
   *
   * @param {Cells} cells
   * @param {string} key
   * @returns {boolean} whether it was done by somebody who did not know it deleted
   */
  written(cells, key) {
    const place = placeOf(cells, key)
    const deletion = this.deletions.get(place)
    const entries = cells.at(key)
    if (deletion === undefined || entries.length === 0) return false
    this.deletions.delete(place)
    const { stamp } = deletion.entry
    if (!entries.some(({ ancestor }) => ancestor > 0 && ancestor === stamp)) return false
    const revivals = this.revived.get(cells) ?? new Map()
    this.revived.set(cells, revivals.set(key, { deletion, entry: entries[0] }))
    return true
  }

  /**
   * Return the keys of a field's cells that may be in conflict.
   *
   * @param {Cells} cells
   * @returns {string[]}
   */
  keys(cells) {
    const revived = this.revived.get(cells)
    return [...new Set([...cells.disputed, ...(revived?.keys() ?? [])])].sort()
  }

  /**
   * Look into what a cell holds. Entries of one value are one rival, the one that is read first: there is nothing to
   * choose between them.
   *
   * @param {Cells} cells
   * @param {string} key
   * @returns {Dispute | null} null if it is not in conflict
   */
  look(cells, key) {
    const entries = distinct(cells.at(key))
    const deletion = this.deletionOf(cells, key)
    if (deletion !== null) return { kind: 'deleted_modified', entries, deletion, ancestor: deletion.entry }
    if (entries.length < 2) return null
    return { kind: kindOf(entries), entries, deletion, ancestor: this.ancestor(entries) }
  }

  /**
   * @param {Cells} cells
   * @param {string} key
   * @returns {Deletion | null}
   */
  deletionOf(cells, key) {
    const revivals = this.revived.get(cells)
    const revival = revivals?.get(key)
    if (revival === undefined) return null
    if (cells.at(key).some(entry => isSame(entry, revival.entry))) return revival.deletion
    // Somebody has written since.
    revivals?.delete(key)
    return null
  }

  /**
   * Return the youngest entry that all rivals descend from, as far as this replica remembers.
   *
   * @param {Entry[]} rivals
   * @returns {Entry | null}
   */
  ancestor([first, ...others]) {
    const lines = others.map(rival => new Set([...this.line(rival)].map(({ stamp }) => stamp)))
    for (const entry of this.line(first)) if (lines.every(line => line.has(entry.stamp))) return entry
    return null
  }

  /**
   * The entries that one descends from, the youngest first.
   *
   * @param {Entry} entry
   * @returns {Generator<Entry>}
   */
  *line(entry) {
    let before = this.find(entry)
    while (before !== undefined) {
      yield before
      before = this.find(before)
    }
  }

  /**
   * @param {Entry} entry
   * @returns {Entry | undefined}
   */
  find(entry) {
    // An ancestor's stamp is always below the entry's own, so that a line ends.
    if (entry.ancestor === 0) return undefined
    for (const old of this.before(entry)) if (old.stamp === entry.ancestor) return old
    return undefined
  }
}

/**
 * @param {Cells} cells
 * @param {string} key
 */
const placeOf = ({ code, name }, key) => `${code}${name.length} ${name}${key}`

/**
 * Keep of entries of one value the first: there is nothing to choose between them.
 *
 * @param {readonly Entry[]} entries
 * @returns {Entry[]}
 */
export const distinct = entries => {
  if (entries.length < 2) return [...entries]
  const values = new Set()
  return entries.filter(({ packed }) => {
    const value = canonical(packed)
    return !values.has(value) && values.add(value)
  })
}

/** @param {Entry[]} entries */
const kindOf = entries => {
  const types = new Set(entries.map(({ value }) => typeOf(value)))
  types.delete('null')
  return types.size > 1 ? 'type_mismatch' : 'concurrent_modification'
}

/**
 * Return the JSON type of a value, which may also be bytes.
 *
 * @param {unknown} value
 */
const typeOf = value => {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  if (value instanceof Uint8Array) return 'bytes'
  return typeof value === 'bigint' ? 'number' : typeof value
}
