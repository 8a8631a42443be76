/** Views of texts: what a root text holds, with the edits that a transaction has staged for it. */

import * as Y from 'yjs'

/** Stands for an embedded object, so that lengths agree with positions. */
const OBJECT_REPLACEMENT = '\ufffc'

/**
 * One edit of a text: some characters go, others come, or some get attributes.
 *
 * @typedef {object} TextEdit
 * @property {number} at where, in UTF-16 code units, as JavaScript and Yjs count
 * @property {number} gone how many go (or, with attributes and nothing to insert, get these)
 * @property {string} come
 * @property {Record<string, unknown> | null} attributes
 */

/** @typedef {Array<{ insert: string | object, attributes?: Record<string, unknown> }>} TextDelta */

/** A text with staged edits, of which Yjs learns when the transaction ends. */
export class TextView {
  /** @param {Y.Text} ytext */
  constructor(ytext) {
    this.ytext = ytext
    /** @type {TextEdit[]} */
    this.edits = []
    this.length = ytext.length
    /** A copy with the first so many of the edits made, once somebody reads. @type {Y.Text | null} */
    this.copy = null
    this.copied = 0
  }

  /** Whether characters come. */
  get inserts() {
    return this.edits.some(({ come }) => come !== '')
  }

  /** @param {TextEdit} edit */
  stage(edit) {
    this.edits.push(edit)
    if (!formats(edit)) this.length += edit.come.length - edit.gone
  }

  /** Make the edits, inside a Yjs transaction. */
  write() {
    for (const edit of this.edits) make(this.ytext, edit)
  }

  /** The text as it will be. @returns {Y.Text} */
  read() {
    if (this.copy === null) {
      this.copy = new Y.Doc().getText('copy')
      this.copy.applyDelta(this.ytext.toDelta(), { sanitize: false })
    }
    for (; this.copied < this.edits.length; this.copied++) make(this.copy, this.edits[this.copied])
    return this.copy
  }
}

/** @param {TextEdit} edit */
const formats = ({ come, attributes }) => come === '' && attributes !== null

/**
 * @param {Y.Text} ytext
 * @param {TextEdit} edit
 */
const make = (ytext, edit) => {
  const { at, gone, come, attributes } = edit
  if (formats(edit)) {
    ytext.format(at, gone, attributes ?? {})
    return
  }
  if (gone > 0) ytext.delete(at, gone)
  if (come !== '') ytext.insert(at, come, attributes ?? undefined)
}

/**
 * Return the characters of a text; an embedded object reads as U+FFFC.
 *
 * @param {Y.Text} ytext
 * @returns {string}
 */
export const charactersOf = ytext => {
  const text = ytext.toString()
  if (text.length === ytext.length) return text
  const delta = /** @type {TextDelta} */ (ytext.toDelta())
  return delta.map(({ insert }) => (typeof insert === 'string' ? insert : OBJECT_REPLACEMENT)).join('')
}

/**
 * Tell whether a position lies in the middle of a character that takes two code units.
 *
 * @param {Y.Text} ytext
 * @param {number} at
 */
export const cutsCharacter = (ytext, at) => {
  let left = at
  for (let item = ytext._start; item !== null && left > 0; item = item.right) {
    if (item.deleted || !item.countable) continue
    if (left < item.length) {
      return item.content instanceof Y.ContentString && isInside(item.content.str, left)
    }
    left -= item.length
  }
  return false
}

/**
 * @param {string} text
 * @param {number} at
 */
const isInside = (text, at) =>
  isBetween(text.charCodeAt(at - 1), 0xd800) && isBetween(text.charCodeAt(at), 0xdc00)

/**
 * @param {number} unit
 * @param {number} first of a block of 0x400
 */
const isBetween = (unit, first) => unit >= first && unit < first + 0x400
