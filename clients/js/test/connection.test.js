import * as encoding from 'lib0/encoding'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import * as awarenessProtocol from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Connection } from '../src/connection.js'
import { encodeControl } from '../src/wire.js'
import { SmallRoom } from './support/smallroom.js'

/**
 * @param {import('node:test').TestContext} context
 * @param {string} url
 * @param {import('../src/connection.js').Options & import('../src/link.js').LinkOptions} [options]
 * @returns {Connection}
 */
const connect = (context, url, options) => {
  const connection = new Connection(url, {
    ...options,
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
 * @param {boolean} [isStock]
 */
const openRoom = (context, port, isStock) => {
  const room = new SmallRoom(port, isStock)
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

/**
 * @param {import('node:test').TestContext} context
 * @param {boolean} [isStock]
 * @param {boolean} [stock] whether the connection knows
 */
const editing = async (context, isStock = false, stock = false) => {
  const room = openRoom(context, 0, isStock)
  room.access = ['read', 'write']
  const connection = connect(context, await room.url(), { edits: true, stock })
  return { room, connection }
}

/** @param {Connection} connection */
const write = (connection, text = 'x') => connection.doc.getText('notes').insert(0, text)

test('a server that says when to come back is not asked before, and then given what was edited', async context => {
  const { room, connection } = await editing(context)
  await live(connection)
  const since = Date.now()
  room.broadcast(encodeControl({ kind: 'notice', code: 4529, text: 'too fast', retry_after: 0.5, at: null }))
  const closed = event(connection, 'closed')
  room.hangUp(4529)
  await closed
  write(connection, 'meanwhile')
  connection.wake()
  assert.equal(connection.socket, null)
  connection.pause()
  connection.resume()
  assert.equal(connection.socket, null)
  await event(connection, 'acknowledged', number => number === 1)
  assert.ok(Date.now() - since >= 495)
  assert.equal(room.doc.getText('notes').toString(), 'meanwhile')
})

test('a connection without edits sends none', async context => {
  const room = openRoom(context)
  const connection = connect(context, await room.url())
  await live(connection)
  write(connection)
  const answered = event(connection, 'status', status => status === 'offline')
  room.hangUp(4503)
  await answered
  assert.deepEqual(room.updates, [])
})

test('the edits of one turn travel as one update', async context => {
  const { room, connection } = await editing(context)
  await live(connection)
  for (const letter of 'dlrow') write(connection, letter)
  await event(connection, 'acknowledged', number => number === 5)
  assert.equal(room.updates.length, 1)
  assert.equal(room.doc.getText('notes').toString(), 'world')
  write(connection, '!')
  await event(connection, 'acknowledged', number => number === 6)
  assert.equal(room.updates.length, 2)
})

test('ten thousand edits of one turn are one update', async context => {
  const { room, connection } = await editing(context)
  await live(connection)
  for (let at = 0; at < 10_000; at++) connection.doc.getMap('m').set(`k${at % 50}`, at)
  await event(connection, 'acknowledged', number => number === 10_000)
  assert.deepEqual(room.doc.getMap('m').toJSON(), connection.doc.getMap('m').toJSON())
  assert.equal(room.updates.length, 1)
})

test('large edits of one turn travel as several updates, none of them over the limit', async context => {
  const { room, connection } = await editing(context)
  room.limits = { message: 1_500_000 }
  await live(connection)
  for (let at = 0; at < 5; at++) write(connection, String(at).repeat(500_000))
  await event(connection, 'acknowledged', number => number === 5)
  assert.equal(room.updates.length, 3)
  assert.equal(room.doc.getText('notes').length, 2_500_000)
})

test('edits made before and without a connection travel as what the server lacks', async context => {
  const { room, connection } = await editing(context)
  write(connection, 'early')
  await event(connection, 'acknowledged', number => number === 1)
  connection.pause()
  write(connection, 'late ')
  assert.equal(connection.uplink?.pending, 1)
  connection.resume()
  await event(connection, 'acknowledged', number => number === 2)
  assert.equal(room.doc.getText('notes').toString(), 'late early')
  assert.equal(connection.uplink?.pending, 0)
})

test('an edit is pending until it is acknowledged, and is sent again if that never comes', async context => {
  const { room, connection } = await editing(context)
  await live(connection)
  room.acknowledges = false
  write(connection)
  await new Promise(resolve => room.doc.once('update', resolve))
  assert.equal(connection.uplink?.pending, 1)
  room.acknowledges = true
  room.hangUp(4503)
  await event(connection, 'acknowledged', number => number === 1)
  assert.equal(room.doc.getText('notes').toString(), 'x')
})

test('an edit that came from the server is not sent back', async context => {
  const { room, connection } = await editing(context)
  await live(connection)
  room.doc.getText('notes').insert(0, 'theirs')
  await new Promise(resolve => connection.doc.once('update', resolve))
  write(connection, 'mine ')
  await event(connection, 'acknowledged', number => number === 1)
  assert.equal(connection.uplink?.number, 1)
  assert.equal(room.updates.length, 1)
})

test('a refused edit is reported, and taken back with what builds on it', async context => {
  const { room, connection } = await editing(context)
  await live(connection)
  write(connection, 'sound ')
  await event(connection, 'acknowledged', number => number === 1)
  const before = connection.doc
  room.refuses.add(room.count + 1)
  write(connection, 'refused ')
  const rejection = await event(connection, 'rejected')
  assert.equal(rejection.error.name, 'ForbiddenError')
  assert.deepEqual([rejection.after, rejection.number], [1, 2])
  write(connection, 'built on it ')
  room.refuses.clear()
  await live(connection)
  assert.notEqual(connection.doc, before)
  assert.equal(connection.doc.getText('notes').toString(), 'sound ')
  assert.equal(room.doc.getText('notes').toString(), 'sound ')
  write(connection, 'again ')
  await event(connection, 'acknowledged', number => number === 4)
  assert.equal(room.doc.getText('notes').toString(), 'again sound ')
})

test('an edit over the limit is refused here, after those before it have arrived', async context => {
  const { room, connection } = await editing(context)
  room.limits = { message: 10_000 }
  await live(connection)
  write(connection, 'fits ')
  await Promise.resolve()
  write(connection, 'too large '.repeat(1_000))
  const { error, after, number } = await event(connection, 'rejected')
  assert.equal(error.name, 'TooLargeError')
  assert.deepEqual([after, number], [1, 2])
  await live(connection)
  assert.equal(connection.doc.getText('notes').toString(), 'fits ')
})

test('work of a whole absence that is over the limit ends the connection and stays here', async context => {
  const { room, connection } = await editing(context)
  room.limits = { message: 10_000 }
  write(connection, 'too large '.repeat(1_000))
  const { code, reason } = await event(connection, 'refused')
  assert.equal(code, 4413)
  assert.match(reason, /over the server's limit of 10000/)
  assert.equal(connection.doc.getText('notes').length, 10_000)
  assert.equal(connection.uplink?.pending, 1)
})

for (const stock of [true, false]) {
  test(`a stock server, ${stock ? 'announced' : 'found out'}, is sent edits and acknowledges nothing`, async context => {
    const { room, connection } = await editing(context, true, stock)
    write(connection, 'early ')
    await live(connection)
    const updated = new Promise(resolve => room.doc.once('update', resolve))
    write(connection, 'and late ')
    await updated
    assert.equal(room.doc.getText('notes').toString(), 'and late early ')
    assert.equal(connection.uplink?.acknowledges, false)
    assert.equal(connection.lineage, null)
  })
}

test('a server that misses something asks for it and gets it', async context => {
  const { room, connection } = await editing(context)
  await live(connection)
  room.mute = true
  write(connection, 'lost')
  await new Promise(resolve => setImmediate(resolve))
  room.mute = false
  for (const socket of room.server.clients) room.ask(socket)
  await event(connection, 'acknowledged', number => number === 1)
  assert.equal(room.doc.getText('notes').toString(), 'lost')
})

test('a document that misses something asks for it and gets it', async context => {
  const room = openRoom(context)
  const connection = connect(context, await room.url())
  await live(connection)
  const other = new Y.Doc()
  other.getText('notes').insert(0, 'first')
  const vector = Y.encodeStateVector(other)
  other.getText('notes').insert(5, ' second')
  room.server.clients.forEach(socket => (socket.send = () => undefined))
  Y.applyUpdate(room.doc, Y.encodeStateAsUpdate(other))
  room.server.clients.forEach(socket => delete (/** @type {any} */ (socket).send))
  const second = room.sync(encoder => {
    encoding.writeVarUint(encoder, 2)
    encoding.writeVarUint8Array(encoder, Y.encodeStateAsUpdate(other, vector))
  })
  const updated = new Promise(resolve =>
    connection.doc.on('update', () => connection.doc.getText('notes').length === 12 && resolve(null))
  )
  room.broadcast(second)
  await updated
  assert.equal(connection.doc.getText('notes').toString(), 'first second')
})

test('who is present is known again as soon as the connection is back', async context => {
  const { room, connection } = await editing(context)
  const other = new awarenessProtocol.Awareness(new Y.Doc())
  context.after(() => other.destroy())
  other.setLocalState({ agent: 'other' })
  const announcement = encoding.createEncoder()
  encoding.writeVarUint(announcement, 1)
  encoding.writeVarUint8Array(announcement, awarenessProtocol.encodeAwarenessUpdate(other, [other.clientID]))
  const present = async () => {
    room.broadcast(encoding.toUint8Array(announcement))
    await new Promise(resolve => connection.awareness.once('change', resolve))
    return connection.awareness.getStates().get(other.clientID)
  }
  await live(connection)
  assert.deepEqual(await present(), { agent: 'other' })
  const back = live(connection)
  room.hangUp(4503)
  await back
  assert.equal(connection.awareness.getStates().has(other.clientID), false)
  assert.deepEqual(await present(), { agent: 'other' })
})

test('a presence over the limit is not sent, and said so', async context => {
  const { room, connection } = await editing(context)
  room.limits = { presence: 100 }
  await live(connection)
  const noticed = event(connection, 'notice')
  connection.awareness.setLocalStateField('cursor', 'x'.repeat(200))
  assert.match((await noticed).text, /over the server's limit of 100/)
  assert.equal(connection.status, 'live')
})
