/** Branches: which fields lie below a path, and whether anything there is live. */

import { split } from './path.js'

/** @typedef {import('./cells.js').Cells | import('./cells.js').Items} Held */

/** A path with the fields that lie at it, and the paths below it. */
export class Branch {
  /** @param {Branch | null} parent */
  constructor(parent) {
    this.parent = parent
    /** By their last name. @type {Map<string, Branch>} */
    this.children = new Map()
    /** The fields at this very path. @type {Set<Held>} */
    this.fields = new Set()
    /** The path, if there is a text of this name. @type {string | null} */
    this.text = null
    /** How many fields at this path and below it hold something. */
    this.live = 0
  }

  /**
   * Return the branch of a path below this one, which is made if there is none.
   *
   * @param {string} path
   * @returns {Branch}
   */
  at(path) {
    /** @type {Branch} */
    let branch = this
    for (const name of split(path)) branch = branch.child(name)
    return branch
  }

  /**
   * @param {string} name
   * @returns {Branch}
   */
  child(name) {
    let found = this.children.get(name)
    if (found === undefined) {
      found = new Branch(this)
      this.children.set(name, found)
    }
    return found
  }

  /**
   * Take note that a field at this path has become smaller or larger.
   *
   * @param {number} before
   * @param {number} after
   */
  resized(before, after) {
    if ((before === 0) === (after === 0)) return
    const gained = after > 0 ? 1 : -1
    for (let branch = /** @type {Branch | null} */ (this); branch !== null; branch = branch.parent) {
      branch.live += gained
    }
  }

  /** Every branch from this one down. @returns {Generator<Branch>} */
  *walk() {
    yield this
    for (const child of this.children.values()) yield* child.walk()
  }
}
