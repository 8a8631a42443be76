/** Cells, items and orders: the live entries of one field, and what they read as. */

import { byPrecedence, CELL, COUNTER, ELEMENT, inOrder, ITEM, LISTED, PLACE, REGISTER } from './entry.js'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./branch.js').Branch} Branch */
/** @typedef {'register' | 'map' | 'set' | 'counter' | 'log' | 'list'} Kind */

/** @type {Record<number, Kind>} */
export const KINDS = {
  [REGISTER]: 'register',
  [CELL]: 'map',
  [ELEMENT]: 'set',
  [COUNTER]: 'counter',
  [ITEM]: 'log',
  [LISTED]: 'list',
  [PLACE]: 'list'
}

/** Kinds whose cells can be in conflict. */
const DISPUTABLE = new Set([REGISTER, CELL, LISTED])
/** So many that are out of order are rather sorted anew than sorted in. */
const MANY = 64

/**
 * What a schema says of how a field is read.
 *
 * @typedef {object} Reader
 * @property {(entry: Entry) => boolean} fits whether an entry's value fits the field
 * @property {(entries: readonly Entry[]) => unknown} pick the value that is read where several entries are live
 */

/** Registers, maps, sets, counters and lists: cells, each with its live entries, the one that is read first. */
export class Cells {
  /**
   * @param {number} code REGISTER, CELL, ELEMENT, COUNTER, LISTED or PLACE
   * @param {string} name the field's path
   * @param {Branch | null} branch where the path lies, null at the root
   */
  constructor(code, name, branch) {
    this.code = code
    this.kind = KINDS[code]
    this.name = name
    this.branch = branch
    this.isDisputable = DISPUTABLE.has(code)
    /** @type {Map<string, readonly Entry[]>} */
    this.cells = new Map()
    /** Keys of the cells with rivals. @type {Set<string>} */
    this.disputed = new Set()
    /** The order of a list. @type {Order | null} */
    this.order = null
    /** What the schema says; null while no typed field reads these cells. @type {Reader | null} */
    this.reader = null
    /** Of cells without an entry that fits the schema the last one seen that did. @type {Map<string, Entry>} */
    this.standIns = new Map()
    /** What a counter's lanes added, and added less what they subtracted. */
    this.plus = this.sum = 0n
    /** Whether of a counter only what was added is read. */
    this.grows = false
  }

  get size() {
    return this.cells.size
  }

  /** @param {string} key @returns {readonly Entry[]} */
  at(key) {
    return this.cells.get(key) ?? NOTHING
  }

  /**
   * Replace what a cell holds.
   *
   * @param {string} key
   * @param {readonly Entry[]} entries never changed afterwards, so that it can be compared with what comes later
   */
  put(key, entries) {
    const { size } = this.cells
    if (this.code === COUNTER) this.addUp(this.at(key), entries)
    if (entries.length > 0) this.cells.set(key, entries)
    else this.cells.delete(key)
    if (this.isDisputable) {
      if (entries.length > 1) this.disputed.add(key)
      else if (this.disputed.size > 0) this.disputed.delete(key)
    }
    if (this.order !== null) this.order.touch(key)
    if (this.branch !== null) this.branch.resized(size, this.cells.size)
  }

  /** The keys and values, each as a [key, value] pair. @returns {Generator<[string, unknown]>} */
  *entries() {
    for (const [key, entries] of this.cells) yield [key, entries[0].value]
  }

  /**
   * @param {readonly Entry[]} before
   * @param {readonly Entry[]} entries
   */
  addUp(before, entries) {
    const [plus, minus] = totalsOf(entries)
    const [plusBefore, minusBefore] = totalsOf(before)
    const added = BigInt(plus - plusBefore)
    this.plus += added
    this.sum += added - BigInt(minus - minusBefore)
  }

  /** What a counter counts. */
  get counted() {
    return this.grows ? this.plus : this.sum
  }

  /**
   * Return what one lane counts.
   *
   * @param {readonly Entry[]} entries
   */
  countedIn(entries) {
    const [plus, minus] = totalsOf(entries)
    return BigInt(this.grows ? plus : plus - minus)
  }

  /** What a counter counts. @returns {number | bigint} a BigInt beyond 2^53 - 1 */
  total() {
    return narrowed(this.counted)
  }
}

/** @type {readonly Entry[]} */
export const NOTHING = Object.freeze([])

/**
 * Return the entries of a cell with one more.
 *
 * @param {readonly Entry[]} entries
 * @param {Entry} entry
 * @returns {readonly Entry[]}
 */
export const withEntry = (entries, entry) =>
  entries.length === 0 ? [entry] : [...entries, entry].sort(byPrecedence)

/**
 * @param {bigint} value
 * @returns {number | bigint} a BigInt beyond 2^53 - 1
 */
export const narrowed = value => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/**
 * Return what one lane adds to and takes from a counter: its writer's totals only grow, so of several entries the
 * greatest hold.
 *
 * @param {readonly Entry[]} entries
 * @returns {[number, number]}
 */
export const totalsOf = entries => {
  let plus = 0
  let minus = 0
  for (const { data } of entries) {
    const totals = /** @type {[number, number]} */ (data)
    plus = Math.max(plus, totals[0])
    minus = Math.max(minus, totals[1])
  }
  return [plus, minus]
}

/** The order of a list's items: by position, then id. */
export class Order {
  /**
   * @param {Cells} items the list's items by id
   * @param {Cells} places the places of those that were moved
   */
  constructor(items, places) {
    this.items = items
    this.places = places
    /** @type {string[]} */
    this.sorted = []
    /** The positions by which `sorted` is in order. @type {Map<string, string>} */
    this.known = new Map()
    /** @type {Set<string>} */
    this.touched = new Set()
    items.order = places.order = this
  }

  /**
   * Note that an item came, went or was moved.
   *
   * @param {string} id
   */
  touch(id) {
    this.touched.add(id)
  }

  /**
   * Return the position of an item.
   *
   * @param {string} id
   * @returns {string}
   */
  position(id) {
    const places = this.places.cells.get(id)
    return places === undefined ? id : /** @type {string} */ (places[0].data)
  }

  /** The ids of all items, in order. @returns {readonly string[]} not to be changed */
  get ids() {
    if (this.touched.size > MANY) this.sort()
    else if (this.touched.size > 0) for (const id of this.touched) this.sortIn(id)
    if (this.touched.size > 0) this.touched.clear()
    return this.sorted
  }

  sort() {
    this.known = new Map()
    for (const id of this.items.cells.keys()) this.known.set(id, this.position(id))
    this.sorted = [...this.known.keys()].sort((a, b) => this.compare(a, b))
  }

  /** @param {string} id */
  sortIn(id) {
    if (this.known.has(id)) {
      this.sorted.splice(this.find(id), 1)
      this.known.delete(id)
    }
    if (!this.items.cells.has(id)) return
    this.known.set(id, this.position(id))
    this.sorted.splice(this.find(id), 0, id)
  }

  /**
   * Return how many known items stand before one whose position is known.
   *
   * @param {string} id
   */
  find(id) {
    let [low, high] = [0, this.sorted.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.compare(this.sorted[middle], id) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * @param {string} a
   * @param {string} b
   */
  compare(a, b) {
    const [one, other] = [
      /** @type {string} */ (this.known.get(a)),
      /** @type {string} */ (this.known.get(b))
    ]
    if (one !== other) return one < other ? -1 : 1
    return a < b ? -1 : a > b ? 1 : 0
  }
}

/** The items of a log, sorted when they are read and no sooner. */
export class Items {
  /**
   * @param {string} name the field's path
   * @param {Branch | null} branch where the path lies, null at the root
   */
  constructor(name, branch) {
    this.kind = KINDS[ITEM]
    this.name = name
    this.branch = branch
    /** @type {Set<Entry>} */
    this.live = new Set()
    /** @type {Entry[] | null} */
    this.sorted = []
    /** @type {Reader | null} */
    this.reader = null
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
    if (this.branch !== null) this.branch.resized(this.live.size - 1, this.live.size)
  }

  /** @param {Entry} entry */
  remove(entry) {
    this.live.delete(entry)
    if (this.sorted?.at(-1) === entry) this.sorted.pop()
    else this.sorted = null
    if (this.branch !== null) this.branch.resized(this.live.size + 1, this.live.size)
  }

  /** The items in order. @returns {readonly Entry[]} not to be changed */
  list() {
    this.sorted ??= [...this.live].sort(inOrder)
    return this.sorted
  }
}
