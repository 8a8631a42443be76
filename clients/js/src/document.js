/** State documents: the typed state that lies in a Yjs document, read and observed. */

import { Changes, shownKey } from './changes.js'
import { CELL, COUNTER, ELEMENT, ITEM, REGISTER } from './entry.js'
import { Cells, Items } from './field.js'
import { Lanes, ROOT } from './lanes.js'
import { canonical, items } from './msgpack.js'
import { Roots } from './roots.js'

/** @typedef {import('yjs').Doc} Doc */
/** @typedef {import('yjs').Transaction} Transaction */
/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./field.js').Kind} Kind */
/** @typedef {import('./roots.js').RootKind} RootKind */
/** @typedef {import('./changes.js').Change} Change */
/** @typedef {import('./changes.js').FieldName} FieldName */

/**
 * Told of a transaction: its changes, and the fields whose values stayed while a rival of one of them came or went.
 *
 * @typedef {(changes: Change[], disputed: FieldName[]) => void} Listener
 */

/**
 * One live value and where it comes from.
 *
 * @typedef {object} Reading
 * @property {unknown} key the map's key or the set's element; null for the other kinds
 * @property {unknown} value
 * @property {string} author "" if unknown
 * @property {number} client
 * @property {number} at when it was written, in milliseconds since the Unix epoch; 0 where the kind keeps no time
 * @property {Rival[]} rivals other values written concurrently
 */

/** @typedef {{ value: unknown, author: string, client: number, at: number }} Rival */

/**
 * A cell that was written concurrently and not yet written again: the first rival is the one that is read.
 *
 * @typedef {{ kind: Kind, field: string, key: string | null, rivals: Rival[] }} Conflict
 */

/** 2020-01-01T00:00:00Z, from which stamps count. */
const EPOCH_MS = 1_577_836_800_000
const TICKS_PER_MS = 4096

/** @type {Record<Kind, number>} */
const CODES = { register: REGISTER, map: CELL, set: ELEMENT, counter: COUNTER, log: ITEM }

/** @type {readonly Entry[]} */
const NOTHING = []

/**
 * The typed state in a Yjs document. Reads come from an index that every transaction's events keep up to date;
 * the document itself is read once.
 */
export class StateDocument {
  /** @param {Doc} ydoc */
  constructor(ydoc) {
    this.ydoc = ydoc
    /** @type {Map<string, Cells | Items>} */
    this.index = new Map()
    /** @type {Set<Listener>} */
    this.listeners = new Set()
    this.changes = new Changes()
    this.lanes = new Lanes(ydoc, { added: entry => this.add(entry), removed: entry => this.remove(entry) })
    this.roots = new Roots(ydoc, ROOT, change => {
      if (this.listeners.size > 0) this.changes.noteRoot(change)
    })
    this.onTransaction = this.onTransaction.bind(this)
    ydoc.on('afterTransaction', this.onTransaction)
  }

  /** Stop following the document. */
  destroy() {
    this.ydoc.off('afterTransaction', this.onTransaction)
    this.lanes.destroy()
    this.roots.destroy()
    this.listeners.clear()
  }

  /** The agents that wrote, by the client id of their session. @returns {ReadonlyMap<number, string>} */
  get authors() {
    return this.lanes.authors
  }

  /**
   * List the fields that hold something.
   *
   * @returns {Array<{ kind: Kind | RootKind, name: string }>} by name
   */
  fields() {
    /** @type {Array<{ kind: Kind | RootKind, name: string }>} */
    const found = []
    for (const { kind, name, size } of this.index.values()) if (size > 0) found.push({ kind, name })
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
    return this.cells('register', name)?.cells.get('')?.[0].value
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
    return this.index.get(indexKey(CODES[kind], name))?.size ?? 0
  }

  /**
   * Read a field with the origin of every value: a map's in the order of their keys, a log's in its order.
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
    const cells = this.cells(kind, name)?.cells ?? new Map()
    const keys = [...cells.keys()].sort()
    return (last === 0 ? [] : keys.slice(start, first)).map(key => {
      const [entry, ...rivals] = /** @type {Entry[]} */ (cells.get(key))
      const others = kind === 'map' || kind === 'register' ? distinct([entry, ...rivals]).slice(1) : NOTHING
      return this.reading(entry, shownKey(entry), others)
    })
  }

  /**
   * List every register and map cell that holds more than one concurrent value.
   *
   * @returns {Conflict[]}
   */
  conflicts() {
    /** @type {Conflict[]} */
    const found = []
    for (const field of this.index.values()) {
      if (field instanceof Items) continue
      for (const key of field.disputed) {
        const rivals = distinct(field.cells.get(key) ?? []).map(entry => this.rival(entry))
        if (rivals.length < 2) continue
        found.push({ kind: field.kind, field: field.name, key: field.code === CELL ? key : null, rivals })
      }
    }
    return found
  }

  /**
   * Listen to typed changes: all those of one transaction at once, after it. What the document holds already is
   * not reported.
   *
   * @param {Listener} listener
   * @returns {() => void} stops listening
   */
  observe(listener) {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /**
   * @param {'register' | 'map' | 'set' | 'counter'} kind
   * @param {string} name
   * @returns {Cells | undefined}
   */
  cells(kind, name) {
    return /** @type {Cells | undefined} */ (this.index.get(indexKey(CODES[kind], name)))
  }

  /**
   * @param {string} name
   * @returns {readonly Entry[]}
   */
  items(name) {
    const items = /** @type {Items | undefined} */ (this.index.get(indexKey(ITEM, name)))
    return items?.list() ?? NOTHING
  }

  /**
   * @param {Entry} entry
   * @param {unknown} key
   * @param {readonly Entry[]} rivals
   * @returns {Reading}
   */
  reading(entry, key, rivals) {
    return { key, ...this.rival(entry), rivals: rivals.map(other => this.rival(other)) }
  }

  /**
   * @param {Entry} entry
   * @returns {Rival}
   */
  rival({ value, client, stamp }) {
    const at = stamp === 0 ? 0 : Math.floor(stamp / TICKS_PER_MS) + EPOCH_MS
    return { value, author: this.authors.get(client) ?? '', client, at }
  }

  /** @param {Entry} entry */
  add(entry) {
    const field = this.fieldOf(entry)
    if (this.listeners.size > 0) this.changes.noteAdded(field, entry)
    field.add(entry)
  }

  /** @param {Entry} entry */
  remove(entry) {
    const field = this.fieldOf(entry)
    if (this.listeners.size > 0) this.changes.noteRemoved(field, entry)
    field.remove(entry)
  }

  /**
   * @param {Entry} entry
   * @returns {Cells | Items}
   */
  fieldOf(entry) {
    const key = indexKey(entry.kind, entry.field)
    let field = this.index.get(key)
    if (field === undefined) {
      field = entry.kind === ITEM ? new Items(entry.field) : new Cells(entry.kind, entry.field)
      this.index.set(key, field)
    }
    return field
  }

  /** @param {Transaction} transaction */
  onTransaction(transaction) {
    for (const change of this.roots.discover()) if (this.listeners.size > 0) this.changes.noteRoot(change)
    const changes = this.changes.take(transaction, this.authors)
    const disputed = this.changes.takeDisputed()
    if (changes.length === 0 && disputed.length === 0) return
    for (const listener of [...this.listeners]) listener(changes, disputed)
  }
}

/**
 * Keep of entries of one value the first: there is nothing to choose between them.
 *
 * @param {readonly Entry[]} entries
 * @returns {Entry[]}
 */
const distinct = entries => {
  if (entries.length < 2) return [...entries]
  const values = new Set()
  return entries.filter(({ raw }) => {
    const key = canonical(/** @type {Uint8Array} */ (items(raw).at(-1)))
    if (values.has(key)) return false
    values.add(key)
    return true
  })
}

/**
 * @param {number} code
 * @param {string} name
 */
const indexKey = (code, name) => `${code}${name}`
