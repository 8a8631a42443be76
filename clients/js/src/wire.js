/**
 * The wire: the control frames of the subprotocol comity.v1 (docs/protocol.md). The other frames are those of
 * y-protocols.
 */

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { decode as unpack, encode as pack, isObject } from './msgpack.js'

export const SUBPROTOCOL = 'comity.v1'

export const SYNC = 0
export const AWARENESS = 1
export const AUTH = 2
export const QUERY_AWARENESS = 3
export const COMITY = 100

/** The kinds of control frames; a kind's number is its place. */
const KINDS = /** @type {const} */ (['welcome', 'ack', 'reject', 'notice', 'token'])

/**
 * The first frame from the server: who the client is here, and which history the room has.
 *
 * @typedef {object} Welcome
 * @property {'welcome'} kind
 * @property {string} lineage
 * @property {string} principal
 * @property {string[]} access "read", and perhaps "write"
 * @property {Record<string, number>} limits in bytes or counts
 * @property {string} server its version
 * @property {string[]} erased the histories that rooms of this name had before they were erased
 * @property {number} redactions how often what a person wrote was taken out of this one
 */

/** @typedef {{ kind: 'ack', n: number }} Ack The client's first n document updates are on disk. */

/**
 * The client's document update n was not applied and will not be; retry_after is in seconds, null is never.
 *
 * @typedef {{ kind: 'reject', n: number, code: number, reason: string, retry_after: number | null }} Reject
 */

/**
 * The code is a close code that may follow, or 4210 for a room that ends soon and 4211 for one that does not after all;
 * retry_after is in seconds, null leaves it to the client when to come back; at is when that is, in ms since the epoch.
 *
 * @typedef {{ kind: 'notice', code: number, text: string, retry_after: number | null, at: number | null }} Notice
 */

/** @typedef {{ kind: 'token', token: string }} Token A fresh token for this connection. */
/** @typedef {Welcome | Ack | Reject | Notice | Token} Control */

const CHECKS = {
  string: (/** @type {unknown} */ value) => typeof value === 'string',
  number: (/** @type {unknown} */ value) => typeof value === 'number',
  integer: (/** @type {unknown} */ value) => Number.isSafeInteger(value),
  'number or null': (/** @type {unknown} */ value) => value === null || typeof value === 'number',
  'list of strings': (/** @type {unknown} */ value) =>
    Array.isArray(value) && value.every(item => typeof item === 'string'),
  map: isObject
}

/** @type {Record<Control['kind'], Record<string, keyof typeof CHECKS>>} */
const FIELDS = {
  welcome: {
    lineage: 'string',
    principal: 'string',
    access: 'list of strings',
    limits: 'map',
    server: 'string',
    erased: 'list of strings',
    redactions: 'integer'
  },
  ack: { n: 'integer' },
  reject: { n: 'integer', code: 'integer', reason: 'string', retry_after: 'number or null' },
  notice: { code: 'integer', text: 'string', retry_after: 'number or null', at: 'number or null' },
  token: { token: 'string' }
}

/** What fields say that are left out. @type {Record<string, unknown>} */
const USUAL = { retry_after: null, at: null, erased: [], redactions: 0 }

/**
 * Encode a control frame.
 *
 * @param {Control} frame
 * @returns {Uint8Array}
 */
export const encodeControl = ({ kind, ...fields }) => {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, COMITY)
  encoding.writeVarUint(encoder, KINDS.indexOf(kind))
  encoding.writeUint8Array(encoder, pack(fields))
  return encoding.toUint8Array(encoder)
}

/**
 * Decode a control frame's body, which begins after the message type.
 *
 * @param {decoding.Decoder} decoder
 * @returns {Control | null} null for a kind of a later version
 * @throws {Error} if it is malformed
 */
export const readControl = decoder => {
  const kind = KINDS[decoding.readVarUint(decoder)]
  const fields = unpack(decoding.readTailAsUint8Array(decoder))
  return kind === undefined ? null : checked(kind, fields)
}

/**
 * Decode a whole control frame.
 *
 * @param {Uint8Array} bytes
 * @returns {Control | null} null for a kind of a later version
 * @throws {Error} if it is malformed, or of another type
 */
export const decodeControl = bytes => {
  const decoder = decoding.createDecoder(bytes)
  const type = decoding.readVarUint(decoder)
  if (type !== COMITY) throw new Error(`message type ${type} is not a control frame`)
  return readControl(decoder)
}

/**
 * @param {Control['kind']} kind
 * @param {unknown} fields
 * @returns {Control}
 */
const checked = (kind, fields) => {
  if (!isObject(fields)) throw new Error(`a ${kind} frame that is not a map`)
  /** @type {Record<string, unknown>} */
  const frame = { kind }
  for (const [name, check] of Object.entries(FIELDS[kind])) {
    const value = fields[name] ?? USUAL[name]
    if (!CHECKS[check](value)) throw new Error(`field ${name} of a ${kind} frame is not a ${check}`)
    frame[name] = value
  }
  return /** @type {Control} */ (/** @type {unknown} */ (frame))
}
