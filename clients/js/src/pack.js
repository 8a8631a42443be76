/**
 * Packing: values as the entries of docs/state-format.md store them, byte for byte as Python's msgpack does.
 *
 * JavaScript has one type of numbers and the format two: whole numbers up to 2^53 - 1 are stored as integers, all
 * others as floats. `float(1)` is stored as 1.0, and a BigInt as an integer of up to 64 bits.
 */

import { InvalidValueError } from './errors.js'
import { canonical, depthOf } from './msgpack.js'
import { LIMITS } from './limits.js'

const REMEDY =
  'store text, numbers, BigInts below 2^64, booleans, null, Uint8Arrays, Dates, arrays, sets, or objects and Maps of these'

/** A number that is stored as a float even if it is whole. */
export class Float {
  /** @param {number} value */
  constructor(value) {
    this.value = value
  }

  valueOf() {
    return this.value
  }
}

/**
 * Return a number that is stored as a float even if it is whole.
 *
 * @param {number} value
 */
export const float = value => new Float(value)

/** A value that is encoded already, and stored as it is. */
export class Packed {
  /** @param {Uint8Array} bytes exactly one MessagePack value */
  constructor(bytes) {
    this.bytes = bytes
  }
}

const encoder = new TextEncoder()
/** Where values are written before they are copied; it grows and is reused. */
let bytes = new Uint8Array(4096)
let view = new DataView(bytes.buffer)
let at = 0

/** @param {number} count */
const room = count => {
  if (at + count <= bytes.length) return
  const larger = new Uint8Array(Math.max(2 * bytes.length, at + count))
  larger.set(bytes.subarray(0, at))
  bytes = larger
  view = new DataView(bytes.buffer)
}

/** @param {number} first */
const byte = first => {
  room(1)
  bytes[at++] = first
}

/**
 * Write a head whose length takes 1, 2 or 4 bytes.
 *
 * @param {number} length
 * @param {number | null} one the first byte for a length of one byte; null where there is no such head
 * @param {number} two
 * @param {number} four
 */
const sized = (length, one, two, four) => {
  room(5)
  if (length < 0x100 && one !== null) {
    bytes[at] = one
    bytes[at + 1] = length
    at += 2
  } else if (length < 0x10000) {
    bytes[at] = two
    view.setUint16(at + 1, length)
    at += 3
  } else {
    bytes[at] = four
    view.setUint32(at + 1, length)
    at += 5
  }
}

/** @param {number} value */
const writeInteger = value => {
  room(9)
  if (value >= 0) {
    if (value < 0x80) bytes[at++] = value
    else if (value < 0x1_0000_0000) sizedInteger(value)
    else {
      bytes[at] = 0xcf
      view.setUint32(at + 1, Math.floor(value / 0x1_0000_0000))
      view.setUint32(at + 5, value % 0x1_0000_0000)
      at += 9
    }
  } else if (value >= -0x20) bytes[at++] = value & 0xff
  else writeNegative(value)
}

/** @param {number} value below 2^32 */
const sizedInteger = value => {
  if (value < 0x100) {
    bytes[at] = 0xcc
    bytes[at + 1] = value
    at += 2
  } else if (value < 0x10000) {
    bytes[at] = 0xcd
    view.setUint16(at + 1, value)
    at += 3
  } else {
    bytes[at] = 0xce
    view.setUint32(at + 1, value)
    at += 5
  }
}

/** @param {number} value below -32 */
const writeNegative = value => {
  if (value >= -0x80) {
    bytes[at] = 0xd0
    view.setInt8(at + 1, value)
    at += 2
  } else if (value >= -0x8000) {
    bytes[at] = 0xd1
    view.setInt16(at + 1, value)
    at += 3
  } else if (value >= -0x8000_0000) {
    bytes[at] = 0xd2
    view.setInt32(at + 1, value)
    at += 5
  } else {
    bytes[at] = 0xd3
    view.setBigInt64(at + 1, BigInt(value))
    at += 9
  }
}

/** @param {number} value */
const writeFloat = value => {
  room(9)
  bytes[at] = 0xcb
  view.setFloat64(at + 1, value)
  at += 9
}

/** @param {number} value */
const writeNumber = value => {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) writeInteger(value)
  else writeFloat(value)
}

/** @param {bigint} value */
const writeBigInt = value => {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return writeInteger(number)
  if (value < -(2n ** 63n) || value >= 2n ** 64n) throw unstorable(`${value} takes more than 64 bits`)
  room(9)
  bytes[at] = value < 0n ? 0xd3 : 0xcf
  view.setBigUint64(at + 1, BigInt.asUintN(64, value))
  at += 9
}

/** @param {number} length bytes of UTF-8 */
const writeTextHead = length => {
  if (length < 0x20) byte(0xa0 | length)
  else sized(length, 0xd9, 0xda, 0xdb)
}

/** @param {string} text */
const writeText = text => {
  const { length } = text
  const start = at
  // Most names and values are short and ASCII, which needs no encoder.
  if (length < 0x20) {
    room(length + 1)
    bytes[at++] = 0xa0 | length
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index)
      if (unit > 0x7f) {
        at = start
        return writeLongText(text)
      }
      bytes[at++] = unit
    }
  } else writeLongText(text)
}

/** @param {string} text */
const writeLongText = text => {
  if (/\p{Surrogate}/u.test(text)) throw unstorable('a lone surrogate in a text')
  const encoded = encoder.encode(text)
  writeTextHead(encoded.length)
  writeBytes(encoded)
}

/** @param {Uint8Array} data */
const writeBytes = data => {
  room(data.length)
  bytes.set(data, at)
  at += data.length
}

/** @param {Uint8Array} data */
const writeBinary = data => {
  sized(data.length, 0xc4, 0xc5, 0xc6)
  writeBytes(data)
}

/**
 * @param {readonly unknown[]} items
 * @param {number} depth how many levels may follow
 */
const writeArray = (items, depth) => {
  const { length } = items
  if (length < 0x10) byte(0x90 | length)
  else sized(length, null, 0xdc, 0xdd)
  // By index, so that the holes of a sparse array are met and refused.
  for (let index = 0; index < length; index++) writeValue(items[index], depth)
}

/**
 * @param {ReadonlyArray<[unknown, unknown]>} entries
 * @param {number} depth
 */
const writeMap = (entries, depth) => {
  const { length } = entries
  if (length < 0x10) byte(0x80 | length)
  else sized(length, null, 0xde, 0xdf)
  for (const [key, value] of entries) {
    if (typeof key === 'object' && !(key instanceof Float)) throw unstorable(`a ${nameOf(key)} as a key`)
    if (key === '__proto__') throw unstorable('a key named __proto__', 'choose another name')
    writeValue(key, 0)
    writeValue(value, depth)
  }
}

/**
 * @param {ReadonlySet<unknown>} set
 * @param {number} depth
 */
const writeSet = (set, depth) => {
  const items = [...set].map(item => new Packed(packed(item, depth)))
  const keys = new Map(items.map(item => [item, canonical(item.bytes)]))
  items.sort((a, b) => (String(keys.get(a)) < String(keys.get(b)) ? -1 : 1))
  writeArray(items, depth)
}

/**
 * @param {object} value
 * @param {number} depth
 */
const writeObject = (value, depth) => {
  if (value instanceof Float) return writeFloat(value.value)
  if (value instanceof Packed) {
    if (depthOf(value.bytes) > depth)
      throw unstorable('a value that is nested too deep', 'spread it over several cells')
    return writeBytes(value.bytes)
  }
  if (value instanceof Date) return writeText(isoTime(value))
  if (value instanceof Uint8Array) return writeBinary(value)
  if (value instanceof ArrayBuffer) return writeBinary(new Uint8Array(value))
  if (depth === 0) throw unstorable('a value that is nested too deep', 'spread it over several cells')
  if (Array.isArray(value)) return writeArray(value, depth - 1)
  if (value instanceof Map) return writeMap([...value], depth - 1)
  if (value instanceof Set) return writeSet(value, depth - 1)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw unstorable(`a ${nameOf(value)} has no stored form`)
  }
  writeMap(Object.entries(value), depth - 1)
}

/**
 * @param {unknown} value
 * @param {number} depth
 */
const writeValue = (value, depth) => {
  switch (typeof value) {
    case 'string':
      return writeText(value)
    case 'number':
      return writeNumber(value)
    case 'boolean':
      return byte(value ? 0xc3 : 0xc2)
    case 'bigint':
      return writeBigInt(value)
    case 'object':
      return value === null ? byte(0xc0) : writeObject(value, depth)
    default:
      throw unstorable(`${nameOf(value)} has no stored form`)
  }
}

/**
 * Return a moment as Python writes it: with an offset, and with microseconds unless it is a whole second.
 *
 * @param {Date} date
 */
const isoTime = date => {
  const year = date.getUTCFullYear()
  if (!(year >= 1 && year <= 9999)) throw unstorable('a date outside of the years 1 to 9999')
  const text = date.toISOString().slice(0, -1)
  return (text.endsWith('.000') ? text.slice(0, -4) : `${text}000`) + '+00:00'
}

/** @param {unknown} value */
const nameOf = value =>
  typeof value === 'object' && value !== null ? (value.constructor?.name ?? 'object') : typeof value

/**
 * @param {string} what
 * @param {string} [remedy]
 */
const unstorable = (what, remedy = REMEDY) => new InvalidValueError(what, { remedy })

/**
 * @param {unknown} value
 * @param {number} depth
 */
const packed = (value, depth) => {
  const start = at
  try {
    writeValue(value, depth)
    return bytes.slice(start, at)
  } finally {
    at = start
  }
}

/**
 * Encode a value.
 *
 * @param {unknown} value
 * @param {number} [depth] how deep it may be nested
 * @param {string} [subject] whose value it is, for errors
 * @returns {Uint8Array}
 * @throws {InvalidValueError} if it, or a part of it, cannot be stored
 */
export const pack = (value, depth = LIMITS.depth, subject = '') => {
  try {
    return packed(value, depth)
  } catch (error) {
    throw named(error, subject)
  }
}

/**
 * @param {unknown} error
 * @param {string} subject
 */
const named = (error, subject) =>
  error instanceof InvalidValueError
    ? new InvalidValueError(error.what, { subject, remedy: error.remedy })
    : error

/**
 * Encode an entry: an array of its kind, its field's path and so on. All but the value are known to be sound.
 *
 * @param {readonly unknown[]} parts
 * @param {number} [depth] how deep its value may be nested
 * @returns {Uint8Array}
 * @throws {InvalidValueError} if the value cannot be stored; the field is its subject
 */
export const packEntry = (parts, depth = LIMITS.depth) => {
  const start = at
  try {
    byte(0x90 | parts.length)
    for (let index = 0; index < parts.length; index++) writeValue(parts[index], depth)
    return bytes.slice(start, at)
  } catch (error) {
    throw named(error, String(parts[1]))
  } finally {
    at = start
  }
}
