/** A register: one value, the last write wins, concurrent writes stay visible until the next. */

import { CellField } from './cellfield.js'
import { REGISTER } from './entry.js'
import { SchemaError } from './errors.js'
import { Declaration } from './field.js'
import { decode } from './msgpack.js'
import { pack } from './pack.js'

const SOLE = ''

/**
 * @template T
 * @typedef {import('./field.js').CellOptions<T> & { default?: T }} RegisterOptions default is read while nothing is
 *   written
 */

/**
 * One value: of concurrent writes the one with the greatest hybrid clock stamp is read, the same everywhere.
 *
 * @template T
 * @extends {CellField<T>}
 */
export class Register extends CellField {
  static kind = /** @type {const} */ ('register')

  /**
   * @param {import('./document.js').StateDocument} document
   * @param {string} name
   * @param {() => void} [touch]
   * @param {RegisterOptions<T>} [options]
   */
  constructor(document, name, touch = () => {}, options = {}) {
    super(document, name, touch, options, REGISTER)
    this.default = options.default === undefined ? null : pack(options.default)
  }

  /** The value, else the default, else undefined; a new object at each read if it can be changed. */
  get value() {
    const found = this.read(SOLE)
    if (found !== null) return /** @type {T | undefined} */ (found.value)
    return this.default === null ? undefined : /** @type {T} */ (decode(this.default))
  }

  /** Whether anything was written and not cleared since. */
  get isSet() {
    return this.cells.cells.has(SOLE)
  }

  /**
   * Write the value.
   *
   * @param {T} value
   * @throws {import('./errors.js').InvalidValueError} if it does not fit; nothing is written then
   */
  set(value) {
    this.check(value)
    this.document.setRegister(this.name, value)
  }

  /** Delete the value, so that the default is read; a concurrent write survives. */
  clear() {
    this.document.clearRegister(this.name)
  }

  /** @param {T} value */
  assign(value) {
    this.set(value)
  }

  toJSON() {
    return this.value
  }
}

/**
 * Declare a register.
 *
 * @template [T=any]
 * @param {RegisterOptions<T>} [options]
 * @returns {Declaration<Register<T>>}
 */
export const register = (options = {}) => {
  const problem = defaultProblem(options)
  if (problem !== null)
    throw new SchemaError(`a default that does not fit: ${problem}`, { subject: 'register' })
  return new Declaration((document, name, touch) => new Register(document, name, touch, options))
}

/** @param {RegisterOptions<any>} options */
const defaultProblem = ({ default: value, validate }) => {
  if (value === undefined) return null
  try {
    decode(pack(value))
    const verdict =
      validate === undefined || /** @type {(value: any) => boolean | string} */ (validate)(value)
    return verdict === true ? null : String(verdict || 'the validator says no')
  } catch (error) {
    return String(error)
  }
}
