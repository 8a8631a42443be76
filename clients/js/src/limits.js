/** Limits of what a document takes from those who edit it here; the server's edge holds others to the same. */

/** Values nested deeper, which no sound program writes, are not read: readers recurse. */
export const MAX_READ_DEPTH = 256

/**
 * What one document takes.
 *
 * @typedef {object} Limits
 * @property {number} valueBytes the greatest size of one value as it is stored, in bytes
 * @property {number} nameBytes the greatest length of a field's path or of a key, in bytes of UTF-8
 * @property {number} depth how deep arrays and objects of one value may be nested
 * @property {number} cells how many values may be live at once
 */

/** @type {Readonly<Limits>} */
export const LIMITS = Object.freeze({
  // A cell is sent whole at each write: what is larger belongs beside the document.
  valueBytes: 1024 * 1024,
  // Every entry of a cell repeats its field's name and its key.
  nameBytes: 1024,
  depth: 100,
  // Some 500 bytes of memory each, in every replica.
  cells: 1_000_000
})
