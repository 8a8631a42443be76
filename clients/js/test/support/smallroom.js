/** A room of a server for the tests of single frames, which a real server cannot be made to send at will. */

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { once } from 'node:events'
import { WebSocketServer } from 'ws'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'
import { encodeControl } from '../../src/wire.js'

/** @typedef {import('ws').WebSocket} WebSocket */

/** A room behind a real socket, as small as it can be. */
export class SmallRoom {
  /**
   * @param {number} [port]
   * @param {boolean} [isStock] like the server of y-websocket, which says nothing but the y-protocols, and agrees to
   *   any subprotocol
   */
  constructor(port = 0, isStock = false) {
    this.isStock = isStock
    this.doc = new Y.Doc()
    this.lineage = 'first'
    this.access = ['read']
    /** @type {Record<string, number>} */
    this.limits = {}
    this.mute = false
    /** Whether document updates are acknowledged at once. */
    this.acknowledges = true
    /** Which document updates of a connection are turned down, by their number there. @type {Set<number>} */
    this.refuses = new Set()
    /** How many document updates the present connection has sent. */
    this.count = 0
    /** The document updates themselves, of all connections, empty ones left out. @type {Uint8Array[]} */
    this.updates = []
    /** Every frame that came in, by its type. @type {number[]} */
    this.heard = []
    this.server = new WebSocketServer({
      port,
      host: '127.0.0.1',
      handleProtocols: protocols => [...protocols][0] ?? false
    })
    this.server.on('connection', socket => this.greet(socket))
    this.doc.on('update', update => this.broadcast(this.sync(e => syncProtocol.writeUpdate(e, update))))
  }

  async url() {
    if (this.server.address() === null) await once(this.server, 'listening')
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address())
    return `ws://127.0.0.1:${port}/ws/shared/demo?agent=page`
  }

  /** @param {(encoder: encoding.Encoder) => void} write */
  sync(write) {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, 0)
    write(encoder)
    return encoding.toUint8Array(encoder)
  }

  /** @param {Uint8Array} frame */
  broadcast(frame) {
    for (const socket of this.server.clients) socket.send(frame)
  }

  /** @param {WebSocket} socket */
  greet(socket) {
    const { lineage, access, limits } = this
    const welcome = { lineage, principal: 'page', access, limits, server: '0', erased: [], redactions: 0 }
    this.count = 0
    socket.on('message', data => this.answer(socket, new Uint8Array(/** @type {Buffer} */ (data))))
    if (!this.isStock) socket.send(encodeControl({ kind: 'welcome', ...welcome }))
    this.ask(socket)
  }

  /** @param {WebSocket} socket */
  ask(socket) {
    socket.send(this.sync(encoder => syncProtocol.writeSyncStep1(encoder, this.doc)))
  }

  /** Acknowledge all that came in on the present connection. */
  acknowledge() {
    this.broadcast(encodeControl({ kind: 'ack', n: this.count }))
  }

  /**
   * @param {WebSocket} socket
   * @param {Uint8Array} frame
   */
  answer(socket, frame) {
    const decoder = decoding.createDecoder(frame)
    const type = decoding.readVarUint(decoder)
    this.heard.push(type)
    if (type !== 0 || this.mute || this.isRefused(frame)) return
    const reply = this.sync(encoder => syncProtocol.readSyncMessage(decoder, encoder, this.doc, null))
    if (reply.length > 1) socket.send(reply)
    else if (this.acknowledges && !this.isStock) this.acknowledge()
  }

  /**
   * Count a document update, and turn it down if it is to be.
   *
   * @param {Uint8Array} frame
   */
  isRefused(frame) {
    const decoder = decoding.createDecoder(frame.subarray(1))
    if (decoding.readVarUint(decoder) === syncProtocol.messageYjsSyncStep1) return false
    const update = decoding.readVarUint8Array(decoder)
    this.count++
    if (update.length > 2) this.updates.push(update)
    if (!this.refuses.has(this.count)) return false
    const reject = { n: this.count, code: 4403, reason: 'not that', retry_after: null }
    this.broadcast(encodeControl({ kind: 'reject', ...reject }))
    return true
  }

  /** @param {number} code */
  hangUp(code) {
    for (const socket of this.server.clients) socket.close(code, 'because')
  }

  async close() {
    for (const socket of this.server.clients) socket.terminate()
    this.server.close()
    await once(this.server, 'close')
  }
}
