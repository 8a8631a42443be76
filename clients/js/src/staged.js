/** Staged: what a transaction will do to the Yjs document when it ends. */

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./cells.js').Cells} Cells */
/** @typedef {import('./lanes.js').Lanes} Lanes */
/** @typedef {import('./textview.js').TextView} TextView */

/** The entries and texts that a transaction changes. */
export class Staged {
  constructor() {
    /** @type {Entry[]} */
    this.doomed = []
    /** In order, and quick to take an entry out of again. @type {Set<Entry>} */
    this.fresh = new Set()
    /** The texts that are edited. @type {Map<string, TextView>} */
    this.texts = new Map()
    /** What deleted cells descended from. @type {Map<Cells, Map<string, number>>} */
    this.deleted = new Map()
  }

  get isEmpty() {
    return this.fresh.size === 0 && this.doomed.length === 0 && this.texts.size === 0
  }

  /**
   * Delete an entry at the end, or never write it.
   *
   * @param {Entry} entry
   */
  doom(entry) {
    if (!this.fresh.delete(entry)) this.doomed.push(entry)
  }

  /**
   * Return the stamp of what a write of a cell supersedes in the Yjs document, 0 if that is nothing.
   *
   * @param {Cells} cells
   * @param {string} key
   */
  ancestor(cells, key) {
    const [before] = cells.at(key)
    if (before === undefined) return this.deleted.get(cells)?.get(key) ?? 0
    return this.fresh.has(before) ? before.ancestor : before.stamp
  }

  /**
   * Note that a cell is about to be deleted: what is written to it next supersedes what it held.
   *
   * @param {Cells} cells
   * @param {string} key
   */
  noteDeletion(cells, key) {
    const stamps = this.deleted.get(cells) ?? new Map()
    this.deleted.set(cells, stamps.set(key, this.ancestor(cells, key)))
  }

  /**
   * Do all of it, inside a Yjs transaction.
   *
   * @param {Lanes} lanes
   * @param {number} client
   * @param {string} agent
   */
  write(lanes, client, agent) {
    const texts = [...this.texts.values()]
    const signs = this.fresh.size === 0 && !texts.some(text => text.inserts)
    lanes.write(client, agent, { doomed: this.doomed, fresh: this.fresh, signs })
    for (const text of texts) text.write()
  }
}
