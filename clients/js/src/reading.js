/** Readings: what lies in a state document, with who wrote it when, and what is in conflict. */

import { shownKey } from './changes.js'
import { Items, NOTHING } from './cells.js'
import { stampMs } from './clock.js'
import { distinct } from './disputes.js'
import { CELL, COUNTER, ELEMENT, ITEM, LISTED, PLACE, REGISTER } from './entry.js'
import { LiveDocument } from './livedocument.js'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./cells.js').Cells} Cells */
/** @typedef {import('./cells.js').Kind} Kind */
/** @typedef {import('./roots.js').RootKind} RootKind */
/** @typedef {import('./disputes.js').ConflictKind} ConflictKind */

/**
 * One live value and where it comes from.
 *
 * @typedef {object} Reading
 * @property {unknown} key the map's key, the list item's id or the set's element; null for the other kinds
 * @property {unknown} value
 * @property {string} author "" if unknown
 * @property {number} client
 * @property {number} at when it was written, in milliseconds since the Unix epoch; 0 where the kind keeps no time
 * @property {Rival[]} rivals other values written concurrently
 */

/**
 * One of several concurrent values of a cell.
 *
 * @typedef {object} Rival
 * @property {unknown} value undefined for a deletion
 * @property {string} author "" if unknown
 * @property {number} client -1 if a deletion's is not known
 * @property {number} stamp its hybrid clock's; of a deletion, that of the moment at which this replica saw it
 * @property {number} at the same in milliseconds since the Unix epoch; 0 where the kind keeps no time
 * @property {boolean} deleted whether this is a deletion
 */

/**
 * A cell that was written concurrently and not yet written again.
 *
 * @typedef {object} Conflict
 * @property {Kind} type the type of the field
 * @property {string} field the field's path
 * @property {string | null} key the map's key or the list item's id, null for a register
 * @property {Rival[]} rivals the one that is read by default first; what was deleted stands last
 * @property {ConflictKind} kind
 * @property {unknown} ancestor the value that all of them superseded, undefined if there was none or it is not known
 *   here any more
 */

/** @type {Record<Kind, number>} */
export const CODES = {
  register: REGISTER,
  map: CELL,
  set: ELEMENT,
  counter: COUNTER,
  log: ITEM,
  list: LISTED
}

/** Where the key of a register is looked for. */
export const SOLE = ''

/** The stored bytes of the values of rivals. @type {WeakMap<Rival, Uint8Array>} */
const storedRivals = new WeakMap()

/** What can be read of a state document. */
export class ReadableDocument extends LiveDocument {
  /**
   * List the fields that hold something.
   *
   * @returns {Array<{ kind: Kind | RootKind, name: string }>} by name
   */
  fields() {
    /** @type {Array<{ kind: Kind | RootKind, name: string }>} */
    const found = []
    for (const field of this.index.fields.values()) {
      if (field.size > 0 && !isPlaces(field)) found.push({ kind: field.kind, name: field.name })
    }
    for (const [name, { kind }] of this.roots.known) found.push({ kind, name })
    return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.kind < b.kind ? -1 : 1))
  }

  /**
   * Read a register.
   *
   * @param {string} name
   * @returns {unknown} undefined if it was never set
   */
  register(name) {
    return this.cells('register', name)?.at(SOLE)[0]?.value
  }

  /**
   * Read a map.
   *
   * @param {string} name
   * @returns {Map<string, unknown>}
   */
  map(name) {
    return new Map(this.cells('map', name)?.entries())
  }

  /**
   * Read a set.
   *
   * @param {string} name
   * @returns {unknown[]} the elements, each once; an array, because JavaScript's sets compare objects by identity
   */
  set(name) {
    return Array.from(this.cells('set', name)?.entries() ?? [], ([, element]) => element)
  }

  /**
   * Read a counter.
   *
   * @param {string} name
   * @returns {number | bigint} a BigInt beyond 2^53 - 1
   */
  counter(name) {
    return this.cells('counter', name)?.total() ?? 0
  }

  /**
   * Read a log.
   *
   * @param {string} name
   * @returns {unknown[]} the items, in order
   */
  log(name) {
    return this.items(name).map(({ value }) => value)
  }

  /**
   * Read a list.
   *
   * @param {string} name
   * @returns {unknown[]} the items, in order
   */
  list(name) {
    const cells = this.cells('list', name)
    return cells === undefined ? [] : this.ids(cells).map(id => cells.at(id)[0].value)
  }

  /**
   * Read a text, or another plain root, as plain data.
   *
   * @param {string} name
   * @returns {unknown} undefined if there is none
   */
  root(name) {
    return this.roots.value(name)
  }

  /**
   * Count the live values of a field.
   *
   * @param {Kind} kind
   * @param {string} name
   * @returns {number}
   */
  size(kind, name) {
    return this.index.find(CODES[kind], name)?.size ?? 0
  }

  /**
   * Read a field with the origin of every value: a map's in the order of their keys, a log's and a list's in their
   * order.
   *
   * @param {Kind} kind
   * @param {string} name
   * @param {{ first?: number, last?: number }} [range] read no more than the first or the last so many
   * @returns {Reading[]}
   */
  readings(kind, name, { first, last } = {}) {
    const start = last === undefined ? 0 : -last
    if (kind === 'log') {
      const items = this.items(name)
      return (last === 0 ? [] : items.slice(start, first)).map(entry => this.reading(entry, null, NOTHING))
    }
    const cells = this.cells(kind, name)
    if (cells === undefined || last === 0) return []
    const keys = kind === 'list' ? this.ids(cells) : [...cells.cells.keys()].sort()
    return keys.slice(start, first).map(key => {
      const entries = cells.at(key)
      return this.reading(
        entries[0],
        shownKey(entries[0]),
        distinct(cells.isDisputable ? entries : NOTHING).slice(1)
      )
    })
  }

  /**
   * List every cell that holds more than one concurrent value, or one whose author did not know it deleted.
   *
   * @returns {Conflict[]}
   */
  conflicts() {
    /** @type {Cells[]} */
    const fields = []
    for (const field of this.index.fields.values()) {
      if (!(field instanceof Items) && field.isDisputable) fields.push(field)
    }
    fields.sort((a, b) => a.code - b.code || (a.name < b.name ? -1 : 1))
    return fields.flatMap(cells => this.conflictsIn(cells))
  }

  /**
   * @param {Cells} cells
   * @returns {Conflict[]} by key
   */
  conflictsIn(cells) {
    return this.index.disputes.keys(cells).flatMap(key => this.conflictOf(cells, key) ?? [])
  }

  /**
   * @param {Cells} cells
   * @param {string} key
   * @returns {Conflict | null} null if the cell is not in conflict
   */
  conflictOf(cells, key) {
    const dispute = this.index.disputes.look(cells, key)
    if (dispute === null) return null
    const { kind, entries, deletion, ancestor } = dispute
    const rivals = entries.map(entry => this.rival(entry))
    if (deletion !== null) rivals.push(this.deletion(deletion))
    const shown = cells.code === REGISTER ? null : key
    return { type: cells.kind, field: cells.name, key: shown, rivals, kind, ancestor: ancestor?.value }
  }

  /**
   * @param {Kind} kind
   * @param {string} name
   * @returns {Cells | undefined} undefined if nothing was ever written there
   */
  cells(kind, name) {
    return /** @type {Cells | undefined} */ (this.index.find(CODES[kind], name))
  }

  /**
   * @param {string} name
   * @returns {readonly Entry[]}
   */
  items(name) {
    const items = /** @type {Items | undefined} */ (this.index.find(ITEM, name))
    return items?.list() ?? NOTHING
  }

  /**
   * @param {Cells} cells those of a list's items
   * @returns {readonly string[]} in order
   */
  ids(cells) {
    return /** @type {import('./cells.js').Order} */ (cells.order).ids
  }

  /**
   * @param {Entry} entry
   * @param {unknown} key
   * @param {readonly Entry[]} rivals
   * @returns {Reading}
   */
  reading(entry, key, rivals) {
    const { value, author, client, at } = this.rival(entry)
    return { key, value, author, client, at, rivals: rivals.map(other => this.rival(other)) }
  }

  /**
   * @param {Entry} entry
   * @returns {Rival}
   */
  rival(entry) {
    const { value, client, stamp } = entry
    const at = stamp === 0 ? 0 : stampMs(stamp)
    const rival = { value, author: this.authorOf(client) ?? '', client, stamp, at, deleted: false }
    storedRivals.set(rival, entry.packed)
    return rival
  }

  /**
   * @param {import('./disputes.js').Deletion} deletion
   * @returns {Rival}
   */
  deletion({ client, seenAt }) {
    const author = this.authorOf(client) ?? ''
    return {
      value: undefined,
      author,
      client: client ?? -1,
      stamp: seenAt,
      at: stampMs(seenAt),
      deleted: true
    }
  }

  /**
   * Return the value of a rival as it is stored.
   *
   * @param {Rival} rival
   * @returns {Uint8Array | undefined} undefined for a deletion
   */
  stored(rival) {
    return storedRivals.get(rival)
  }

  /**
   * Return what is live under a path, whatever its kind.
   *
   * @param {string} name
   * @returns {Array<{ kind: Kind, entries: readonly Entry[] }>}
   */
  entriesAt(name) {
    return Object.values(CODES).flatMap(code => {
      const field = this.index.find(code, name)
      if (field === undefined) return []
      return {
        kind: field.kind,
        entries: field instanceof Items ? field.list() : [...field.cells.values()].flat()
      }
    })
  }
}

/** @param {Cells | Items} field */
const isPlaces = field => !(field instanceof Items) && field.code === PLACE
