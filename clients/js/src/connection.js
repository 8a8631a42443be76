/** Connections: follow a room over a WebSocket, and come back when it breaks. */

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { ObservableV2 } from 'lib0/observable'
import * as awarenessProtocol from 'y-protocols/awareness'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'
import { AUTH, AWARENESS, COMITY, QUERY_AWARENESS, readControl, SUBPROTOCOL, SYNC } from './wire.js'

/** The first pause before coming back: short, for most breaks are a server that restarts. */
const FIRST_PAUSE_MS = 200
/** The longest pause: a person who waits does not want to wait longer, and one attempt is cheap. */
const LONGEST_PAUSE_MS = 10_000
/** After this much silence the server is asked for a sign of life: half of what proxies commonly allow. */
const PROBE_AFTER_MS = 30_000
/** How long the server may take to give it: it has nothing to look up, so that only the way there counts. */
const ANSWER_WITHIN_MS = 5_000
/** How long opening and the first synchronisation may go without a frame: a large document on a slow line. */
const SYNC_WITHIN_MS = 60_000
/** How often silence is looked at. */
const WATCH_EVERY_MS = 1_000

/** WebSocket.OPEN, which not every class carries. */
const OPEN = 1

/** @typedef {'offline' | 'syncing' | 'live'} Status */
/** @typedef {import('./wire.js').Welcome} Welcome */
/** @typedef {import('./wire.js').Notice} Notice */
/** @typedef {{ code: number, reason: string }} Refusal */
/** @typedef {{ new (url: string, protocols: string[]): WebSocket }} WebSocketClass */

/**
 * A WebSocket connection that follows one room: it takes in the room's document and everyone's presence, announces
 * its own, and sends no edits. It reconnects with exponential backoff and jitter until it is destroyed or refused
 * (close codes 4400 to 4499).
 *
 * If the room turns out to have another history than the document that was followed, for example because it was
 * restored from a backup, that document is discarded for a new one: merging the two would double everything.
 *
 * Events: `status` (Status), `document` (Y.Doc, after `doc` and `awareness` were replaced), `welcome` (Welcome),
 * `notice` (Notice), `refused` (Refusal).
 *
 * @extends {ObservableV2<{
 *   status: (status: Status) => void,
 *   document: (doc: Y.Doc) => void,
 *   welcome: (welcome: Welcome) => void,
 *   notice: (notice: Notice) => void,
 *   refused: (refusal: Refusal) => void
 * }>}
 */
export class Connection extends ObservableV2 {
  /**
   * @param {string} url the room's, ws:// or wss://
   * @param {object} [options]
   * @param {Record<string, unknown> | null} [options.presence] what to announce about this client
   * @param {WebSocketClass} [options.WebSocket] where the platform has none of its own
   * @param {number} [options.firstPause] milliseconds
   * @param {number} [options.longestPause] milliseconds
   * @param {number} [options.answerWithin] milliseconds that a live server may take to give a sign of life
   */
  constructor(url, options = {}) {
    super()
    this.url = url
    this.presence = options.presence ?? null
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket
    this.firstPause = options.firstPause ?? FIRST_PAUSE_MS
    this.longestPause = options.longestPause ?? LONGEST_PAUSE_MS
    this.answerWithin = options.answerWithin ?? ANSWER_WITHIN_MS
    /** @type {Status} */
    this.status = 'offline'
    /** The history that the document belongs to. @type {string | null} */
    this.lineage = null
    /** Why the server will not have this client. @type {Refusal | null} */
    this.refusal = null
    /** @type {WebSocket | null} */
    this.socket = null
    this.attempts = 0
    this.heardAt = 0
    /** When the server was asked for a sign of life that it has not given. @type {number | null} */
    this.askedAt = null
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined
    this.doc = new Y.Doc()
    this.awareness = this.newAwareness()
    this.wake = this.wake.bind(this)
    this.probe = this.probe.bind(this)
    globalThis.addEventListener?.('online', this.wake)
    globalThis.addEventListener?.('offline', this.probe)
    this.watch = setInterval(() => this.watchSilence(), Math.min(WATCH_EVERY_MS, this.answerWithin))
    this.open()
  }

  /** Leave the room for good. The document stays readable. */
  destroy() {
    super.destroy()
    clearTimeout(this.timer)
    clearInterval(this.watch)
    globalThis.removeEventListener?.('online', this.wake)
    globalThis.removeEventListener?.('offline', this.probe)
    this.hangUp()
    this.awareness.destroy()
  }

  /** Try again now, whatever the pause: the network is back. A live connection is asked whether it still is. */
  wake() {
    if (this.status === 'live') this.probe()
    else if (this.refusal === null) {
      this.hangUp()
      this.open()
    }
  }

  /** @returns {awarenessProtocol.Awareness} */
  newAwareness() {
    const awareness = new awarenessProtocol.Awareness(this.doc)
    awareness.setLocalState(this.presence)
    awareness.on('update', (/** @type {unknown} */ _change, /** @type {unknown} */ origin) => {
      if (origin === 'local' && this.status !== 'offline') this.sendPresence()
    })
    return awareness
  }

  open() {
    clearTimeout(this.timer)
    const socket = new this.WebSocket(this.url, [SUBPROTOCOL])
    socket.binaryType = 'arraybuffer'
    this.socket = socket
    this.heardAt = this.askedAt = Date.now()
    socket.onopen = () => this.onOpen(socket)
    socket.onmessage = ({ data }) => this.onMessage(socket, new Uint8Array(data))
    socket.onclose = ({ code, reason }) => this.onClose(code, reason)
    socket.onerror = () => {
      // A close event follows, and says more.
    }
  }

  /** @param {WebSocket} socket */
  onOpen(socket) {
    this.heard()
    this.setStatus('syncing')
    // A Comity server says first which history the room has; nothing may be merged before.
    if (socket.protocol !== SUBPROTOCOL) this.startSync()
  }

  startSync() {
    this.sendStep1()
    // The server forgot this client when the last connection closed; a new clock makes the announcement news.
    this.awareness.setLocalState(this.awareness.getLocalState())
  }

  /**
   * @param {WebSocket} socket
   * @param {Uint8Array} bytes
   */
  onMessage(socket, bytes) {
    this.heard()
    try {
      this.read(decoding.createDecoder(bytes))
    } catch (error) {
      console.error('Comity: a frame that cannot be read; connecting anew', error)
      socket.close()
    }
  }

  /** @param {decoding.Decoder} decoder */
  read(decoder) {
    const type = decoding.readVarUint(decoder)
    if (type === SYNC) this.readSync(decoder)
    else if (type === AWARENESS) this.readAwareness(decoder)
    else if (type === QUERY_AWARENESS) this.sendPresence()
    else if (type === COMITY) this.readControl(decoder)
    else if (type === AUTH) this.readDenial(decoder)
  }

  /** @param {decoding.Decoder} decoder */
  readSync(decoder) {
    const step = decoding.readVarUint(decoder)
    const body = decoding.readVarUint8Array(decoder)
    if (step === syncProtocol.messageYjsSyncStep1) {
      this.send(SYNC, encoder => syncProtocol.writeSyncStep2(encoder, this.doc, body))
      return
    }
    Y.applyUpdate(this.doc, body, this)
    if (step === syncProtocol.messageYjsSyncStep2) {
      this.attempts = 0
      this.setStatus('live')
    }
  }

  /** @param {decoding.Decoder} decoder */
  readAwareness(decoder) {
    awarenessProtocol.applyAwarenessUpdate(this.awareness, decoding.readVarUint8Array(decoder), this)
  }

  /** @param {decoding.Decoder} decoder */
  readDenial(decoder) {
    decoding.readVarUint(decoder)
    this.emit('notice', [{ kind: 'notice', code: 4403, text: decoding.readVarString(decoder) }])
  }

  /** @param {decoding.Decoder} decoder */
  readControl(decoder) {
    const frame = readControl(decoder)
    if (frame?.kind === 'notice') this.emit('notice', [frame])
    if (frame?.kind !== 'welcome') return
    if (this.lineage !== null && this.lineage !== frame.lineage) this.startAfresh()
    this.lineage = frame.lineage
    this.emit('welcome', [frame])
    this.startSync()
  }

  /** Discard the document for a new one. */
  startAfresh() {
    this.awareness.destroy()
    this.doc.destroy()
    this.doc = new Y.Doc()
    this.awareness = this.newAwareness()
    this.emit('document', [this.doc])
  }

  sendStep1() {
    this.send(SYNC, encoder => syncProtocol.writeSyncStep1(encoder, this.doc))
  }

  sendPresence() {
    const { awareness } = this
    if (!awareness.meta.has(awareness.clientID)) return
    const update = awarenessProtocol.encodeAwarenessUpdate(awareness, [awareness.clientID])
    this.send(AWARENESS, encoder => encoding.writeVarUint8Array(encoder, update))
  }

  /**
   * @param {number} type
   * @param {(encoder: encoding.Encoder) => void} [write]
   */
  send(type, write) {
    if (this.socket === null || this.socket.readyState !== OPEN) return
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, type)
    write?.(encoder)
    this.socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (encoding.toUint8Array(encoder)))
  }

  /** Ask the server for a sign of life, unless one is due already: every server answers a synchronisation step. */
  probe() {
    if (this.askedAt !== null || this.status !== 'live') return
    this.askedAt = Date.now()
    this.sendStep1()
  }

  heard() {
    this.heardAt = Date.now()
    this.askedAt = null
  }

  watchSilence() {
    if (this.socket === null) return
    const now = Date.now()
    const patience = this.status === 'live' ? this.answerWithin : SYNC_WITHIN_MS
    if (this.askedAt !== null && now - this.askedAt > patience) this.onClose(1006, 'the server fell silent')
    else if (now - this.heardAt > PROBE_AFTER_MS) this.probe()
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  onClose(code, reason) {
    this.hangUp()
    if (code >= 4400 && code < 4500) {
      this.refusal = { code, reason }
      this.emit('refused', [this.refusal])
      return
    }
    const pause = Math.min(this.longestPause, this.firstPause * 2 ** this.attempts++)
    // Half the pause at random, so that a server that restarts does not meet all its clients at once.
    this.timer = setTimeout(() => this.open(), pause * (0.5 + Math.random() / 2))
  }

  /** Let go of the socket and of everyone's presence but one's own. */
  hangUp() {
    const socket = this.socket
    this.socket = null
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
    }
    const others = [...this.awareness.states.keys()].filter(client => client !== this.awareness.clientID)
    awarenessProtocol.removeAwarenessStates(this.awareness, others, 'disconnected')
    this.setStatus('offline')
  }

  /** @param {Status} status */
  setStatus(status) {
    if (status === this.status) return
    this.status = status
    this.emit('status', [status])
  }
}
