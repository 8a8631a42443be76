/** The index of a state document: which entries are live in every cell, and what a transaction did to them. */

import { Branch } from './branch.js'
import { Cells, Items, NOTHING, Order, withEntry } from './cells.js'
import { Disputes } from './disputes.js'
import { ITEM, LISTED, PLACE } from './entry.js'
import { net } from './steps.js'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./steps.js').Step} Step */
/** @typedef {{ cells: Cells, key: string }} Place */

/** Finds the live entries of every cell, and notes the steps of the transaction under way. */
export class LiveIndex {
  constructor() {
    /** The cells and items of each field by kind and path. @type {Map<string, Cells | Items>} */
    this.fields = new Map()
    this.root = new Branch(null)
    this.disputes = new Disputes()
    /** How many entries are live in all fields. */
    this.live = 0
    /** Whether steps are noted, which costs time: they serve to tell listeners and to take edits back. */
    this.noting = false
    /** @type {Step[]} */
    this.steps = []
    /** Cells that lost entries, with what they held. @type {Array<Place & { before: readonly Entry[] }>} */
    this.shrunk = []
    /** Cells that were empty. @type {Place[]} */
    this.filled = []
    /** Cells that got another rival. @type {Place[]} */
    this.disputed = []
    /** Cells that got an entry which does not fit their schema. @type {Place[]} */
    this.unfit = []
  }

  // Finding

  /**
   * Return a field if it is known.
   *
   * @param {number} code
   * @param {string} name
   */
  find(code, name) {
    return this.fields.get(`${code}${name}`)
  }

  /**
   * Return the cells of a field; the same object for the life of the index.
   *
   * @param {number} code
   * @param {string} name
   * @returns {Cells}
   */
  cells(code, name) {
    const key = `${code}${name}`
    const found = /** @type {Cells | undefined} */ (this.fields.get(key))
    if (found !== undefined) return found
    const cells = this.opened(key, new Cells(code, name, this.branch(name)))
    if (code === LISTED) new Order(cells, this.cellsBeside(PLACE, name))
    else if (code === PLACE) new Order(this.cellsBeside(LISTED, name), cells)
    return cells
  }

  /**
   * @param {number} code
   * @param {string} name
   */
  cellsBeside(code, name) {
    return this.opened(`${code}${name}`, new Cells(code, name, this.branch(name)))
  }

  /**
   * Return the items of a log; the same object for the life of the index.
   *
   * @param {string} name
   * @returns {Items}
   */
  items(name) {
    const key = `${ITEM}${name}`
    const found = /** @type {Items | undefined} */ (this.fields.get(key))
    return found ?? this.opened(key, new Items(name, this.branch(name)))
  }

  /**
   * @template {Cells | Items} F
   * @param {string} key
   * @param {F} field
   * @returns {F}
   */
  opened(key, field) {
    this.fields.set(key, field)
    field.branch?.fields.add(field)
    return field
  }

  /**
   * @param {string} name
   * @returns {Branch | null} null at the root, whose fields are in no branch
   */
  branch(name) {
    return name.includes('/') ? this.root.at(name) : null
  }

  // Following

  /**
   * Take in an entry that became live.
   *
   * @param {Entry} entry
   */
  add(entry) {
    if (entry.kind === ITEM) this.turn(this.items(entry.field), entry, true)
    else {
      const cells = this.cells(entry.kind, entry.field)
      this.put(cells, entry.key, withEntry(cells.at(entry.key), entry))
      this.checkFit(cells, entry)
    }
  }

  /**
   * Note an entry that does not fit its schema.
   *
   * @param {Cells} cells
   * @param {Entry} entry
   */
  checkFit(cells, entry) {
    if (cells.reader !== null && !cells.reader.fits(entry)) this.unfit.push({ cells, key: entry.key })
  }

  /**
   * Forget an entry that is live no more.
   *
   * @param {Entry} entry
   */
  drop(entry) {
    if (entry.kind === ITEM) this.turn(this.items(entry.field), entry, false)
    else {
      const cells = this.cells(entry.kind, entry.field)
      const entries = cells.at(entry.key)
      const left = entries.length === 1 ? NOTHING : entries.filter(other => other !== entry)
      this.put(cells, entry.key, left)
    }
  }

  /**
   * Replace what a cell holds.
   *
   * @param {Cells} cells
   * @param {string} key
   * @param {readonly Entry[]} entries
   */
  put(cells, key, entries) {
    const before = cells.at(key)
    if (this.noting) this.note(cells, key, before)
    this.live += entries.length - before.length
    if (cells.isDisputable) {
      if (before.length > 0) this.disputes.supersede(before)
      this.mind(cells, key, before, entries)
    }
    cells.put(key, entries)
  }

  /**
   * What goes is mostly followed by what supersedes it, and of a cell the first step says it all.
   *
   * @param {Cells} cells
   * @param {string} key
   * @param {readonly Entry[]} before
   */
  note(cells, key, before) {
    const last = this.steps.at(-1)
    if (last !== undefined && 'cells' in last && last.cells === cells && last.key === key) return
    this.steps.push({ cells, key, before })
  }

  /**
   * Note what `settle` will have to look at.
   *
   * @param {Cells} cells
   * @param {string} key
   * @param {readonly Entry[]} before
   * @param {readonly Entry[]} entries
   */
  mind(cells, key, before, entries) {
    if (before.length === 0) {
      if (this.disputes.deletions.size > 0) this.filled.push({ cells, key })
    } else if (entries.length === 0 || (before.length > 1 && entries.length < before.length)) {
      this.shrunk.push({ cells, key, before })
    }
    if (entries.length > 1 && entries.length > before.length) this.disputed.push({ cells, key })
  }

  /**
   * @param {Items} items
   * @param {Entry} entry
   * @param {boolean} gained
   */
  turn(items, entry, gained) {
    if (gained) items.add(entry)
    else items.remove(entry)
    this.live += gained ? 1 : -1
    if (this.noting) this.steps.push({ items, entry, gained })
  }

  /** Drop every entry; the cells and items handed out stay valid. */
  forgetAll() {
    for (const field of [...this.fields.values()]) {
      if (field instanceof Items) for (const entry of [...field.live]) this.turn(field, entry, false)
      else for (const key of [...field.cells.keys()]) this.put(field, key, NOTHING)
    }
  }

  // Ending a transaction

  /** Take what the steps noted come to. @returns {Step[]} */
  takeSteps() {
    const { steps } = this
    if (steps.length === 0) return steps
    this.steps = []
    return net(steps)
  }

  /** Take back every step noted, the last one first. */
  undo() {
    const { steps } = this
    this.steps = []
    this.noting = false
    for (const step of steps.reverse()) {
      if ('items' in step) this.turn(step.items, step.entry, !step.gained)
      else this.restore(step)
    }
    this.shrunk = []
    this.filled = []
    this.disputed = []
    this.unfit = []
  }

  /**
   * Put back what a cell held; what it holds was never written, and nothing that could stand in for anything.
   *
   * @param {import('./steps.js').CellStep} step
   */
  restore({ cells, key, before }) {
    this.live += before.length - cells.at(key).length
    cells.put(key, before)
  }

  /**
   * End a transaction: note deletions and what stands in for what does not fit.
   *
   * @param {() => number | null} deleter who made the deletions, if it is known
   * @param {() => number} now a stamp
   * @returns {Place[]} the cells that came into conflict, or got another rival
   */
  settle(deleter, now) {
    if (this.shrunk.length > 0) this.noteDeletions(deleter, now)
    if (this.unfit.length > 0) this.standIn()
    const { disputed, filled } = this
    if (disputed.length > 0) this.disputed = []
    if (filled.length === 0) return disputed
    this.filled = []
    return [...disputed, ...filled.filter(({ cells, key }) => this.disputes.written(cells, key))]
  }

  /**
   * @param {() => number | null} deleter
   * @param {() => number} now
   */
  noteDeletions(deleter, now) {
    const { shrunk } = this
    this.shrunk = []
    /** @type {Map<Cells, Map<string, Entry>>} */
    const greatest = new Map()
    for (const { cells, key, before } of shrunk) {
      if (cells.cells.has(key)) continue
      const keys = greatest.get(cells) ?? new Map()
      if (!(keys.get(key)?.stamp >= before[0].stamp)) greatest.set(cells, keys.set(key, before[0]))
    }
    for (const [cells, keys] of greatest) {
      for (const [key, entry] of keys) {
        cells.standIns.delete(key)
        this.disputes.deleted({ cells, key, entry, client: deleter(), seenAt: now() })
      }
    }
  }

  /** Keep what a cell held, if nothing that it holds now fits its schema. */
  standIn() {
    const { unfit } = this
    this.unfit = []
    for (const { cells, key } of unfit) {
      const { reader } = cells
      if (reader === null || !cells.isDisputable || this.disputes.isDeleted(cells, key)) continue
      if (cells.at(key).some(reader.fits)) continue
      const cell = { kind: cells.code, field: cells.name, key }
      for (const entry of this.disputes.before(cell)) {
        if (!reader.fits(entry)) continue
        cells.standIns.set(key, entry)
        break
      }
    }
  }
}
