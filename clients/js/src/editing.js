/** Edits: the typed edits of a state document, one Yjs update each or for each transaction. */

import { Items, NOTHING, totalsOf } from './cells.js'
import {
  CELL,
  cellEntry,
  COUNTER,
  counterEntry,
  ELEMENT,
  elementEntry,
  itemEntry,
  LISTED,
  PLACE,
  placeEntry,
  REGISTER
} from './entry.js'
import { InvalidValueError, TooLargeError } from './errors.js'
import { canonical } from './msgpack.js'
import { pack } from './pack.js'
import { Positions } from './position.js'
import { CODES, ReadableDocument, SOLE } from './reading.js'
import { charactersOf, TextView } from './textview.js'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./cells.js').Cells} Cells */
/** @typedef {import('./branch.js').Branch} Branch */
/** @typedef {import('./textview.js').TextEdit} TextEdit */

/** Kinds whose cells have names. */
const NAMED = new Set([CELL, LISTED, PLACE])

/**
 * What can be edited of a state document. Every edit throws TooLargeError where it passes the document's limits, and
 * InvalidValueError for what cannot be stored; nothing is written then.
 */
export class EditableDocument extends ReadableDocument {
  /** @type {Positions | null} */
  positions = null

  /**
   * Write a register.
   *
   * @param {string} name
   * @param {unknown} value
   */
  setRegister(name, value) {
    this.write(REGISTER, name, SOLE, value)
  }

  /**
   * Delete what a register holds.
   *
   * @param {string} name
   */
  clearRegister(name) {
    this.replace(this.index.cells(REGISTER, name), SOLE, null)
  }

  /**
   * Write a map cell.
   *
   * @param {string} name
   * @param {string} key
   * @param {unknown} value
   */
  setCell(name, key, value) {
    this.write(CELL, name, key, value)
  }

  /**
   * Delete a map cell.
   *
   * @param {string} name
   * @param {string} key
   */
  deleteCell(name, key) {
    this.replace(this.index.cells(CELL, name), key, null)
  }

  /**
   * Add a set element; added again, it outlives removals that have not seen this.
   *
   * @param {string} name
   * @param {unknown} element
   */
  addElement(name, element) {
    const entry = elementEntry(name, element, this.client, this.limits.depth)
    this.replace(this.index.cells(ELEMENT, name), entry.key, entry)
  }

  /**
   * Remove a set element, if it is there: every tag of it that this replica has seen.
   *
   * @param {string} name
   * @param {unknown} element
   */
  discardElement(name, element) {
    this.replace(this.index.cells(ELEMENT, name), canonical(pack(element, this.limits.depth)), null)
  }

  /**
   * Add a whole number to a counter; a negative one is subtracted.
   *
   * @param {string} name
   * @param {number} amount
   */
  count(name, amount) {
    const cells = this.index.cells(COUNTER, name)
    const key = String(this.client)
    let [plus, minus] = totalsOf(cells.at(key))
    if (amount > 0) plus += amount
    else minus -= amount
    if (Math.max(plus, minus) > Number.MAX_SAFE_INTEGER) {
      throw new InvalidValueError('a counter past 2^53 - 1', {
        subject: name,
        remedy: 'count in larger units'
      })
    }
    this.replace(cells, key, counterEntry(name, plus, minus, this.client))
  }

  /**
   * Delete what everybody counted; what is counted meanwhile elsewhere survives, with its session's total.
   *
   * @param {string} name
   */
  resetCounter(name) {
    this.clearCells(this.index.cells(COUNTER, name))
  }

  /**
   * Append an item to a log.
   *
   * @param {string} name
   * @param {unknown} value
   */
  appendItem(name, value) {
    const entry = itemEntry(name, this.clock.tick(), value, this.client, this.limits.depth)
    this.checkEntry(entry)
    this.checkRoom(1)
    this.edit(({ fresh }) => {
      this.index.add(entry)
      fresh.add(entry)
    })
  }

  /**
   * Delete items of a log.
   *
   * @param {readonly Entry[]} entries
   */
  pruneItems(entries) {
    if (entries.length === 0) return
    const gone = [...entries].reverse()
    this.edit(staged => {
      for (const entry of gone) {
        this.index.drop(entry)
        staged.doom(entry)
      }
    })
  }

  /**
   * Insert an item into a list, after one position and before another; null stands for an end.
   *
   * @param {string} name
   * @param {string | null} left
   * @param {string | null} right
   * @param {unknown} value
   * @returns {string} its id
   */
  insertItem(name, left, right, value) {
    const id = this.position(left, right)
    this.putItem(name, id, value)
    return id
  }

  /**
   * Write an item of a list under its id; a new id is its position.
   *
   * @param {string} name
   * @param {string} id
   * @param {unknown} value
   */
  putItem(name, id, value) {
    this.write(LISTED, name, id, value)
  }

  /**
   * Move an item of a list between two positions; null stands for an end.
   *
   * @param {string} name
   * @param {string} id
   * @param {string | null} left
   * @param {string | null} right
   */
  moveItem(name, id, left, right) {
    this.placeItem(name, id, this.position(left, right))
  }

  /**
   * Move an item of a list to a position.
   *
   * @param {string} name
   * @param {string} id
   * @param {string} position
   */
  placeItem(name, id, position) {
    const entry = placeEntry(name, id, this.clock.tick(), position, this.client)
    this.replace(this.index.cells(PLACE, name), id, entry)
  }

  /**
   * Remove an item of a list, and its place.
   *
   * @param {string} name
   * @param {string} id
   */
  removeItem(name, id) {
    this.edit(() => {
      for (const code of [LISTED, PLACE]) this.replace(this.index.cells(code, name), id, null)
    })
  }

  /**
   * Edit a text.
   *
   * @param {string} name
   * @param {TextEdit} edit
   */
  editText(name, edit) {
    const ytext = this.roots.text(name)
    this.edit(({ texts }) => {
      const view = texts.get(name) ?? new TextView(ytext)
      texts.set(name, view)
      view.stage(edit)
    })
  }

  /**
   * Return a root text with what is staged for it; it becomes part of the document when it is first asked for.
   *
   * @param {string} name
   * @returns {import('yjs').Text} not to be edited here
   */
  text(name) {
    return this.staged?.texts.get(name)?.read() ?? this.roots.text(name)
  }

  /**
   * Return the length of a root text, in UTF-16 code units.
   *
   * @param {string} name
   * @returns {number}
   */
  textLength(name) {
    return this.staged?.texts.get(name)?.length ?? this.roots.text(name).length
  }

  /**
   * Return the characters of a root text; an embedded object reads as U+FFFC.
   *
   * @param {string} name
   * @returns {string}
   */
  textValue(name) {
    return charactersOf(this.text(name))
  }

  /**
   * Delete everything that lies at a path and below it, in one transaction.
   *
   * @param {string} path
   */
  deleteAt(path) {
    this.transaction(() => {
      for (const code of [...Object.values(CODES), PLACE]) {
        const field = this.index.find(code, path)
        if (field !== undefined) this.clearField(field)
      }
      if (this.roots.known.get(path)?.kind === 'text') this.clearText(path)
      this.deleteBranch(this.index.root.at(path))
    })
  }

  /** @param {string} name */
  clearText(name) {
    const length = this.textLength(name)
    if (length > 0) this.editText(name, { at: 0, gone: length, come: '', attributes: null })
  }

  /**
   * Delete everything that lies in a branch, in one transaction.
   *
   * @param {Branch} branch
   */
  deleteBranch(branch) {
    this.transaction(() => {
      for (const { fields, text } of branch.walk()) {
        for (const field of fields) this.clearField(field)
        if (text !== null) this.clearText(text)
      }
    })
  }

  /** @param {Cells | Items} field */
  clearField(field) {
    if (field instanceof Items) this.pruneItems(field.list())
    else this.clearCells(field)
  }

  /** @param {Cells} cells */
  clearCells(cells) {
    this.transaction(() => {
      for (const key of [...cells.cells.keys()]) this.replace(cells, key, null)
    })
  }

  /**
   * Return a new position between two others; null stands for an end.
   *
   * @param {string | null} left
   * @param {string | null} right
   * @returns {string}
   */
  position(left, right) {
    // Yjs takes another client id if it meets its own in what somebody else sent.
    if (this.positions?.session !== this.client) this.positions = new Positions(this.client)
    return this.positions.between(left, right)
  }

  /**
   * @param {number} code REGISTER, CELL or LISTED
   * @param {string} name
   * @param {string} key
   * @param {unknown} value
   */
  write(code, name, key, value) {
    const cells = this.index.cells(code, name)
    const ancestor = this.staged === null ? (cells.at(key)[0]?.stamp ?? 0) : this.staged.ancestor(cells, key)
    const { client, limits } = this
    this.replace(
      cells,
      key,
      cellEntry(code, name, key, this.clock.tick(), value, ancestor, client, limits.depth)
    )
  }

  /**
   * Supersede what a cell holds by one entry, or by none.
   *
   * @param {Cells} cells
   * @param {string} key
   * @param {Entry | null} entry
   */
  replace(cells, key, entry) {
    const before = cells.at(key)
    if (entry === null) {
      if (before.length === 0) return
    } else {
      this.checkEntry(entry)
      if (before.length === 0) this.checkRoom(1)
    }
    this.edit(staged => {
      if (entry === null) staged.noteDeletion(cells, key)
      for (const old of before) staged.doom(old)
      this.index.put(cells, key, entry === null ? NOTHING : [entry])
      if (entry === null) return
      staged.fresh.add(entry)
      this.index.checkFit(cells, entry)
    })
  }

  /** @param {Entry} entry */
  checkEntry({ kind, field, key, raw }) {
    const { valueBytes, nameBytes } = this.limits
    // No code unit takes more than three bytes: what is short cannot be over a limit.
    if (raw.length <= valueBytes && 3 * Math.max(field.length, key.length) <= nameBytes) return
    const sizes = NAMED.has(kind) ? [sizeOf(field), sizeOf(key)] : [sizeOf(field)]
    const longest = Math.max(...sizes)
    if (longest > nameBytes) {
      throw new TooLargeError(`a name of ${longest} bytes, over ${nameBytes}`, {
        subject: field.slice(0, 60),
        remedy: 'use a shorter field name or key; nothing was written'
      })
    }
    const size = raw.length - sizes.reduce((a, b) => a + b)
    if (size > valueBytes) {
      throw new TooLargeError(`a value of ${size} bytes, over ${valueBytes}`, {
        subject: field,
        remedy: 'spread it over several cells, or keep it elsewhere and store where; nothing was written'
      })
    }
  }

  /** @param {number} count */
  checkRoom(count) {
    const { cells } = this.limits
    if (this.index.live + count <= cells) return
    throw new TooLargeError(`more than ${cells} live values`, {
      subject: 'document',
      remedy: 'prune logs or delete what is done with, or spread the state over several rooms'
    })
  }
}

const encoder = new TextEncoder()

/** @param {string} name */
const sizeOf = name => encoder.encode(name).length
