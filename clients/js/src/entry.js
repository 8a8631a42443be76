/** Entries: the immutable binary values that make up a lane (docs/state-format.md). */

import { MAX_READ_DEPTH } from './limits.js'
import { canonical, decode, depthOf, isInteger, items } from './msgpack.js'
import { packEntry } from './pack.js'

export const REGISTER = 0
export const CELL = 1
export const ELEMENT = 2
export const COUNTER = 3
export const ITEM = 4
export const HEADER = 5
export const LISTED = 6
export const PLACE = 7
/** An entry that this version does not understand: it keeps its place, and is never read. */
export const OPAQUE = -1

/** Where in the array of an entry its value lies. @type {Record<number, number>} */
const VALUE_AT = { [REGISTER]: 3, [CELL]: 4, [ELEMENT]: 2, [ITEM]: 3, [LISTED]: 4 }

/** Stands for a value that is decoded at each read, because it can be changed. */
const DECODE = Symbol('decode')
const NO_BYTES = new Uint8Array()

/** One live entry: its cell, its value, and where it lies. */
export class Entry {
  /**
   * @param {number} kind REGISTER, CELL, ELEMENT, COUNTER, ITEM, HEADER, LISTED, PLACE or OPAQUE
   * @param {string} field the field's path
   * @param {string} key what tells the cells of one field apart: a map's key, a set element's canonical form, a
   *   counter's client id, a list item's id; "" for the other kinds
   * @param {number} stamp the hybrid clock's stamp; 0 where the kind has none
   * @param {unknown} data a scalar value; [plus, minus] for a counter, the agent's name for a header, the position
   *   for a place
   * @param {number} ancestor the stamp of the entry that this one superseded; 0 for none
   * @param {number} client the Yjs client id of the lane it lies in
   * @param {Uint8Array} raw the stored bytes
   */
  constructor(kind, field, key, stamp, data, ancestor, client, raw) {
    this.kind = kind
    this.field = field
    this.key = key
    this.stamp = stamp
    this.data = data
    this.ancestor = ancestor
    this.client = client
    this.raw = raw
    /** The segment it lies in; null while it is only staged. @type {import('./lanes.js').Segment | null} */
    this.segment = null
  }

  /** The value as plain data; a new object at each read if it can be changed. @returns {unknown} */
  get value() {
    return this.data === DECODE ? held(this.packed) : this.data
  }

  /** The value as it is stored. @returns {Uint8Array} */
  get packed() {
    return items(this.raw)[VALUE_AT[this.kind]]
  }
}

/**
 * Decode a stored entry; one that is not understood comes back as OPAQUE, and nothing is ever thrown.
 *
 * @param {unknown} stored what lies in the segment
 * @param {number} client the client id of the lane
 * @returns {Entry}
 */
export const readEntry = (stored, client) => {
  const raw = stored instanceof Uint8Array ? stored : NO_BYTES
  return understood(raw, client) ?? new Entry(OPAQUE, '', '', 0, undefined, 0, client, raw)
}

/**
 * @param {Uint8Array} raw
 * @param {number} client
 * @returns {Entry | null}
 */
const understood = (raw, client) => {
  try {
    const parts = items(raw)
    const kind = parts.length > 0 && isInteger(parts[0]) ? Number(decode(parts[0])) : OPAQUE
    const at = VALUE_AT[kind]
    if (raw.length > MAX_READ_DEPTH && at < parts.length && depthOf(parts[at]) > MAX_READ_DEPTH) return null
    return READERS.get(kind)?.(kind, parts, client, raw) ?? null
  } catch {
    // Not MessagePack. Another version's, or another program's: its to read, ours to keep.
    return null
  }
}

/**
 * Decode an encoded whole number from 0 to 2^53 - 1, or return null.
 *
 * @param {Uint8Array} part
 * @returns {number | null}
 */
const whole = part => {
  const value = isInteger(part) ? decode(part) : null
  return typeof value === 'number' && value >= 0 ? value : null
}

/**
 * Decode encoded text, or return null.
 *
 * @param {Uint8Array} part
 * @returns {string | null}
 */
const text = part => {
  const value = decode(part)
  return typeof value === 'string' ? value : null
}

/** @param {string} value */
const isAscii = value => !/[^\x00-\x7f]/.test(value)

/**
 * Decode a value; the few that JavaScript cannot hold, such as a map with the key __proto__, read as undefined,
 * so that every replica agrees on which entry is read.
 *
 * @param {Uint8Array} part
 * @returns {unknown}
 */
const held = part => {
  try {
    return decode(part)
  } catch {
    return undefined
  }
}

/**
 * Decode a scalar, and put off what can be changed.
 *
 * @param {Uint8Array} part
 * @returns {unknown}
 */
const kept = part => (isContainer(part[0]) ? DECODE : held(part))

/**
 * Tell from the first byte of a value whether it is an array, a map or binary data.
 *
 * @param {number} first
 */
const isContainer = first =>
  (first >= 0x80 && first < 0xa0) || (first >= 0xc4 && first <= 0xc6) || (first >= 0xdc && first <= 0xdf)

/**
 * Return the stamp of what an entry superseded, 0 for none, or -1 if the step is not well formed.
 *
 * @param {Uint8Array[]} parts
 * @param {number} stamp
 * @param {number} length of an entry without a step
 */
const ancestorOf = (parts, stamp, length) => {
  if (parts.length === length) return 0
  const step = parts.length === length + 1 ? whole(parts[length]) : null
  return step !== null && step > 0 && step <= stamp ? stamp - step : -1
}

/** @typedef {(kind: number, parts: Uint8Array[], client: number, raw: Uint8Array) => Entry | null} Reader */

/** @type {Reader} */
const readRegister = (kind, parts, client, raw) => {
  if (parts.length < 4) return null
  const field = text(parts[1])
  const stamp = whole(parts[2])
  if (field === null || stamp === null) return null
  const ancestor = ancestorOf(parts, stamp, 4)
  return ancestor < 0 ? null : new Entry(kind, field, '', stamp, kept(parts[3]), ancestor, client, raw)
}

/** @type {Reader} */
const readItem = (kind, parts, client, raw) => {
  if (parts.length !== 4) return null
  const field = text(parts[1])
  const stamp = whole(parts[2])
  if (field === null || stamp === null) return null
  return new Entry(kind, field, '', stamp, kept(parts[3]), 0, client, raw)
}

/** @type {Reader} */
const readCell = (kind, parts, client, raw) => {
  if (parts.length < 5) return null
  const field = text(parts[1])
  const key = text(parts[2])
  const stamp = whole(parts[3])
  if (field === null || key === null || stamp === null) return null
  if (kind === LISTED && !isAscii(key)) return null
  const ancestor = ancestorOf(parts, stamp, 5)
  return ancestor < 0 ? null : new Entry(kind, field, key, stamp, kept(parts[4]), ancestor, client, raw)
}

/** @type {Reader} */
const readPlace = (kind, parts, client, raw) => {
  if (parts.length !== 5) return null
  const field = text(parts[1])
  const key = text(parts[2])
  const stamp = whole(parts[3])
  const position = text(parts[4])
  if (field === null || key === null || stamp === null || position === null) return null
  if (!isAscii(key) || !isAscii(position)) return null
  return new Entry(kind, field, key, stamp, position, 0, client, raw)
}

/** @type {Reader} */
const readElement = (kind, parts, client, raw) => {
  if (parts.length !== 3) return null
  const field = text(parts[1])
  if (field === null) return null
  return new Entry(kind, field, canonical(parts[2]), 0, kept(parts[2]), 0, client, raw)
}

/** @type {Reader} */
const readCounter = (kind, parts, client, raw) => {
  if (parts.length !== 4) return null
  const field = text(parts[1])
  const plus = whole(parts[2])
  const minus = whole(parts[3])
  if (field === null || plus === null || minus === null) return null
  return new Entry(kind, field, String(client), 0, [plus, minus], 0, client, raw)
}

/** @type {Reader} */
const readHeader = (kind, parts, client, raw) => {
  const agent = parts.length === 2 ? text(parts[1]) : null
  return agent === null ? null : new Entry(kind, '', String(client), 0, agent, 0, client, raw)
}

/** @type {Map<number, Reader>} */
const READERS = new Map([
  [REGISTER, readRegister],
  [CELL, readCell],
  [ELEMENT, readElement],
  [COUNTER, readCounter],
  [ITEM, readItem],
  [HEADER, readHeader],
  [LISTED, readCell],
  [PLACE, readPlace]
])

/**
 * Return what an entry keeps of a value that was just stored: what a reader of its bytes would read.
 *
 * @param {unknown} value
 * @param {Uint8Array} raw
 * @param {number} kind
 */
const asRead = (value, raw, kind) => {
  const type = typeof value
  if (type === 'string' || type === 'boolean' || value === null) return value
  return type === 'number' ? value : kept(items(raw)[VALUE_AT[kind]])
}

/**
 * Make the entry of a register, a map cell or a list's item.
 *
 * @param {number} kind REGISTER, CELL or LISTED
 * @param {string} field
 * @param {string} key "" for a register
 * @param {number} stamp
 * @param {unknown} value
 * @param {number} ancestor the stamp of what it supersedes, 0 for none
 * @param {number} client
 * @param {number} depth how deep the value may be nested
 * @throws {import('./errors.js').InvalidValueError} if the value cannot be stored
 */
export const cellEntry = (kind, field, key, stamp, value, ancestor, client, depth) => {
  const parts = kind === REGISTER ? [kind, field, stamp, value] : [kind, field, key, stamp, value]
  const known = ancestor < stamp ? ancestor : 0
  if (known > 0) parts.push(stamp - known)
  const raw = packEntry(parts, depth)
  return new Entry(kind, field, key, stamp, asRead(value, raw, kind), known, client, raw)
}

/**
 * Make the entry of a list item's place.
 *
 * @param {string} field
 * @param {string} id
 * @param {number} stamp
 * @param {string} position
 * @param {number} client
 */
export const placeEntry = (field, id, stamp, position, client) =>
  new Entry(PLACE, field, id, stamp, position, 0, client, packEntry([PLACE, field, id, stamp, position]))

/**
 * Make the entry of a set element.
 *
 * @param {string} field
 * @param {unknown} element
 * @param {number} client
 * @param {number} depth
 * @throws {import('./errors.js').InvalidValueError} if the element cannot be stored
 */
export const elementEntry = (field, element, client, depth) => {
  const raw = packEntry([ELEMENT, field, element], depth)
  const key = canonical(items(raw)[2])
  return new Entry(ELEMENT, field, key, 0, asRead(element, raw, ELEMENT), 0, client, raw)
}

/**
 * Make the entry of a session's totals in a counter.
 *
 * @param {string} field
 * @param {number} plus
 * @param {number} minus
 * @param {number} client
 */
export const counterEntry = (field, plus, minus, client) => {
  const raw = packEntry([COUNTER, field, plus, minus])
  return new Entry(COUNTER, field, String(client), 0, [plus, minus], 0, client, raw)
}

/**
 * Make the entry of a log item.
 *
 * @param {string} field
 * @param {number} stamp
 * @param {unknown} value
 * @param {number} client
 * @param {number} depth
 * @throws {import('./errors.js').InvalidValueError} if the value cannot be stored
 */
export const itemEntry = (field, stamp, value, client, depth) => {
  const raw = packEntry([ITEM, field, stamp, value], depth)
  return new Entry(ITEM, field, '', stamp, asRead(value, raw, ITEM), 0, client, raw)
}

/**
 * Make the header of a lane, which names its author.
 *
 * @param {string} agent
 * @param {number} client
 */
export const headerEntry = (agent, client) =>
  new Entry(HEADER, '', String(client), 0, agent, 0, client, packEntry([HEADER, agent]))

/**
 * Order entries: by stamp, then client id, then stored bytes. A writer makes no stamp twice, so that the bytes
 * decide only over what no sound writer wrote.
 *
 * @param {Entry} a
 * @param {Entry} b
 * @returns {number}
 */
export const inOrder = (a, b) => a.stamp - b.stamp || a.client - b.client || compareBytes(a.raw, b.raw)

/**
 * Order the rivals of a cell: the one that is read, which is the greatest, comes first.
 *
 * @param {Entry} a
 * @param {Entry} b
 * @returns {number}
 */
export const byPrecedence = (a, b) => inOrder(b, a)

/**
 * Tell whether two entries are one, also where the document was read anew in between.
 *
 * @param {Entry | undefined} a
 * @param {Entry | undefined} b
 */
export const isSame = (a, b) =>
  a === b || (a !== undefined && b !== undefined && a.kind === b.kind && inOrder(a, b) === 0)

/**
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 * @returns {number}
 */
const compareBytes = (a, b) => {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at] - b[at]
  return a.length - b.length
}
