/** Uplinks: the local edits of a document on their way to the server, numbered, and which of them have arrived. */

import * as encoding from 'lib0/encoding'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'
import { TooLargeError } from './errors.js'
import { ForbiddenError } from './failures.js'
import { merged } from './merge.js'
import { SYNC } from './wire.js'

/** Bytes that the socket may hold; past it one difference stands for all the edits made until it has drained. */
const MAX_UNSENT = 8 * 1024 * 1024
/** Bytes of edits that are merged into one frame: well below what a server takes, so that no merging is refused. */
const MAX_MERGED = 1024 * 1024

/** @typedef {import('./errors.js').ComityError} ComityError */

/**
 * Local edits that were not taken: those numbered after `after`, up to `number`.
 *
 * @typedef {{ after: number, number: number, update: Uint8Array, error: ComityError }} Rejection
 */

/**
 * A frame that the server has not answered; one with an error was never sent, but waits for its turn to be reported.
 *
 * @typedef {{ n: number, number: number, update: Uint8Array, error?: ComityError }} Flight
 */

/**
 * What an uplink needs of its connection.
 *
 * @typedef {object} Line
 * @property {(frame: Uint8Array) => void} post sends a frame
 * @property {() => number} unsent how many bytes the socket still holds
 * @property {(origin: unknown) => boolean} isLocal whether an update of this origin is for the server to have
 * @property {(number: number) => void} acknowledged told that the local updates up to a number are on disk
 * @property {(rejection: Rejection) => void} rejected
 */

/**
 * Counts the local updates of a document, and sends them while there is a connection: those of one turn as one frame,
 * and what was made without a connection as the difference to what the server has.
 */
export class Uplink {
  /** @param {Line} line */
  constructor(line) {
    this.line = line
    /** The number of the last local update, counted from 1 over all connections. */
    this.number = 0
    /** The number of the last one that the server has on disk. */
    this.acknowledged = 0
    /** The number of the last one that was refused. */
    this.refused = 0
    this.doc = new Y.Doc()
    this.onUpdate = this.onUpdate.bind(this)
    /** What the server had when it said so last; null before, when nothing is sent. @type {Uint8Array | null} */
    this.vector = null
    this.limit = Infinity
    this.mayWrite = true
    this.acknowledges = false
    this.frames = 0
    /** @type {Flight[]} */
    this.flights = []
    /** The updates of this turn. @type {Uint8Array[]} */
    this.turn = []
    this.isScheduled = false
    /** The state before the first edit that the socket had no room for. @type {Map<number, number> | null} */
    this.heldSince = null
    /** A refusal is on its way: what comes after builds on what was refused. */
    this.isBlocked = false
  }

  /** How many local updates are not acknowledged. */
  get pending() {
    return this.number - this.acknowledged
  }

  /** Whether some of them were not refused either. */
  get owes() {
    return this.number > Math.max(this.acknowledged, this.refused)
  }

  /**
   * Follow a document, in place of the one before.
   *
   * @param {Y.Doc} doc
   */
  follow(doc) {
    this.doc.off('update', this.onUpdate)
    this.doc = doc
    doc.on('update', this.onUpdate)
  }

  /**
   * Count updates of earlier sessions that are in the document and not acknowledged.
   *
   * @param {number} count
   */
  inherit(count) {
    this.number += count
  }

  /** Give up everything that is not acknowledged. */
  giveUp() {
    this.acknowledged = this.number
    this.flights = []
    this.turn = []
    this.heldSince = null
  }

  /** Forget a connection, and what was on its way. */
  reset() {
    this.vector = null
    this.limit = Infinity
    this.mayWrite = true
    this.acknowledges = this.isBlocked = false
    this.frames = 0
    this.flights = []
    this.turn = []
    this.heldSince = null
  }

  /**
   * Take note of what the server allows.
   *
   * @param {{ access: string[], limits: Record<string, number> }} welcome
   */
  welcomed({ access, limits }) {
    this.acknowledges = true
    this.mayWrite = access.includes('write')
    this.limit = limits.message ?? Infinity
    if (!this.mayWrite && this.owes) this.refuseAll()
  }

  /**
   * Send what the server lacks, and from then on what is edited.
   *
   * @param {Uint8Array} vector the state vector of what it has
   * @throws {TooLargeError} if that is larger than it takes
   */
  answer(vector) {
    this.vector = vector
    if (this.isBlocked) {
      // The server asks for what this cannot send without what it would refuse.
      this.reportFirst(this.flights.find(flight => flight.error !== undefined))
      return
    }
    const update = Y.encodeStateAsUpdate(this.doc, vector)
    const frame = framed(syncProtocol.messageYjsSyncStep2, update)
    if (frame.length > this.limit) throw this.tooLarge(frame.length)
    this.turn = []
    this.heldSince = null
    this.dispatch(frame, update, this.number)
  }

  /**
   * @param {Uint8Array} update
   * @param {unknown} origin
   * @param {Y.Doc} _doc
   * @param {Y.Transaction} transaction
   */
  onUpdate(update, origin, _doc, transaction) {
    if (!this.line.isLocal(origin)) return
    this.number++
    if (this.mayWrite && (this.vector === null || this.isBlocked)) return
    if (this.heldSince === null && this.line.unsent() > MAX_UNSENT) this.heldSince = transaction.beforeState
    this.turn.push(update)
    if (this.isScheduled) return
    this.isScheduled = true
    queueMicrotask(() => {
      this.isScheduled = false
      this.flush()
    })
  }

  /** Send the edits of this turn, unless the socket has no room for them. */
  flush() {
    if (!this.mayWrite && this.owes) {
      this.refuseAll()
      return
    }
    if (this.vector === null || this.isBlocked) return
    if (this.heldSince !== null) this.flushHeld()
    else this.sendAll(this.turn.splice(0))
  }

  flushHeld() {
    this.turn = []
    if (this.heldSince === null || this.line.unsent() > MAX_UNSENT) return
    const update = Y.encodeStateAsUpdate(this.doc, Y.encodeStateVector(this.heldSince))
    this.heldSince = null
    this.send(update, this.number)
  }

  /**
   * Send updates, the last of which is the last local one, in as few frames as their size allows.
   *
   * @param {Uint8Array[]} updates
   */
  sendAll(updates) {
    let number = this.number - updates.length
    while (updates.length > 0 && !this.isBlocked) {
      const some = updates.splice(0, headOf(updates))
      number += some.length
      this.send(merged(some), number)
    }
  }

  /**
   * @param {Uint8Array} update
   * @param {number} number
   */
  send(update, number) {
    const frame = framed(syncProtocol.messageYjsUpdate, update)
    if (frame.length <= this.limit) this.dispatch(frame, update, number)
    else {
      this.isBlocked = true
      this.flights.push({ n: Infinity, number, update, error: this.tooLarge(frame.length) })
      this.reportFirst(this.flights[0])
    }
  }

  /**
   * @param {Uint8Array} frame
   * @param {Uint8Array} update
   * @param {number} number
   */
  dispatch(frame, update, number) {
    this.frames++
    if (this.acknowledges) this.flights.push({ n: this.frames, number, update })
    this.line.post(frame)
  }

  /**
   * Take note that frames have arrived.
   *
   * @param {number} n how many of this connection are on the server's disk
   */
  acknowledge(n) {
    const before = this.flights.length
    const waiting = this.flights.findIndex(flight => flight.n > n)
    const arrived = this.flights.splice(0, waiting < 0 ? before : waiting)
    const last = arrived.at(-1)
    if (last !== undefined && last.number >= this.acknowledged) {
      this.acknowledged = last.number
      this.line.acknowledged(last.number)
    }
    if (this.heldSince !== null) this.flush()
    this.reportFirst(this.flights[0])
  }

  /**
   * Take note that a frame was refused.
   *
   * @param {number} n its number
   * @param {ComityError} error
   */
  reject(n, error) {
    const flight = this.flights.find(each => each.n === n)
    if (flight !== undefined) this.report({ ...flight, error })
  }

  /**
   * Report an edit that was too large to send; before that, everything before it should have arrived.
   *
   * @param {Flight | undefined} flight
   */
  reportFirst(flight) {
    if (flight?.error !== undefined) this.report({ ...flight, error: flight.error })
  }

  refuseAll() {
    const update = Y.encodeStateAsUpdate(this.doc, this.vector ?? undefined)
    const error = new ForbiddenError('read only', { remedy: 'ask for the right to write' })
    const after = this.acknowledged
    this.acknowledged = this.number // nothing is left to wait for
    this.report({ after, number: this.number, update, error })
  }

  /** @param {Omit<Rejection, 'after'> & { after?: number }} refused */
  report({ after = this.acknowledged, number, update, error }) {
    this.isBlocked = true
    this.refused = number
    this.line.rejected({ after, number, update, error })
  }

  /** @param {number} size */
  tooLarge(size) {
    return new TooLargeError(`${size} bytes of edits, over the server's limit of ${this.limit}`, {
      remedy: 'edit in smaller steps, or start the server with a larger --max-message'
    })
  }
}

/**
 * @param {number} step
 * @param {Uint8Array} update
 * @returns {Uint8Array}
 */
const framed = (step, update) => {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, SYNC)
  encoding.writeVarUint(encoder, step)
  encoding.writeVarUint8Array(encoder, update)
  return encoding.toUint8Array(encoder)
}

/**
 * Tell how many updates from the first on go into one frame.
 *
 * @param {Uint8Array[]} updates at least one
 * @returns {number}
 */
const headOf = updates => {
  let count = 1
  let size = updates[0].length
  while (count < updates.length && (size += updates[count].length) <= MAX_MERGED) count++
  return count
}
