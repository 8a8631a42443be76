/** Links: one WebSocket after another to the same address, each left when it falls silent. */

import { ConnectionFailedError, isPermanent } from './failures.js'
import { SUBPROTOCOL } from './wire.js'

/** The first pause before coming back: short, for most breaks are a server that restarts. */
const FIRST_PAUSE_MS = 200
/** The longest pause: a person who waits does not want to wait longer, and one attempt is cheap. */
const LONGEST_PAUSE_MS = 10_000
/** The longest that a server can ask for: one that asks for more is asked again sooner, for it may be mistaken. */
const LONGEST_REQUEST_MS = 3_600_000
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

/** @typedef {{ new (url: string, protocols: string[]): WebSocket }} WebSocketClass */
/** @typedef {{ code: number, reason: string }} Refusal */

/**
 * How a link is made.
 *
 * @typedef {object} LinkOptions
 * @property {WebSocketClass} [WebSocket] where the platform has none of its own
 * @property {number} [firstPause] milliseconds
 * @property {number} [longestPause] milliseconds
 * @property {number} [answerWithin] milliseconds that a live server may take to give a sign of life
 * @property {boolean} [stock] do not ask for `comity.v1`: for a server of other Yjs providers, where browsers refuse the
 *   connection if it is asked for and not given
 */

/**
 * What a link tells.
 *
 * @typedef {object} Hooks
 * @property {(isComity: boolean) => void} opened a socket is open
 * @property {(bytes: Uint8Array) => void} received
 * @property {() => void} closed the socket is gone; another follows unless the link was stopped
 * @property {(refusal: Refusal) => void} refused the server will not have this client: no other socket follows
 * @property {() => void} ask asks the server for something that it answers at once
 * @property {() => void} ticked called every second or so
 */

/** Keeps a WebSocket open, with exponential backoff and jitter, until it is stopped or refused for good. */
export class Link {
  /**
   * @param {string} url
   * @param {Hooks} hooks
   * @param {LinkOptions} [options]
   * @throws {ConnectionFailedError} if there is no WebSocket
   */
  constructor(url, hooks, options = {}) {
    this.url = url
    this.hooks = hooks
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket
    if (this.WebSocket === undefined) throw noWebSocket(url)
    this.firstPause = options.firstPause ?? FIRST_PAUSE_MS
    this.longestPause = options.longestPause ?? LONGEST_PAUSE_MS
    this.answerWithin = options.answerWithin ?? ANSWER_WITHIN_MS
    this.protocols = options.stock === true ? [] : [SUBPROTOCOL]
    /** @type {WebSocket | null} */
    this.socket = null
    this.isStarted = false
    /** Whether the first synchronisation on this socket is done. */
    this.isLive = false
    /** @type {Refusal | null} */
    this.refusal = null
    this.attempts = 0
    /** When the server may be asked again, if it said so. */
    this.notBefore = 0
    this.heardAt = 0
    /** When the server was asked for a sign of life that it has not given. @type {number | null} */
    this.askedAt = null
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined
    this.wake = this.wake.bind(this)
    this.probe = this.probe.bind(this)
    globalThis.addEventListener?.('online', this.wake)
    globalThis.addEventListener?.('offline', this.probe)
    this.watch = setInterval(() => this.tick(), Math.min(WATCH_EVERY_MS, this.answerWithin))
  }

  /** How many bytes the socket has not sent yet. */
  get unsent() {
    return this.socket?.bufferedAmount ?? 0
  }

  /** Open a socket, and another whenever it breaks. */
  start() {
    if (this.isStarted || this.refusal !== null) return
    this.isStarted = true
    const asked = this.askedPause()
    if (asked > 0) this.timer = setTimeout(() => this.open(), asked)
    else this.open()
  }

  /** Close the socket, and open no other. */
  stop() {
    this.isStarted = false
    this.hangUp()
  }

  /** Stop for good. */
  destroy() {
    this.stop()
    clearInterval(this.watch)
    globalThis.removeEventListener?.('online', this.wake)
    globalThis.removeEventListener?.('offline', this.probe)
  }

  /** Try again now, whatever the pause: the network is back. A live connection is asked whether it still is. */
  wake() {
    if (this.isLive) this.probe()
    else if (this.isStarted && this.askedPause() === 0) {
      this.hangUp()
      this.open()
    }
  }

  /** Ask the server for a sign of life, unless one is due already. */
  probe() {
    if (this.askedAt !== null || !this.isLive) return
    this.askedAt = Date.now()
    this.hooks.ask()
  }

  /** Note that the first synchronisation is done. */
  settled() {
    this.attempts = 0
    this.isLive = true
  }

  /**
   * Once this connection is gone, stay away for a while: the server asked for that.
   *
   * @param {number} seconds
   */
  postpone(seconds) {
    if (seconds > 0) this.notBefore = Date.now() + Math.min(seconds * 1000, LONGEST_REQUEST_MS)
  }

  /** How many milliseconds are left of what the server asked for. */
  askedPause() {
    return Math.max(0, this.notBefore - Date.now())
  }

  /** @param {Uint8Array} bytes */
  send(bytes) {
    if (this.socket?.readyState !== OPEN) return
    this.socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes))
  }

  open() {
    clearTimeout(this.timer)
    const socket = new this.WebSocket(this.url, this.protocols)
    socket.binaryType = 'arraybuffer'
    this.socket = socket
    this.heardAt = this.askedAt = Date.now()
    socket.onopen = () => {
      this.heard()
      this.hooks.opened(socket.protocol === SUBPROTOCOL)
    }
    socket.onmessage = ({ data }) => {
      this.heard()
      this.hooks.received(new Uint8Array(data))
    }
    socket.onclose = ({ code, reason }) => this.onClose(code, reason)
    socket.onerror = () => {
      // A close event follows, and says more.
    }
  }

  heard() {
    this.heardAt = Date.now()
    this.askedAt = null
  }

  tick() {
    this.hooks.ticked()
    if (this.socket === null) return
    const now = Date.now()
    const patience = this.isLive ? this.answerWithin : SYNC_WITHIN_MS
    if (this.askedAt !== null && now - this.askedAt > patience) this.comeBack()
    else if (now - this.heardAt > PROBE_AFTER_MS) this.probe()
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  onClose(code, reason) {
    if (isPermanent(code)) this.refuse({ code, reason })
    else this.comeBack()
  }

  /**
   * Give up for good.
   *
   * @param {Refusal} refusal
   */
  refuse(refusal) {
    this.refusal = refusal
    this.stop()
    this.hooks.refused(refusal)
  }

  /** Leave the socket for another, after a pause. */
  comeBack() {
    this.hangUp()
    if (!this.isStarted) return
    const pause = Math.min(this.longestPause, this.firstPause * 2 ** this.attempts++)
    // Half the pause at random, so that a server that restarts does not meet all its clients at once.
    this.timer = setTimeout(() => this.open(), this.askedPause() + pause * (0.5 + Math.random() / 2))
  }

  hangUp() {
    clearTimeout(this.timer)
    const { socket } = this
    this.socket = null
    this.isLive = false
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
    }
    this.hooks.closed()
  }
}

/** @param {string} url */
const noWebSocket = url =>
  new ConnectionFailedError('this platform has no WebSocket', {
    subject: url,
    remedy: "pass that of the package ws: import { WebSocket } from 'ws'"
  })
