import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'
import { Connection } from '../src/connection.js'
import { encodeControl, SUBPROTOCOL } from '../src/wire.js'

/** A room behind a real socket, as small as it can be. */
class Room {
  /** @param {number} [port] */
  constructor(port = 0) {
    this.doc = new Y.Doc()
    this.lineage = 'first'
    this.mute = false
    /** Every frame that came in, by its type. @type {number[]} */
    this.heard = []
    this.server = new WebSocketServer({ port, host: '127.0.0.1', handleProtocols: () => SUBPROTOCOL })
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
    const { lineage } = this
    const welcome = { lineage, principal: 'page', access: ['read'], limits: {}, server: '0' }
    socket.on('message', data => this.answer(socket, new Uint8Array(/** @type {Buffer} */ (data))))
    socket.send(encodeControl({ kind: 'welcome', ...welcome }))
    socket.send(this.sync(encoder => syncProtocol.writeSyncStep1(encoder, this.doc)))
  }

  /**
   * @param {WebSocket} socket
   * @param {Uint8Array} frame
   */
  answer(socket, frame) {
    const decoder = decoding.createDecoder(frame)
    const type = decoding.readVarUint(decoder)
    this.heard.push(type)
    if (type !== 0 || this.mute) return
    const reply = this.sync(encoder => syncProtocol.readSyncMessage(decoder, encoder, this.doc, null))
    if (reply.length > 1) socket.send(reply)
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

/**
 * @param {import('node:test').TestContext} context
 * @param {string} url
 * @returns {Connection}
 */
const connect = (context, url) => {
  const connection = new Connection(url, {
    presence: { agent: 'page', kind: 'page' },
    WebSocket: /** @type {any} */ (WebSocket),
    firstPause: 5,
    longestPause: 20,
    answerWithin: 100
  })
  context.after(() => {
    connection.destroy()
    connection.doc.destroy()
  })
  return connection
}

/**
 * @param {import('node:test').TestContext} context
 * @param {number} [port]
 */
const openRoom = (context, port) => {
  const room = new Room(port)
  context.after(() => room.close().catch(() => undefined))
  return room
}

/**
 * Wait for an event of a connection for which a condition holds.
 *
 * @param {Connection} connection
 * @param {any} name
 * @param {(...values: any[]) => boolean} [holds]
 */
const event = (connection, name, holds = () => true) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} within five seconds`)), 5_000)
    const listener = (/** @type {any[]} */ ...values) => {
      if (!holds(...values)) return
      clearTimeout(timer)
      connection.off(name, listener)
      resolve(values[0])
    }
    connection.on(name, listener)
  })

/** @param {Connection} connection */
const live = connection => event(connection, 'status', status => status === 'live')

test('a connection is offline, then syncing, then live, and has the document', async context => {
  const room = openRoom(context)
  room.doc.getText('notes').insert(0, 'hello')
  const connection = connect(context, await room.url())
  const seen = [connection.status]
  connection.on('status', status => seen.push(status))
  await live(connection)
  assert.deepEqual(seen, ['offline', 'syncing', 'live'])
  assert.equal(connection.doc.getText('notes').toString(), 'hello')
})

test('updates arrive as they happen', async context => {
  const room = openRoom(context)
  const connection = connect(context, await room.url())
  await live(connection)
  const updated = new Promise(resolve => connection.doc.once('update', resolve))
  room.doc.getText('notes').insert(0, 'later')
  await updated
  assert.equal(connection.doc.getText('notes').toString(), 'later')
})

test('a broken connection comes back and catches up', async context => {
  const room = openRoom(context)
  const url = await room.url()
  const connection = connect(context, url)
  await live(connection)
  const offline = event(connection, 'status', status => status === 'offline')
  await room.close()
  await offline
  const again = openRoom(context, Number(new URL(url).port))
  Y.applyUpdate(again.doc, Y.encodeStateAsUpdate(room.doc))
  again.doc.getText('notes').insert(0, 'meanwhile')
  await live(connection)
  assert.equal(connection.doc.getText('notes').toString(), 'meanwhile')
})

test('a close code of 45xx is come back from, one of 44xx is not', async context => {
  const room = openRoom(context)
  const connection = connect(context, await room.url())
  await live(connection)
  const back = live(connection)
  room.hangUp(4503)
  await back
  const refused = event(connection, 'refused')
  room.hangUp(4403)
  assert.deepEqual(await refused, { code: 4403, reason: 'because' })
  assert.equal(connection.status, 'offline')
  connection.wake()
  assert.equal(connection.socket, null)
})

test('a document of another lineage is discarded before anything is merged', async context => {
  const room = openRoom(context)
  room.doc.getText('notes').insert(0, 'old')
  const connection = connect(context, await room.url())
  await live(connection)
  const before = connection.doc
  assert.equal(before.getText('notes').toString(), 'old')
  room.lineage = 'second'
  room.doc = new Y.Doc()
  room.doc.getText('notes').insert(0, 'new')
  const replaced = event(connection, 'document')
  const again = live(connection)
  room.hangUp(4503)
  assert.notEqual(await replaced, before)
  await again
  assert.equal(connection.doc.getText('notes').toString(), 'new')
  assert.equal(room.doc.getText('notes').toString(), 'new')
})

test('presence is announced anew after a reconnection, with a greater clock', async context => {
  const room = openRoom(context)
  const connection = connect(context, await room.url())
  await live(connection)
  const { awareness } = connection
  const clock = () => awareness.meta.get(awareness.clientID)?.clock ?? -1
  const before = clock()
  const announced = room.heard.filter(type => type === 1).length
  assert.ok(announced > 0)
  const back = live(connection)
  room.hangUp(4503)
  await back
  assert.ok(clock() > before)
  assert.ok(room.heard.filter(type => type === 1).length > announced)
})

test('a server that falls silent is left for a new connection', async context => {
  const room = openRoom(context)
  const connection = connect(context, await room.url())
  await live(connection)
  const offline = event(connection, 'status', status => status === 'offline')
  room.mute = true
  connection.probe()
  await offline
  room.mute = false
  await live(connection)
})

test('a frame that cannot be read breaks the connection, and a new one is made', async context => {
  const room = openRoom(context)
  const connection = connect(context, await room.url())
  await live(connection)
  context.mock.method(console, 'error', () => undefined)
  const back = live(connection)
  room.broadcast(new Uint8Array([0, 2, 200]))
  await back
})
