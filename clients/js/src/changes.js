/** Changes: what a transaction did to a state document, in the terms of its types. */

import { narrowed } from './cells.js'
import { CELL, COUNTER, ELEMENT, isSame, LISTED, PLACE } from './entry.js'
import { canonical } from './msgpack.js'
import { pack } from './pack.js'

/** @typedef {import('yjs').Transaction} Transaction */
/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./cells.js').Cells} Cells */
/** @typedef {import('./cells.js').Kind} Kind */
/** @typedef {import('./roots.js').RootKind} RootKind */
/** @typedef {import('./roots.js').RootChange} RootChange */
/** @typedef {import('./steps.js').Step} Step */
/** @typedef {import('./steps.js').CellStep} CellStep */
/** @typedef {import('./steps.js').ItemStep} ItemStep */
/** @typedef {'added' | 'changed' | 'removed' | 'moved'} Action */

/**
 * One typed change, delivered after the transaction that made it.
 *
 * @typedef {object} Change
 * @property {Kind | RootKind} kind
 * @property {string} field the field's path
 * @property {unknown} key the map's key, the set's element or the list item's id; null for the other kinds
 * @property {unknown} old the value before, undefined if there was none; for a log the item that was pruned
 * @property {unknown} value the value after, undefined if there is none; for a log the item that was appended, for
 *   a set true if the element was added, for a text or an array its delta
 * @property {string | null} author the agent that made it; null where several agents' deletions came as one
 * @property {number | null} client the Yjs client id of that agent's session
 * @property {boolean} local whether this replica made it
 * @property {Action} action whether the value came, became another one, went, or (in a list) took another place; of
 *   a counter and a text, always `changed`
 */

/** @typedef {{ kind: Change['kind'], name: string }} FieldName */
/** @typedef {Omit<Change, 'author' | 'local'>} Told what is known of a change before its author is looked up */

/** Turns the net steps of one transaction into typed changes. */
export class Teller {
  /**
   * @param {Step[]} steps while the index is as they left it
   * @param {() => number | null} deleter who made the deletions among them, if it is known
   */
  constructor(steps, deleter) {
    this.steps = steps
    this.deleter = deleter
    /** What the counters counted before the change that comes next. @type {Map<string, bigint>} */
    this.totals = new Map()
    /** The list items that came, went or were written. @type {Map<Cells, Set<string>>} */
    this.written = new Map()
    /** Fields whose rivals came or went while what is read stayed. @type {Set<Cells>} */
    this.quiet = new Set()
  }

  /** Return the changes in the order of the steps. @returns {Told[]} */
  changes() {
    for (const step of this.steps) {
      // A rival that is not read tells nothing, so that a move beside it has to be told of.
      if ('cells' in step && step.cells.code === LISTED && this.cellChange(step) !== null)
        this.noteWritten(step)
    }
    /** @type {Told[]} */
    const changes = []
    // Backwards, because what a counter came to is known and what it came from follows.
    for (let at = this.steps.length - 1; at >= 0; at--) {
      const step = this.steps[at]
      const change = 'items' in step ? this.itemChange(step) : this.cellChange(step)
      if (change !== null) changes.push(change)
      else if ('cells' in step) this.noteQuiet(step)
    }
    return changes.reverse()
  }

  /** @param {CellStep} step */
  noteWritten({ cells, key }) {
    const keys = this.written.get(cells)
    if (keys === undefined) this.written.set(cells, new Set([key]))
    else keys.add(key)
  }

  /** @param {CellStep} step */
  noteQuiet({ cells, key, before }) {
    const after = cells.at(key)
    if (cells.isDisputable && (before.length !== after.length || before[0] !== after[0]))
      this.quiet.add(cells)
  }

  /**
   * @param {CellStep} step
   * @returns {Told | null}
   */
  cellChange(step) {
    const { cells, key, before } = step
    if (cells.code === COUNTER) return this.counterChange(step)
    const after = cells.at(key)
    if (cells.code === ELEMENT) return this.elementChange(step, after)
    if (cells.code === PLACE) return isSame(before[0], after[0]) ? null : this.placeChange(step)
    if (cells.reader === null || before.length + after.length < 3) {
      if (isSame(before[0], after[0])) return null
      return this.told(step, after, before[0]?.value, after[0]?.value)
    }
    const [old, value] = [picked(cells, before), picked(cells, after)]
    const stays = (before.length === 0) === (after.length === 0) && isEqual(old, value)
    return stays ? null : this.told(step, after, old, value)
  }

  /**
   * @param {CellStep} step
   * @param {readonly Entry[]} after
   * @param {unknown} old
   * @param {unknown} value
   * @returns {Told}
   */
  told({ cells, key, before }, after, old, value) {
    return {
      kind: cells.kind,
      field: cells.name,
      key: cells.code === CELL || cells.code === LISTED ? key : null,
      old,
      value,
      client: this.who(before, after),
      action: before.length === 0 ? 'added' : after.length === 0 ? 'removed' : 'changed'
    }
  }

  /**
   * A rival that comes to be read was written before: who deleted what was read made this change.
   *
   * @param {readonly Entry[]} before
   * @param {readonly Entry[]} after
   */
  who(before, [first]) {
    const came = first !== undefined && !before.some(entry => isSame(entry, first))
    return came ? first.client : this.deleter()
  }

  /**
   * @param {CellStep} step
   * @param {readonly Entry[]} after
   * @returns {Told | null}
   */
  elementChange({ cells, before }, after) {
    if ((before.length === 0) === (after.length === 0)) return null
    const came = after.length > 0
    return {
      kind: cells.kind,
      field: cells.name,
      key: (after[0] ?? before[0]).value,
      old: came ? undefined : true,
      value: came ? true : undefined,
      client: this.who(before, after),
      action: came ? 'added' : 'removed'
    }
  }

  /**
   * @param {CellStep} step
   * @returns {Told | null}
   */
  counterChange({ cells, key, before }) {
    const difference = cells.countedIn(cells.at(key)) - cells.countedIn(before)
    if (difference === 0n) return null
    const value = this.totals.get(cells.name) ?? cells.counted
    this.totals.set(cells.name, value - difference)
    const [old, now] = [value - difference, value].map(narrowed)
    return {
      kind: 'counter',
      field: cells.name,
      key: null,
      old,
      value: now,
      client: Number(key),
      action: 'changed'
    }
  }

  /**
   * @param {CellStep} step
   * @returns {Told | null} null if the item came, went or changed, too, which says more
   */
  placeChange({ cells, key }) {
    const items = /** @type {import('./cells.js').Order} */ (cells.order).items
    const entries = items.at(key)
    if (entries.length === 0) return null
    if (this.written.get(items)?.has(key)) return null
    const value = picked(items, entries)
    const client = cells.at(key)[0]?.client ?? this.deleter()
    return { kind: 'list', field: cells.name, key, old: value, value, client, action: 'moved' }
  }

  /**
   * @param {ItemStep} step
   * @returns {Told}
   */
  itemChange({ items, entry, gained }) {
    const [old, value] = gained ? [undefined, entry.value] : [entry.value, undefined]
    const client = gained ? entry.client : this.deleter()
    const action = gained ? 'added' : 'removed'
    return { kind: items.kind, field: items.name, key: null, old, value, client, action }
  }
}

/**
 * @param {RootChange} change
 * @param {() => number | null} deleter
 * @returns {Told}
 */
export const rootChange = ({ clients, ...change }, deleter) => {
  const [only] = clients
  const client = clients.size > 1 ? null : (only ?? deleter())
  const isCell = change.kind === 'plain-map' && change.key !== null
  return { ...change, client, action: isCell ? cameOrWent(change) : 'changed' }
}

/**
 * @param {{ old: unknown, value: unknown }} change
 * @returns {Action}
 */
const cameOrWent = ({ old, value }) =>
  value === undefined ? 'removed' : old === undefined ? 'added' : 'changed'

/**
 * @param {Cells} cells
 * @param {readonly Entry[]} entries
 */
const picked = (cells, entries) =>
  entries.length > 1 && cells.reader !== null ? cells.reader.pick(entries) : entries[0]?.value

/**
 * @param {unknown} a
 * @param {unknown} b
 */
const isEqual = (a, b) => {
  if (a === undefined || b === undefined) return a === b
  try {
    return canonical(pack(a)) === canonical(pack(b))
  } catch {
    return false // somebody stored what cannot be written here; told once too often is no harm
  }
}

/**
 * Return the key of an entry's cell as a user knows it.
 *
 * @param {Entry} entry
 * @returns {unknown} a map's key, a list item's id, a set's element, or null
 */
export const shownKey = entry => {
  if (entry.kind === CELL || entry.kind === LISTED) return entry.key
  return entry.kind === ELEMENT ? entry.value : null
}

/**
 * Return the client that a transaction came from: every update of a session contains an insert of its client, so
 * that the deletions are its own if it is the only one that inserted.
 *
 * @param {Transaction} transaction
 * @returns {number | null} null if there were several, or none
 */
export const onlyWriter = transaction => {
  let writer = null
  for (const [client, clock] of transaction.afterState) {
    if (clock === (transaction.beforeState.get(client) ?? 0)) continue
    if (writer !== null) return null
    writer = client
  }
  return writer
}
