/** A text: a Yjs text of the field's path, so that every Yjs editor can bind to it. */

import { InvalidValueError } from './errors.js'
import { Declaration, Field } from './field.js'
import { cutsCharacter } from './textview.js'

/** @typedef {import('./textview.js').TextDelta} TextDelta */

/**
 * A text that many write at once, character by character. Positions and lengths are counted in UTF-16 code units, as
 * JavaScript and Yjs count.
 *
 * Source: the Yjs text type, a YATA sequence (P. Nicolaescu et al., "Near Real-Time Peer-to-Peer Shared Editing on
 * Extensible Data Types", 2016).
 */
export class Text extends Field {
  static kind = /** @type {const} */ ('text')

  /**
   * @param {import('./document.js').StateDocument} document
   * @param {string} name
   * @param {() => void} [touch] where the text lies in a row
   */
  constructor(document, name, touch) {
    super(document, name, touch ?? (() => {}))
    this.liesInRow = touch !== undefined
    document.roots.text(name)
  }

  /** The Yjs text, for editors to bind to. */
  get ytext() {
    return this.document.roots.text(this.name)
  }

  /** The text; an object that an editor embedded reads as U+FFFC. */
  get value() {
    return this.document.textValue(this.name)
  }

  get length() {
    return this.document.textLength(this.name)
  }

  toString() {
    return this.value
  }

  /** The content with its formatting. @returns {TextDelta} */
  toDelta() {
    return this.document.text(this.name).toDelta()
  }

  /**
   * Insert characters before a position.
   *
   * @param {number} index from 0 to the length
   * @param {string} text
   * @param {Record<string, unknown> | null} [attributes] formatting, such as `{ bold: true }`
   * @throws {InvalidValueError} if the position lies outside or inside a character, or the text holds a lone surrogate
   */
  insert(index, text, attributes = null) {
    if (this.checked(index, 0, text)) this.edit(index, 0, text, attributes)
  }

  /**
   * Insert characters at the end.
   *
   * @param {string} text
   */
  append(text) {
    this.insert(this.length, text)
  }

  /**
   * Delete characters from a position on.
   *
   * @param {number} index
   * @param {number} length
   * @throws {InvalidValueError} if they lie outside, or begin or end inside a character
   */
  delete(index, length) {
    if (this.checked(index, length, '')) this.edit(index, length, '', null)
  }

  /**
   * Delete characters and insert others in their place, as one edit.
   *
   * @param {number} index
   * @param {number} length
   * @param {string} text
   */
  replace(index, length, text) {
    if (this.checked(index, length, text)) this.edit(index, length, text, null)
  }

  /**
   * Set formatting of a range; an attribute of null is taken away.
   *
   * @param {number} index
   * @param {number} length
   * @param {Record<string, unknown>} attributes
   */
  format(index, length, attributes) {
    if (this.checked(index, length, '')) this.edit(index, length, '', attributes)
  }

  /**
   * Make the text this one, by one splice.
   *
   * @param {string} value
   */
  assign(value) {
    const now = this.value
    let start = 0
    while (start < now.length && start < value.length && now[start] === value[start]) start += 1
    if (isLow(now, start) || isLow(value, start)) start -= 1
    let end = 0
    const most = Math.min(now.length, value.length) - start
    while (end < most && now.at(-1 - end) === value.at(-1 - end)) end += 1
    if (isLow(now, now.length - end) || isLow(value, value.length - end)) end -= 1
    this.replace(start, now.length - start - end, value.slice(start, value.length - end))
  }

  toJSON() {
    return this.value
  }

  /**
   * @param {number} index
   * @param {number} length
   * @param {string} text
   * @returns {boolean} whether there is anything to do
   */
  checked(index, length, text) {
    const size = this.length
    const end = index + length
    if (!Number.isInteger(index) || !Number.isInteger(length) || index < 0 || length < 0 || end > size) {
      throw this.refusal(`positions ${index} to ${end} of ${size}`)
    }
    if (/\p{Surrogate}/u.test(text)) throw this.refusal('a lone surrogate in a text')
    const ytext = this.document.text(this.name)
    if (cutsCharacter(ytext, index) || (length > 0 && cutsCharacter(ytext, end))) {
      throw this.refusal('a position inside a character')
    }
    return length > 0 || text !== ''
  }

  /** @param {string} what */
  refusal(what) {
    return new InvalidValueError(what, { subject: this.name, remedy: 'nothing was written' })
  }

  /**
   * @param {number} at
   * @param {number} gone
   * @param {string} come
   * @param {Record<string, unknown> | null} given
   */
  edit(at, gone, come, given) {
    const edit = { at, gone, come, attributes: given === null ? null : this.plain(given) }
    if (!this.liesInRow) return this.document.editText(this.name, edit)
    this.document.transaction(() => {
      this.touch()
      this.document.editText(this.name, edit)
    })
  }

  /**
   * Return a copy as Yjs stores attributes: JSON.
   *
   * @param {Record<string, unknown>} attributes
   * @returns {Record<string, unknown>}
   */
  plain(attributes) {
    try {
      return JSON.parse(JSON.stringify(attributes))
    } catch (error) {
      throw this.refusal(`formatting that is not JSON: ${String(error)}`)
    }
  }
}

/**
 * Tell whether a position lies inside a character that takes two code units.
 *
 * @param {string} text
 * @param {number} at
 */
const isLow = (text, at) => /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(Math.max(at - 1, 0), at + 1))

/**
 * Declare a text.
 *
 * @returns {Declaration<Text>}
 */
export const text = () => new Declaration((document, name, touch) => new Text(document, name, touch))
