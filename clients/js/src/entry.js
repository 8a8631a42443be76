/** Entries: the immutable binary values that make up a lane (docs/state-format.md). */

import { canonical, decode, isInteger, items } from './msgpack.js'

export const REGISTER = 0
export const CELL = 1
export const ELEMENT = 2
export const COUNTER = 3
export const ITEM = 4
export const HEADER = 5
/** An entry that this version does not understand: it keeps its place, and is never read. */
export const OPAQUE = -1

/**
 * One live entry: its cell, its value, and where it lies.
 *
 * @typedef {object} Entry
 * @property {number} kind REGISTER, CELL, ELEMENT, COUNTER, ITEM, HEADER or OPAQUE
 * @property {string} field the field's name
 * @property {string} key what tells the cells of one field apart: a map's key, a set element's canonical form, a
 *   counter's client id; "" for the other kinds
 * @property {number} stamp the hybrid clock's stamp; 0 where the kind has none
 * @property {unknown} value the value; [plus, minus] for a counter, the agent's name for a header
 * @property {number} client the Yjs client id of the lane it lies in
 * @property {Uint8Array} raw the stored bytes
 */

/** @typedef {Omit<Entry, 'raw' | 'client'>} Content what the bytes of an entry say */

/** @type {Content} */
const NOT_UNDERSTOOD = { kind: OPAQUE, field: '', key: '', stamp: 0, value: undefined }
const NO_BYTES = new Uint8Array()

/**
 * Decode a stored entry; one that is not understood comes back as OPAQUE, and nothing is ever thrown.
 *
 * @param {unknown} stored what lies in the segment
 * @param {number} client the client id of the lane
 * @returns {Entry}
 */
export const readEntry = (stored, client) => {
  const raw = stored instanceof Uint8Array ? stored : NO_BYTES
  return { ...(understood(raw, client) ?? NOT_UNDERSTOOD), client, raw }
}

/**
 * @param {Uint8Array} raw
 * @param {number} client
 * @returns {Content | null}
 */
const understood = (raw, client) => {
  try {
    const parts = items(raw)
    const kind = parts.length > 0 && isInteger(parts[0]) ? Number(decode(parts[0])) : OPAQUE
    return READERS.get(kind)?.(kind, parts, client) ?? null
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

/** @typedef {(kind: number, parts: Uint8Array[], client: number) => Content | null} Reader */

/** @type {Reader} */
const readStamped = (kind, parts) => {
  if (parts.length !== 4) return null
  const field = text(parts[1])
  const stamp = whole(parts[2])
  return field === null || stamp === null ? null : { kind, field, key: '', stamp, value: held(parts[3]) }
}

/** @type {Reader} */
const readCell = (kind, parts) => {
  if (parts.length !== 5) return null
  const field = text(parts[1])
  const key = text(parts[2])
  const stamp = whole(parts[3])
  if (field === null || key === null || stamp === null) return null
  return { kind, field, key, stamp, value: held(parts[4]) }
}

/** @type {Reader} */
const readElement = (kind, parts) => {
  if (parts.length !== 3) return null
  const field = text(parts[1])
  return field === null ? null : { kind, field, key: canonical(parts[2]), stamp: 0, value: held(parts[2]) }
}

/** @type {Reader} */
const readCounter = (kind, parts, client) => {
  if (parts.length !== 4) return null
  const field = text(parts[1])
  const plus = whole(parts[2])
  const minus = whole(parts[3])
  if (field === null || plus === null || minus === null) return null
  return { kind, field, key: String(client), stamp: 0, value: [plus, minus] }
}

/** @type {Reader} */
const readHeader = (kind, parts) => {
  const agent = parts.length === 2 ? text(parts[1]) : null
  return agent === null ? null : { kind, field: '', key: '', stamp: 0, value: agent }
}

/** @type {Map<number, Reader>} */
const READERS = new Map([
  [REGISTER, readStamped],
  [CELL, readCell],
  [ELEMENT, readElement],
  [COUNTER, readCounter],
  [ITEM, readStamped],
  [HEADER, readHeader]
])

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
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 * @returns {number}
 */
const compareBytes = (a, b) => {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at] - b[at]
  return a.length - b.length
}
