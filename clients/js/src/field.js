/** Fields: the live entries of one typed field, and what they read as. */

import { byPrecedence, CELL, COUNTER, ELEMENT, inOrder, ITEM, REGISTER } from './entry.js'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {'register' | 'map' | 'set' | 'counter' | 'log'} Kind */

/** @type {Record<number, Kind>} */
export const KINDS = {
  [REGISTER]: 'register',
  [CELL]: 'map',
  [ELEMENT]: 'set',
  [COUNTER]: 'counter',
  [ITEM]: 'log'
}

/** Registers, maps, sets and counters: cells, each with its live entries, the one that is read first. */
export class Cells {
  /**
   * @param {number} code REGISTER, CELL, ELEMENT or COUNTER
   * @param {string} name
   */
  constructor(code, name) {
    this.code = code
    this.kind = KINDS[code]
    this.name = name
    /** @type {Map<string, Entry[]>} */
    this.cells = new Map()
    /** Keys of the cells with rivals. @type {Set<string>} */
    this.disputed = new Set()
  }

  get size() {
    return this.cells.size
  }

  /** @param {Entry} entry */
  add(entry) {
    const before = this.cells.get(entry.key)
    this.put(entry.key, before === undefined ? [entry] : [...before, entry].sort(byPrecedence))
  }

  /** @param {Entry} entry */
  remove(entry) {
    const before = this.cells.get(entry.key) ?? []
    this.put(
      entry.key,
      before.filter(other => other !== entry)
    )
  }

  /**
   * @param {string} key
   * @param {Entry[]} entries never changed afterwards, so that it can be compared with what comes later
   */
  put(key, entries) {
    if (entries.length > 0) this.cells.set(key, entries)
    else this.cells.delete(key)
    if (entries.length > 1 && (this.code === REGISTER || this.code === CELL)) this.disputed.add(key)
    else this.disputed.delete(key)
  }

  /** The keys and values, each as a [key, value] pair. @returns {Generator<[string, unknown]>} */
  *entries() {
    for (const [key, entries] of this.cells) yield [key, entries[0].value]
  }

  /** What a counter counts. @returns {number | bigint} a BigInt beyond 2^53 - 1 */
  total() {
    let total = 0n
    for (const entries of this.cells.values()) total += BigInt(counted(entries))
    const number = Number(total)
    return Number.isSafeInteger(number) ? number : total
  }
}

/**
 * Return what one lane counts: its writer's totals only grow, so of several entries the greatest hold.
 *
 * @param {Entry[]} entries
 * @returns {number}
 */
export const counted = entries => {
  let plus = 0
  let minus = 0
  for (const { value } of entries) {
    const totals = /** @type {[number, number]} */ (value)
    plus = Math.max(plus, totals[0])
    minus = Math.max(minus, totals[1])
  }
  return plus - minus
}

/** The items of a log, sorted when they are read and no sooner. */
export class Items {
  /** @param {string} name */
  constructor(name) {
    this.kind = KINDS[ITEM]
    this.name = name
    /** @type {Set<Entry>} */
    this.live = new Set()
    /** @type {Entry[] | null} */
    this.sorted = []
  }

  get size() {
    return this.live.size
  }

  /** @param {Entry} entry */
  add(entry) {
    this.live.add(entry)
    const last = this.sorted?.at(-1)
    if (last === undefined || inOrder(last, entry) <= 0) this.sorted?.push(entry)
    else this.sorted = null
  }

  /** @param {Entry} entry */
  remove(entry) {
    this.live.delete(entry)
    this.sorted = null
  }

  /** The items in order. @returns {Entry[]} not to be changed */
  list() {
    this.sorted ??= [...this.live].sort(inOrder)
    return this.sorted
  }
}
