/** Disputes: which cells are in conflict, what their values come from, and which deletions somebody did not know of. */

import { Entry, isSame } from './entry.js'
import { canonical } from './msgpack.js'

/** @typedef {import('./cells.js').Cells} Cells */
/** @typedef {'concurrent_modification' | 'deleted_modified' | 'type_mismatch'} ConflictKind */

/**
 * A conflict comes up when two have written within the time that an update takes, or one was away: what was
 * superseded by the last so many writes is at hand then, as long as it is no more than so many bytes.
 */
const SUPERSEDED_KEPT = 1024
const SUPERSEDED_BYTES = 1024 * 1024
const DELETIONS_KEPT = 4096
/** Of an entry whose value is kept with its deletion. */
const DELETED_BYTES = 1024
const NO_BYTES = new Uint8Array()

/**
 * A cell that became empty: the greatest entry that was deleted, and who did it when.
 *
 * @typedef {object} Deletion
 * @property {Cells} cells
 * @property {string} key
 * @property {Entry} entry without its bytes if they are many
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
    /** The oldest first; those before `oldest` are forgotten. @type {Entry[]} */
    this.superseded = []
    this.oldest = 0
    this.bytes = 0
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
    const { superseded } = this
    for (const entry of entries) this.bytes += superseded[superseded.push(entry) - 1].raw.length
    while (superseded.length - this.oldest > SUPERSEDED_KEPT || this.bytes > SUPERSEDED_BYTES) {
      this.bytes -= superseded[this.oldest++].raw.length
    }
    // Taken out seldom, because all that stays is moved.
    if (this.oldest > SUPERSEDED_KEPT) this.oldest -= superseded.splice(0, this.oldest).length
  }

  /**
   * Return what was superseded in a cell, the last one first, as far as it is remembered.
   *
   * @param {{ kind: number, field: string, key: string }} cell
   * @returns {Generator<Entry>}
   */
  *before({ kind, field, key }) {
    for (let at = this.superseded.length - 1; at >= this.oldest; at--) {
      const entry = this.superseded[at]
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
    this.deletions.set(place, { ...deletion, entry: light(deletion.entry) })
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
    if (revivals.size > DELETIONS_KEPT) revivals.delete(revivals.keys().next().value)
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
    if (deletion !== null) {
      const ancestor = deletion.entry.raw.length > 0 ? deletion.entry : null
      return { kind: 'deleted_modified', entries, deletion, ancestor }
    }
    if (entries.length < 2) return null
    return { kind: kindOf(entries), entries, deletion, ancestor: this.ancestor(entries) }
  }

  /**
   * @param {Cells} cells
   * @param {string} key
   * @returns {Deletion | null}
   */
  deletionOf(cells, key) {
    const revival = this.revived.get(cells)?.get(key)
    // If its entry is not live any more, somebody has written since.
    const live = cells.at(key).some(entry => isSame(entry, revival?.entry))
    return revival !== undefined && live ? revival.deletion : null
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
    const found = [...this.before(entry)].filter(old => old.stamp === entry.ancestor)
    // Two sessions may have made one stamp: then nobody knows which.
    return found.length === 1 ? found[0] : undefined
  }
}

/**
 * Return an entry, or one like it without its value if that is large.
 *
 * @param {Entry} entry
 */
const light = entry => {
  if (entry.raw.length <= DELETED_BYTES) return entry
  const { kind, field, key, stamp, ancestor, client } = entry
  return new Entry(kind, field, key, stamp, undefined, ancestor, client, NO_BYTES)
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
