/** Changes: what a transaction did to a state document, in the terms of its types. */

import { CELL, COUNTER, ELEMENT } from './entry.js'
import { counted, Items } from './field.js'

/** @typedef {import('yjs').Transaction} Transaction */
/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./field.js').Cells} Cells */
/** @typedef {import('./field.js').Kind} Kind */
/** @typedef {import('./roots.js').RootKind} RootKind */
/** @typedef {import('./roots.js').RootChange} RootChange */

/**
 * One typed change, delivered after the transaction that made it.
 *
 * @typedef {object} Change
 * @property {Kind | RootKind} kind
 * @property {string} field the field's name
 * @property {unknown} key the map's key, or the set's element; null for the other kinds
 * @property {unknown} old the value before, undefined if there was none; for a log the item that was pruned
 * @property {unknown} value the value after, undefined if there is none; for a log the item that was appended, for
 *   a set true if the element was added, for a text or an array its delta
 * @property {string | null} author the agent that made it; null where several agents' deletions came as one
 * @property {number | null} client the Yjs client id of that agent's session
 * @property {boolean} local whether this replica made it
 */

/**
 * A cell that a transaction touched, and what it held before.
 *
 * @typedef {{ cells: Cells, key: string, before: Entry[] }} CellStep
 */

/** @typedef {{ items: Items, entry: Entry, gained: boolean }} ItemStep */
/** @typedef {{ kind: Change['kind'], name: string }} FieldName */
/** @typedef {Omit<Change, 'author' | 'local'>} Step what is known of a change before its transaction is looked at */

/** Collects what a transaction touches, while it is indexed, and turns it into typed changes. */
export class Changes {
  constructor() {
    /** @type {Array<CellStep | ItemStep | RootChange>} */
    this.steps = []
    /** The cells noted. @type {Map<Cells, Set<string>>} */
    this.noted = new Map()
    /** What the counters counted before the transaction, then with each of its changes. @type {Map<Cells, number | bigint>} */
    this.totals = new Map()
    /** The fields in which a rival came or went that is not read. @type {Set<Cells>} */
    this.disputed = new Set()
    /** Entries that became live in the transaction. @type {Set<Entry>} */
    this.fresh = new Set()
  }

  /**
   * Note an entry that is about to become live.
   *
   * @param {Cells | Items} field
   * @param {Entry} entry
   */
  noteAdded(field, entry) {
    this.fresh.add(entry)
    if (field instanceof Items) this.steps.push({ items: field, entry, gained: true })
    else this.noteCell(field, entry.key)
  }

  /**
   * Note an entry that is about to go.
   *
   * @param {Cells | Items} field
   * @param {Entry} entry
   */
  noteRemoved(field, entry) {
    if (field instanceof Items) this.steps.push({ items: field, entry, gained: false })
    else this.noteCell(field, entry.key)
  }

  /** @param {RootChange} change */
  noteRoot(change) {
    this.steps.push(change)
  }

  /**
   * Note the first step in a cell, for it knows what was there before.
   *
   * @param {Cells} cells
   * @param {string} key
   */
  noteCell(cells, key) {
    let keys = this.noted.get(cells)
    if (keys === undefined) {
      keys = new Set()
      this.noted.set(cells, keys)
      if (cells.code === COUNTER) this.totals.set(cells, cells.total())
    }
    if (keys.has(key)) return
    keys.add(key)
    this.steps.push({ cells, key, before: cells.cells.get(key) ?? [] })
  }

  /**
   * Turn what was noted into typed changes, and forget it.
   *
   * @param {Transaction} transaction
   * @param {ReadonlyMap<number, string>} authors
   * @returns {Change[]}
   */
  take(transaction, authors) {
    if (this.steps.length === 0) return []
    const writer = onlyWriter(transaction)
    /** @type {Change[]} */
    const changes = []
    for (const step of this.steps) {
      const change = this.changeOf(step, writer)
      if (change === null) {
        if ('cells' in step && step.cells.code <= CELL) this.disputed.add(step.cells)
        continue
      }
      const author = change.client === null ? null : (authors.get(change.client) ?? '')
      changes.push({ ...change, author, local: transaction.local })
    }
    this.steps = []
    this.noted.clear()
    this.totals.clear()
    this.fresh.clear()
    return changes
  }

  /** @returns {FieldName[]} the fields that `take` found nothing new to read in, but another dispute */
  takeDisputed() {
    const fields = [...this.disputed].map(({ kind, name }) => ({ kind, name }))
    this.disputed.clear()
    return fields
  }

  /**
   * @param {CellStep | ItemStep | RootChange} step
   * @param {number | null} writer whose the deletions are
   * @returns {Step | null} null if nothing that is read changed
   */
  changeOf(step, writer) {
    if ('items' in step) return itemChange(step, writer)
    if ('clients' in step) return rootChange(step, writer)
    if (step.cells.code === COUNTER) return this.counterChange(step)
    return step.cells.code === ELEMENT ? elementChange(step, writer) : this.valueChange(step, writer)
  }

  /**
   * @param {CellStep} step
   * @param {number | null} writer
   * @returns {Step | null}
   */
  valueChange({ cells, key, before: [before] }, writer) {
    const after = cells.cells.get(key)?.[0]
    if (before === after) return null
    const client = after !== undefined && this.fresh.has(after) ? after.client : writer
    const shown = cells.code === CELL ? key : null
    return {
      kind: cells.kind,
      field: cells.name,
      key: shown,
      old: before?.value,
      value: after?.value,
      client
    }
  }

  /**
   * @param {CellStep} step
   * @returns {Step | null}
   */
  counterChange({ cells, key, before }) {
    const difference = counted(cells.cells.get(key) ?? []) - counted(before)
    if (difference === 0) return null
    const old = this.totals.get(cells) ?? 0
    const value = sum(old, difference)
    this.totals.set(cells, value)
    return { kind: cells.kind, field: cells.name, key: null, old, value, client: Number(key) }
  }
}

/**
 * @param {CellStep} step
 * @param {number | null} writer
 * @returns {Step | null}
 */
const elementChange = ({ cells, key, before: [before] }, writer) => {
  const after = cells.cells.get(key)?.[0]
  const entry = after ?? before
  if (entry === undefined || (before === undefined) === (after === undefined)) return null
  const [old, value, client] = after ? [undefined, true, after.client] : [true, undefined, writer]
  return { kind: cells.kind, field: cells.name, key: shownKey(entry), old, value, client }
}

/**
 * @param {ItemStep} step
 * @param {number | null} writer
 * @returns {Step}
 */
const itemChange = ({ items, entry, gained }, writer) => {
  const [old, value] = gained ? [undefined, entry.value] : [entry.value, undefined]
  return {
    kind: items.kind,
    field: items.name,
    key: null,
    old,
    value,
    client: gained ? entry.client : writer
  }
}

/**
 * @param {RootChange} change
 * @param {number | null} writer
 * @returns {Step}
 */
const rootChange = ({ clients, ...change }, writer) => {
  const [only = writer] = clients
  return { ...change, client: clients.size > 1 ? null : only }
}

/**
 * Return the key of an entry's cell as a user knows it.
 *
 * @param {Entry} entry
 * @returns {unknown} a map's key, a set's element, or null
 */
export const shownKey = entry =>
  entry.kind === CELL ? entry.key : entry.kind === ELEMENT ? entry.value : null

/**
 * @param {number | bigint} total
 * @param {number} difference
 * @returns {number | bigint} a BigInt beyond 2^53 - 1
 */
const sum = (total, difference) => {
  const exact = BigInt(total) + BigInt(difference)
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact
}

/**
 * Return the client that a transaction came from: every update of a session contains an insert of its client, so
 * that the deletions are its own if it is the only one that inserted.
 *
 * @param {Transaction} transaction
 * @returns {number | null} null if there were several, or none
 */
const onlyWriter = transaction => {
  let writer = null
  for (const [client, clock] of transaction.afterState) {
    if (clock === (transaction.beforeState.get(client) ?? 0)) continue
    if (writer !== null) return null
    writer = client
  }
  return writer
}
