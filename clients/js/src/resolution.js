/** Resolution: what becomes of concurrent values, by a strategy or by somebody's decision on a ticket. */

/** @typedef {import('./document.js').Conflict} Conflict */
/** @typedef {import('./document.js').Rival} Rival */

/**
 * Decides which value a conflict comes to. In a schema it decides what is *read* while the rivals are live, by them
 * alone and so the same on every replica; given to `resolve` it decides what is written.
 *
 * @typedef {object} Strategy
 * @property {(conflict: Conflict) => unknown} decide returns the value, or undefined to delete the cell
 */

/**
 * @param {Rival} a
 * @param {Rival} b
 */
const byTime = (a, b) => a.stamp - b.stamp || a.client - b.client

/** The latest write holds, be it of a value or a deletion. @type {Strategy} */
export const lastWriter = Object.freeze({
  decide: (/** @type {Conflict} */ { rivals }) => [...rivals].sort(byTime).at(-1)?.value
})

/** The earliest write holds. @type {Strategy} */
export const firstWriter = Object.freeze({
  decide: (/** @type {Conflict} */ { rivals }) => [...rivals].sort(byTime)[0]?.value
})

/**
 * Make one value of the concurrent ones.
 *
 * @param {(conflict: Conflict) => unknown} decide returns the value, or undefined to delete the cell. The conflict's
 *   `ancestor` is there for a three-way merge where this replica remembers it; never when it decides what is read. It
 *   must be pure.
 * @returns {Strategy}
 */
export const merge = decide => Object.freeze({ decide })

/** Leaves the decision to somebody; see `manual`. */
export class Manual {
  /** @param {string} note */
  constructor(note) {
    this.note = note
  }

  /**
   * Return what is read until somebody decided: the last write that is live.
   *
   * @param {Conflict} conflict
   */
  decide({ rivals }) {
    return rivals[0].value
  }
}

/**
 * Open a ticket with the concurrent values, which stays in the document until somebody resolves it.
 *
 * @param {string} [note] what to tell them
 */
export const manual = (note = '') => new Manual(note)
