/** Connections: follow a room over a WebSocket, send what is edited here, and come back when it breaks. */

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { ObservableV2 } from 'lib0/observable'
import * as awarenessProtocol from 'y-protocols/awareness'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'
import { TooLargeError } from './errors.js'
import { ERASED, errorFor } from './failures.js'
import { Link } from './link.js'
import { Uplink } from './uplink.js'
import { AUTH, AWARENESS, COMITY, QUERY_AWARENESS, readControl, SYNC } from './wire.js'

/** Bytes of updates that wait for the answer they build on; past it they are applied as they come, which costs more. */
const MAX_EARLY = 8 * 1024 * 1024
/** The update that holds nothing. */
const EMPTY_UPDATE_BYTES = 2

const utf8 = new TextEncoder()

/** @typedef {'offline' | 'syncing' | 'live'} Status */
/** @typedef {import('./wire.js').Welcome} Welcome */
/** @typedef {import('./wire.js').Notice} Notice */
/** @typedef {import('./link.js').Refusal} Refusal */
/** @typedef {import('./link.js').WebSocketClass} WebSocketClass */
/** @typedef {import('./uplink.js').Rejection} Rejection */

/**
 * How a connection is made.
 *
 * @typedef {object} Options
 * @property {Record<string, unknown> | null} [presence] what to announce about this client
 * @property {boolean} [edits] send what is edited in the document; without it the connection only follows
 * @property {(origin: unknown) => boolean} [isLocal] which updates of the document are edits, by their origin: all
 *   that did not come from the connection, if not given
 * @property {boolean} [paused] wait for `resume` before connecting
 */

/**
 * A WebSocket connection to one room: it takes in the room's document and everyone's presence, and announces its own.
 * With `edits` it also sends what is edited in the document, and keeps count of what has arrived. It reconnects with
 * exponential backoff and jitter until it is destroyed or refused (close codes 4400 to 4499, and 1009).
 *
 * If the room turns out to have another history than the document, for example because it was lost and rebuilt, the
 * server's document takes the place of this one: merging the two would double everything. So it does if the server
 * refused an edit, since what follows builds on it. `doc` and `awareness` are other objects then.
 *
 * Events: `status` (Status), `document` (the new Y.Doc and the old one, which stays readable), `welcome` (Welcome),
 * `notice` (Notice), `refused` (Refusal), `acknowledged` (the number of the last local update that is on the server's
 * disk), `rejected` (Rejection), `met` (the lineage that the document now shares content with), `closed` (a socket is
 * gone, or could not be opened).
 *
 * @extends {ObservableV2<{
 *   status: (status: Status) => void,
 *   document: (doc: Y.Doc, old: Y.Doc) => void,
 *   welcome: (welcome: Welcome) => void,
 *   notice: (notice: Notice) => void,
 *   refused: (refusal: Refusal) => void,
 *   acknowledged: (number: number) => void,
 *   rejected: (rejection: Rejection) => void,
 *   met: (lineage: string) => void,
 *   closed: () => void
 * }>}
 */
export class Connection extends ObservableV2 {
  /**
   * @param {string} url the room's, ws:// or wss://
   * @param {Options & import('./link.js').LinkOptions} [options]
   */
  constructor(url, options = {}) {
    super()
    this.url = url
    this.link = this.newLink(options)
    this.presence = options.presence ?? null
    /** @type {Status} */
    this.status = 'offline'
    /** The history that the document belongs to. @type {string | null} */
    this.lineage = null
    /** Whether the document has anything in common with that history. */
    this.hasMet = false
    /** Whether the document holds what the server refused. */
    this.mustReset = false
    /** Whether the document is to be replaced by the server's on this connection. */
    this.isResetting = false
    /** Whether the room was found to have another history. */
    this.isOther = false
    /** Whether the history that the document belongs to was found to be erased. */
    this.isErased = false
    /** How often something was taken out of the room's history, as the server says. */
    this.redactions = 0
    /** The history that the server says the room has. @type {string | null} */
    this.roomLineage = null
    /** What the server had when it asked for the rest. @type {Uint8Array | null} */
    this.asked = null
    this.awaitsWelcome = false
    this.hasAnswer = false
    /** Updates that came before the answer they build on. @type {Uint8Array[]} */
    this.early = []
    this.earlySize = 0
    /** The largest presence that the server takes, in bytes of JSON. */
    this.presenceLimit = Infinity
    this.doc = new Y.Doc()
    this.awareness = this.newAwareness(this.presence)
    this.uplink = options.edits === true ? this.newUplink(options.isLocal ?? (() => true)) : null
    if (options.paused !== true) this.resume()
  }

  /** Why the server will not have this client. @returns {Refusal | null} */
  get refusal() {
    return this.link.refusal
  }

  /** @returns {WebSocket | null} */
  get socket() {
    return this.link.socket
  }

  /** Leave the room for good. The document stays readable. */
  destroy() {
    super.destroy()
    this.link.destroy()
    this.uplink?.follow(new Y.Doc())
    this.awareness.destroy()
  }

  /** Leave the room until `resume` is called. */
  pause() {
    this.link.stop()
  }

  /** Connect, unless that is so already, or the server refused for good. */
  resume() {
    this.link.start()
  }

  /** Try again now, whatever the pause: the network is back. A live connection is asked whether it still is. */
  wake() {
    this.link.wake()
  }

  /** Ask the server for a sign of life, unless one is due already: every server answers a synchronisation step. */
  probe() {
    this.link.probe()
  }

  /** @param {import('./link.js').LinkOptions} options */
  newLink(options) {
    const hooks = {
      opened: (/** @type {boolean} */ isComity) => this.onOpen(isComity),
      received: (/** @type {Uint8Array} */ bytes) => this.onMessage(bytes),
      closed: () => this.onClose(),
      refused: (/** @type {Refusal} */ refusal) => this.onRefused(refusal),
      ask: () => this.sendStep1(),
      ticked: () => this.uplink?.flushHeld()
    }
    return new Link(this.url, hooks, options)
  }

  /** @param {(origin: unknown) => boolean} isLocal */
  newUplink(isLocal) {
    const uplink = new Uplink({
      post: frame => this.link.send(frame),
      unsent: () => this.link.unsent,
      isLocal: origin => origin !== this && isLocal(origin),
      acknowledged: number => this.onAcknowledged(number),
      rejected: rejection => this.onRejected(rejection)
    })
    uplink.follow(this.doc)
    return uplink
  }

  /**
   * @param {Record<string, unknown> | null} state
   * @returns {awarenessProtocol.Awareness}
   */
  newAwareness(state) {
    const awareness = new awarenessProtocol.Awareness(this.doc)
    awareness.setLocalState(state)
    awareness.on('update', (/** @type {unknown} */ _change, /** @type {unknown} */ origin) => {
      if (origin === 'local' && this.status !== 'offline') this.sendPresence()
    })
    return awareness
  }

  /** @param {boolean} isComity whether the server claims to speak `comity.v1` */
  onOpen(isComity) {
    this.setStatus('syncing')
    // A Comity server says first which history the room has; nothing may be merged before.
    this.awaitsWelcome = isComity
    if (!isComity) this.startSync()
  }

  /** Let go of everything that belongs to one socket, and of everyone's presence but one's own. */
  onClose() {
    this.uplink?.reset()
    this.hasAnswer = this.isResetting = false
    this.asked = null
    this.early = []
    this.earlySize = 0
    const others = [...this.awareness.states.keys()].filter(client => client !== this.awareness.clientID)
    awarenessProtocol.removeAwarenessStates(this.awareness, others, 'disconnected')
    // Else what the server says of them when it is back would be no news.
    for (const client of this.awareness.meta.keys()) {
      if (client !== this.awareness.clientID) this.awareness.meta.delete(client)
    }
    this.setStatus('offline')
    this.emit('closed', [])
  }

  /** @param {Refusal} refusal */
  onRefused(refusal) {
    if (refusal.code === ERASED) this.forget()
    this.emit('refused', [refusal])
  }

  /** Put an empty document in place of this one, whose room was erased. */
  forget() {
    this.isErased = true
    this.roomLineage = null
    this.redactions = 0
    this.replaceDocument(Y.encodeStateAsUpdate(new Y.Doc()))
  }

  startSync() {
    this.sendStep1()
    // The server forgot this client when the last connection closed; a new clock makes the announcement news.
    this.awareness.setLocalState(this.awareness.getLocalState())
  }

  /** @param {Uint8Array} bytes */
  onMessage(bytes) {
    try {
      this.read(decoding.createDecoder(bytes))
    } catch (error) {
      console.error('Comity: a frame that cannot be read; connecting anew', error)
      this.link.comeBack()
    }
  }

  /** @param {decoding.Decoder} decoder */
  read(decoder) {
    const type = decoding.readVarUint(decoder)
    if (this.awaitsWelcome) this.meetServer(type)
    if (type === SYNC) this.readSync(decoder)
    else if (type === AWARENESS) this.readAwareness(decoder)
    else if (type === QUERY_AWARENESS) this.sendPresence()
    else if (type === COMITY) this.readControl(decoder)
    else if (type === AUTH) this.readDenial(decoder)
  }

  /**
   * Learn from the first frame what the server is: some stock ones agree to any subprotocol.
   *
   * @param {number} type the frame's
   */
  meetServer(type) {
    this.awaitsWelcome = false
    if (type !== COMITY) this.startSync()
  }

  /** @param {decoding.Decoder} decoder */
  readSync(decoder) {
    const step = decoding.readVarUint(decoder)
    const body = decoding.readVarUint8Array(decoder)
    if (step === syncProtocol.messageYjsSyncStep1) this.answer(body)
    else if (step === syncProtocol.messageYjsSyncStep2) this.takeAnswer(body)
    else this.takeUpdate(body)
  }

  /** @param {decoding.Decoder} decoder */
  readAwareness(decoder) {
    awarenessProtocol.applyAwarenessUpdate(this.awareness, decoding.readVarUint8Array(decoder), this)
  }

  /** @param {decoding.Decoder} decoder */
  readDenial(decoder) {
    decoding.readVarUint(decoder)
    this.notice(4403, decoding.readVarString(decoder))
  }

  /** @param {decoding.Decoder} decoder */
  readControl(decoder) {
    const frame = readControl(decoder)
    if (frame?.kind === 'notice') this.takeNotice(frame)
    else if (frame?.kind === 'welcome') this.takeWelcome(frame)
    else if (frame?.kind === 'ack') this.uplink?.acknowledge(frame.n)
    else if (frame?.kind === 'reject') this.uplink?.reject(frame.n, errorFor(frame.code, frame.reason))
  }

  /** @param {Notice} notice */
  takeNotice(notice) {
    if (notice.retry_after !== null) this.link.postpone(notice.retry_after)
    this.emit('notice', [notice])
  }

  /**
   * @param {number} code
   * @param {string} text
   */
  notice(code, text) {
    this.emit('notice', [{ kind: 'notice', code, text, retry_after: null, at: null }])
  }

  /** @param {Welcome} welcome */
  takeWelcome(welcome) {
    this.isOther = this.hasMet && this.lineage !== welcome.lineage
    this.isErased = this.hasMet && welcome.erased.includes(this.lineage ?? '')
    this.redactions = welcome.redactions
    if (!this.hasMet) this.lineage = welcome.lineage
    this.isResetting = this.mustReset || this.isOther
    this.presenceLimit = welcome.limits.presence ?? Infinity
    this.roomLineage = welcome.lineage
    this.emit('welcome', [welcome])
    this.uplink?.welcomed(welcome)
    if (this.status !== 'offline') this.startSync()
  }

  /**
   * Send the server what it lacks.
   *
   * @param {Uint8Array} vector the state vector of what it has
   */
  answer(vector) {
    this.asked = vector
    if (this.isResetting) return
    if (this.uplink === null) {
      this.send(SYNC, encoder => syncProtocol.writeSyncStep2(encoder, this.doc, vector))
      return
    }
    try {
      this.uplink.answer(vector)
      this.checkLive()
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error
      this.link.refuse({ code: 4413, reason: error.message })
    }
  }

  /** @param {Uint8Array} update what the document lacked, or all there is */
  takeAnswer(update) {
    if (this.isResetting) this.replaceDocument(update)
    else this.apply(update)
    this.hasAnswer = true
    const early = this.early
    this.early = []
    this.earlySize = 0
    for (const each of early) this.apply(each)
    this.checkLive()
  }

  /**
   * Apply an update; one that comes before the answer to our step 1 builds on that, and waits for it.
   *
   * @param {Uint8Array} update
   */
  takeUpdate(update) {
    if (this.isResetting) return // what comes before the answer that is reset to is in that answer
    if (this.hasAnswer || this.earlySize > MAX_EARLY) {
      this.apply(update)
      return
    }
    this.early.push(update)
    this.earlySize += update.length
  }

  /** @param {Uint8Array} update */
  apply(update) {
    if (update.length > EMPTY_UPDATE_BYTES) this.meet()
    Y.applyUpdate(this.doc, update, this)
    if (!this.hasAnswer || this.doc.store.pendingStructs === null) return
    this.hasAnswer = false // until the answer to this
    this.sendStep1()
  }

  /**
   * Note that from now on the document and the room have something in common. Not before, since a room that nobody has
   * written to has another lineage whenever the server loads it.
   */
  meet() {
    if (this.hasMet || this.lineage === null) return
    this.hasMet = true
    this.emit('met', [this.lineage])
  }

  /**
   * Take the server's document in place of this one.
   *
   * @param {Uint8Array} update all of it
   */
  replaceDocument(update) {
    const fresh = new Y.Doc()
    Y.applyUpdate(fresh, update, this)
    const old = this.doc
    const presence = this.awareness.getLocalState()
    this.awareness.destroy()
    old.destroy()
    this.doc = fresh
    this.awareness = this.newAwareness(presence)
    this.uplink?.follow(fresh)
    this.lineage = this.roomLineage
    this.hasMet = update.length > EMPTY_UPDATE_BYTES
    this.mustReset = this.isResetting = false
    this.emit('document', [fresh, old])
    this.sendPresence()
    if (this.asked !== null) this.answer(this.asked)
  }

  checkLive() {
    const isAsked = this.uplink === null || this.asked !== null || !this.uplink.mayWrite // a reader is never asked
    if (!this.hasAnswer || !isAsked || this.isResetting) return
    this.link.settled()
    this.setStatus('live')
  }

  /** @param {number} number */
  onAcknowledged(number) {
    if (number > 0) this.meet()
    this.emit('acknowledged', [number])
  }

  /** @param {Rejection} rejection */
  onRejected(rejection) {
    this.mustReset = true
    this.emit('rejected', [rejection])
    this.link.comeBack()
  }

  sendStep1() {
    if (this.isResetting) this.send(SYNC, encoder => syncProtocol.writeSyncStep1(encoder, new Y.Doc()))
    else this.send(SYNC, encoder => syncProtocol.writeSyncStep1(encoder, this.doc))
  }

  sendPresence() {
    const { awareness } = this
    if (!awareness.meta.has(awareness.clientID)) return
    const size = utf8.encode(JSON.stringify(awareness.getLocalState())).length
    if (size > this.presenceLimit) {
      const text = `a presence of ${size} bytes is over the server's limit of ${this.presenceLimit}, and is not sent`
      this.notice(4413, text)
      return
    }
    const update = awarenessProtocol.encodeAwarenessUpdate(awareness, [awareness.clientID])
    this.send(AWARENESS, encoder => encoding.writeVarUint8Array(encoder, update))
  }

  /**
   * @param {number} type
   * @param {(encoder: encoding.Encoder) => void} write
   */
  send(type, write) {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, type)
    write(encoder)
    this.link.send(encoding.toUint8Array(encoder))
  }

  /** @param {Status} status */
  setStatus(status) {
    if (status === this.status) return
    this.status = status
    this.emit('status', [status])
  }
}
