import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { connect, roomUrl } from '../src/client.js'
import { memoryStorage } from '../src/storage.js'
import { seeded } from './support/random.js'
import { ownServerTest, serverTest } from './support/server.js'
import { SmallRoom } from './support/smallroom.js'

/** @typedef {import('../src/room.js').Room} Room */
/** @typedef {import('../src/room.js').RoomOptions} RoomOptions */
/** @typedef {import('node:test').TestContext} TestContext */

let rooms = 0
let name = ''
beforeEach(() => {
  name = `shared/room-${++rooms}`
})

/** Nothing listens on the port of "discard". */
const NOBODY = 'ws://127.0.0.1:9'

/**
 * Open a room until the test ends.
 *
 * @param {TestContext} context
 * @param {string} url
 * @param {RoomOptions} [options]
 * @returns {Room}
 */
const open = (context, url, options) => {
  const timing = { WebSocket: /** @type {any} */ (WebSocket), firstPause: 5, longestPause: 20 }
  const client = connect(url, { ...timing, agent: 'tester' })
  const room = client.open(name, options)
  context.after(() => client.close())
  return room
}

/**
 * @param {TestContext} context
 * @param {boolean} [isStock]
 */
const small = async (context, isStock) => {
  const server = new SmallRoom(0, isStock)
  server.access = ['read', 'write']
  context.after(() => server.close().catch(() => undefined))
  return { server, url: new URL(await server.url()).origin.replace('http', 'ws') }
}

/** @param {Room | { doc: Y.Doc }} room */
const text = room => room.doc.getText('t')

/**
 * Wait for an event of a room.
 *
 * @param {Room} room
 * @param {any} name
 * @param {(...values: any[]) => boolean} [holds]
 * @returns {Promise<any>}
 */
const event = (room, name, holds = () => true) =>
  new Promise(resolve => {
    const listener = (/** @type {any[]} */ ...values) => {
      if (!holds(...values)) return
      room.off(name, listener)
      resolve(values[0])
    }
    room.on(name, listener)
  })

/**
 * Wait until a condition holds, which is looked at after each transaction of the document.
 *
 * @param {Room} room
 * @param {() => boolean} condition
 */
const until = async (room, condition) => {
  while (!condition()) await new Promise(resolve => room.doc.once('afterTransaction', resolve))
}

/**
 * What somebody who comes new to the room finds.
 *
 * @param {TestContext} context
 * @param {string} url
 */
const found = async (context, url) => {
  const reader = open(context, url)
  await reader.synced()
  return text(reader).toString()
}

/** @param {TestContext} context */
const silent = context => {
  const error = context.mock.method(console, 'error', () => undefined)
  const warn = context.mock.method(console, 'warn', () => undefined)
  return () => [...error.mock.calls, ...warn.mock.calls].map(call => String(call.arguments[0]))
}

test('the address of a room is made of what people write', () => {
  assert.equal(roomUrl('ws://host:1', 'shared/a b', 'é&x'), 'ws://host:1/ws/shared/a%20b?agent=%C3%A9%26x')
  assert.equal(roomUrl('https://host/base/ws/', 'r', ''), 'wss://host/base/ws/r?agent=')
  for (const wrong of ['host:1', 'ftp://host', '', 'ws://']) {
    assert.throws(() => roomUrl(wrong, 'r', ''), { name: 'ConnectionFailedError' })
  }
  for (const wrong of ['', null, 7]) {
    assert.throws(() => connect(NOBODY).open(/** @type {any} */ (wrong)), { name: 'RoomNotFoundError' })
  }
})

test('a platform without WebSocket is told what to pass', () => {
  const { WebSocket: own } = globalThis
  Reflect.deleteProperty(globalThis, 'WebSocket')
  try {
    const wrong = { name: 'ConnectionFailedError', message: /pass that of the package ws/ }
    assert.throws(() => connect(NOBODY).open(name), wrong)
  } finally {
    if (own !== undefined) globalThis.WebSocket = own
  }
})

ownServerTest(
  'a client that writes ten times its rate is made to wait, and loses nothing',
  async (server, context) => {
    const writer = open(context, server.url)
    await writer.synced()
    /** @type {number[]} */
    const stays = []
    let left = 0
    writer.on('status', (/** @type {string} */ status) => {
      if (status === 'offline') left = Date.now()
      else if (status === 'syncing') stays.push(Date.now() - left)
    })
    let made = 0
    while (stays.length < 2) {
      text(writer).insert(made++, 'x')
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    await writer.durable()
    assert.ok(Math.min(...stays) >= 950, `${stays} ms`)
    const reader = open(context, server.url)
    await reader.synced()
    assert.equal(text(reader).toString(), 'x'.repeat(made))
  },
  { connection_messages: 20, burst_seconds: 1 }
)

ownServerTest('an edit is durable on the server, and others get it', async (server, context) => {
  const [writer, reader] = [open(context, server.url), open(context, server.url)]
  await reader.synced()
  text(writer).insert(0, 'hello')
  assert.equal(writer.pending, 1)
  await writer.durable()
  assert.equal(writer.pending, 0)
  await until(reader, () => text(reader).toString() === 'hello')
  await server.stop('SIGKILL')
  await server.start()
  assert.equal(await found(context, server.url), 'hello')
})

serverTest('concurrent edits of two programs merge, and no count is lost', async (server, context) => {
  const rooms = [open(context, server.url), open(context, server.url)]
  for (let at = 0; at < 200; at++) {
    for (const room of rooms) room.doc.getArray('a').push([at])
    if (at % 10 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await Promise.all(rooms.map(room => room.durable()))
  for (const room of rooms) await until(room, () => room.doc.getArray('a').length === 400)
  assert.deepEqual(rooms[0].doc.toJSON(), rooms[1].doc.toJSON())
  assert.equal(rooms[0].uplink.number, 200)
})

serverTest('what is edited offline is pending, and merges on return', async (server, context) => {
  const [one, two] = [open(context, server.url), open(context, server.url)]
  await one.synced()
  const [first, second] = [one.offline(), one.offline()]
  assert.equal(one.status, 'offline')
  text(one).insert(0, 'offline ')
  text(two).insert(0, 'online ')
  await two.durable()
  first()
  first()
  assert.equal(one.connection.socket, null)
  assert.equal(one.pending, 1)
  second()
  await one.durable()
  await until(two, () => text(two).length === 15)
  await until(one, () => text(one).length === 15)
  assert.equal(text(one).toString(), text(two).toString())
})

ownServerTest('edits wait for a server that is killed, and are there once', async (server, context) => {
  const room = open(context, server.url)
  await room.synced()
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < 20; at++) room.doc.getArray('a').push([`${round}/${at}`])
    await server.stop('SIGKILL')
    room.doc.getArray('a').push([`${round}/down`])
    const durable = room.durable()
    await server.start()
    await durable
  }
  const reader = open(context, server.url)
  await reader.synced()
  const all = reader.doc.getArray('a').toArray()
  assert.equal(all.length, 63)
  assert.equal(new Set(all).size, 63)
})

serverTest('work of a session that ended offline is sent by the next', async (server, context) => {
  const storage = memoryStorage()
  const before = open(context, server.url, { storage })
  text(before).insert(0, 'before ')
  await before.durable()
  before.offline()
  text(before).insert(7, 'and offline ')
  text(before).delete(0, 1)
  await before.close()
  const after = open(context, server.url, { storage })
  const away = after.offline()
  await after.loaded
  assert.equal(text(after).toString(), 'efore and offline ')
  assert.equal(after.pending, 2)
  assert.notEqual(after.doc.clientID, before.doc.clientID)
  text(after).insert(0, 'B')
  assert.equal(after.pending, 3)
  away()
  await after.durable()
  assert.equal(after.pending, 0)
  assert.equal(await found(context, server.url), 'Before and offline ')
  await after.close()
  const last = open(context, NOBODY, { storage })
  await last.loaded
  assert.equal(last.pending, 0)
  assert.equal(text(last).toString(), 'Before and offline ')
})

serverTest('an edit made before what was kept is read is kept and sent too', async (server, context) => {
  const storage = memoryStorage()
  const before = open(context, NOBODY, { storage })
  text(before).insert(0, 'kept')
  await before.close()
  const after = open(context, server.url, { storage })
  text(after).insert(0, 'new')
  await after.durable()
  assert.equal((await found(context, server.url)).length, 7)
})

serverTest('sessions that come and go at random lose nothing and double nothing', async (server, context) => {
  const random = seeded(3)
  const agents = [1, 2, 3].map(agent => {
    const storage = memoryStorage()
    return { agent, storage, room: open(context, server.url, { storage }), back: () => {} }
  })
  const written = []
  for (let step = 0; step < 400; step++) {
    const one = agents[Math.floor(random() * agents.length)]
    const chance = random()
    if (chance < 0.05) {
      one.back()
      one.back = one.room.offline()
    } else if (chance < 0.1) one.back()
    else if (chance < 0.15) one.room.connection.link.comeBack()
    else if (chance < 0.18) {
      await Promise.all([one.room.saved(), one.room.loaded])
      one.room.leave()
      one.room = open(context, server.url, { storage: one.storage })
      one.back = () => {}
    } else {
      written.push(`${one.agent}/${step}`)
      one.room.doc.getArray('a').push([`${one.agent}/${step}`])
    }
    if (random() < 0.3) await new Promise(resolve => setTimeout(resolve, random() * 4))
  }
  for (const { back } of agents) back()
  await Promise.all(agents.map(({ room }) => room.durable()))
  const reader = open(context, server.url)
  await reader.synced()
  assert.deepEqual(reader.doc.getArray('a').toArray().sort(), written.sort())
  for (const { room } of agents) {
    await until(room, () => room.doc.getArray('a').length === written.length)
    assert.deepEqual([room.pending, room.unmerged], [0, []])
  }
})

serverTest('two tabs on one storage lose nothing of each other', async (server, context) => {
  const storage = memoryStorage()
  const tabs = [open(context, NOBODY, { storage }), open(context, NOBODY, { storage })]
  for (let at = 0; at < 300; at++) {
    for (const room of tabs) room.doc.getArray('a').push([at])
    await Promise.resolve()
  }
  await Promise.all(tabs.map(room => room.close()))
  const next = open(context, server.url, { storage })
  await next.loaded
  assert.equal(next.pending, 600)
  await next.durable()
  const reader = open(context, server.url)
  await reader.synced()
  assert.equal(reader.doc.getArray('a').length, 600)
})

ownServerTest('a room that was rebuilt is never merged with its old self', async (server, context) => {
  const storage = memoryStorage()
  const room = open(context, server.url, { storage })
  text(room).insert(0, 'long ago')
  await room.durable()
  const away = room.offline()
  text(room).insert(0, 'not sent, ')
  await server.lose()
  await server.start()
  const rebuilder = open(context, server.url)
  text(rebuilder).insert(0, 'rebuilt')
  await rebuilder.durable()
  const old = room.doc
  const [durable, aside] = [room.durable(), event(room, 'aside')]
  room.on('document', doc => text({ doc }).insert(0, 'made again, '))
  away()
  await assert.rejects(durable, { name: 'LineageError' })
  const { doc, update, error } = await aside
  assert.equal(doc, old)
  assert.equal(error.name, 'LineageError')
  assert.equal(text({ doc }).toString(), 'not sent, long ago')
  await room.durable()
  assert.equal(text(room).toString(), 'made again, rebuilt')
  assert.deepEqual(
    room.unmerged.map(each => each.update),
    [update]
  )
  await room.saved()
  const [kept] = await room.asides()
  const copy = new Y.Doc()
  Y.applyUpdate(copy, kept.update)
  assert.equal(copy.getText('t').toString(), 'not sent, long ago')
  text(room).insert(0, 'goes on, ')
  await room.durable()
  assert.equal(await found(context, server.url), 'goes on, made again, rebuilt')
  await room.close()
  const next = open(context, server.url, { storage })
  await next.durable()
  assert.equal(text(next).toString(), 'goes on, made again, rebuilt')
  assert.equal((await next.asides()).length, 1)
  await next.discard(kept.id)
  assert.deepEqual(await next.asides(), [])
})

ownServerTest(
  'a rebuilt room is known as such by a session that starts from what was kept',
  async (server, context) => {
    const storage = memoryStorage()
    const before = open(context, server.url, { storage })
    text(before).insert(0, 'old')
    await before.durable()
    await before.close()
    await server.lose()
    await server.start()
    const rebuilder = open(context, server.url)
    text(rebuilder).insert(0, 'new')
    await rebuilder.durable()
    silent(context)
    const after = open(context, server.url, { storage })
    await after.synced()
    assert.equal(text(after).toString(), 'new')
    await after.durable()
    assert.deepEqual(after.unmerged, [])
    assert.equal((await after.asides()).length, 1)
    assert.equal(await found(context, server.url), 'new')
  }
)

ownServerTest(
  'a room that nobody has written to may change its lineage',
  async (server, context) => {
    const room = open(context, server.url)
    const { doc } = room
    await room.synced()
    room.offline()
    await server.stop()
    await server.start()
    text(room).insert(0, 'first')
    room.absences = 0
    room.goOnline()
    await room.durable()
    assert.equal(room.doc, doc)
    assert.equal(await found(context, server.url), 'first')
  },
  { idle_seconds: 0 }
)

ownServerTest(
  'a reader gets what is there, and its edits are taken back',
  async (server, context) => {
    const room = open(context, server.url)
    await room.synced()
    const rejected = event(room, 'rejected')
    text(room).insert(0, 'mine')
    await assert.rejects(room.durable(), { name: 'ForbiddenError', message: /read only/ })
    assert.equal((await rejected).error.name, 'ForbiddenError')
    await event(room, 'document')
    await room.synced()
    assert.equal(text(room).toString(), '')
    assert.equal(room.unmerged.length, 1)
    assert.equal(room.pending, 0)
    await room.durable()
    const refused = new Y.Doc()
    Y.applyUpdate(refused, room.unmerged[0].update)
    assert.equal(refused.getText('t').toString(), 'mine')
  },
  { anyone: 'read' }
)

ownServerTest(
  'an edit over the limit is taken back, and those after it go on',
  async (server, context) => {
    const room = open(context, server.url)
    text(room).insert(0, 'fits ')
    await room.durable()
    silent(context)
    text(room).insert(0, 'x'.repeat(10_000))
    await assert.rejects(room.durable(), { name: 'TooLargeError', message: /limit of 4096/ })
    await event(room, 'document')
    text(room).insert(0, 'goes on, ')
    await room.durable()
    assert.equal(await found(context, server.url), 'goes on, fits ')
  },
  { max_message: 4096 }
)

serverTest('a server that refuses the room for good ends every wait', async (server, context) => {
  silent(context)
  const client = connect(server.url, { WebSocket: /** @type {any} */ (WebSocket) })
  const room = client.open('x'.repeat(500))
  context.after(() => client.close())
  text(room).insert(0, 'never')
  await assert.rejects(room.synced(), { name: 'RoomNotFoundError' })
  await assert.rejects(room.durable(), { name: 'RoomNotFoundError' })
  assert.equal(room.status, 'offline')
})

serverTest('everyone present is known, until the connection is gone', async (server, context) => {
  const [one, two] = [open(context, server.url), open(context, server.url)]
  const others = () => [...one.awareness.getStates()].filter(([client]) => client !== one.awareness.clientID)
  const changed = (/** @type {() => boolean} */ holds) =>
    new Promise(resolve => {
      const look = () => holds() && resolve(null)
      one.awareness.on('change', look)
      look()
    })
  two.awareness.setLocalStateField('task', 'review')
  await changed(() => others().some(([, state]) => state.task === 'review'))
  assert.deepEqual(others(), [[two.awareness.clientID, { agent: 'tester', kind: 'agent', task: 'review' }]])
  two.awareness.setLocalStateField('task', 'rest')
  await changed(() => others()[0]?.[1].task === 'rest')
  const back = one.offline()
  assert.deepEqual(others(), [])
  back()
  await changed(() => others().length === 1)
  await two.close()
  await changed(() => others().length === 0)
})

serverTest('closing waits for what is under way', async (server, context) => {
  const room = open(context, server.url)
  text(room).insert(0, 'at the last moment')
  await room.close()
  assert.equal(room.pending, 0)
  assert.equal(await found(context, server.url), 'at the last moment')
  await assert.rejects(room.synced(), { name: 'ConnectionFailedError', message: /closed/ })
})

serverTest('a storage that fails is reported, and edits go on in memory', async (server, context) => {
  const kept = memoryStorage()
  let isFull = false
  /** @type {import('../src/storage.js').Storage} */
  const storage = {
    transact: work => kept.transact(work),
    write: changes => (isFull ? Promise.reject(new Error('QuotaExceededError')) : kept.write(changes)),
    close: () => kept.close()
  }
  const room = open(context, server.url, { storage })
  text(room).insert(0, 'kept ')
  await room.saved()
  isFull = true
  const failed = event(room, 'error')
  text(room).insert(5, 'and not kept')
  assert.equal((await failed).name, 'StorageError')
  await assert.rejects(room.saved(), { name: 'StorageError' })
  await room.durable()
  assert.equal(await found(context, server.url), 'kept and not kept')
})

test('closing without a server says what is lost, unless it is kept', async context => {
  const said = silent(context)
  const kept = open(context, NOBODY, { storage: memoryStorage() })
  text(kept).insert(0, 'kept')
  await kept.close()
  assert.deepEqual(said(), [])
  const lost = open(context, NOBODY)
  text(lost).insert(0, 'lost')
  await lost.close()
  assert.match(said().join(), /closed with 1 local updates/)
})

test('a stock server acknowledges nothing, and durable says so', async context => {
  const { server, url } = await small(context, true)
  const room = open(context, url)
  await room.synced()
  const updated = new Promise(resolve => server.doc.once('update', resolve))
  text(room).insert(0, 'sent')
  await assert.rejects(room.durable(), { name: 'ConnectionFailedError', message: /acknowledges no edits/ })
  await updated
  assert.equal(text(server).toString(), 'sent')
})

test('durable tells of a refusal once, to those who wait for it', async context => {
  const { server, url } = await small(context)
  const room = open(context, url)
  text(room).insert(0, 'sound ')
  await room.durable()
  silent(context)
  server.refuses.add(server.count + 1)
  text(room).insert(0, 'refused ')
  await assert.rejects(room.durable(), { name: 'ForbiddenError', message: /not that/ })
  server.refuses.clear()
  await event(room, 'document')
  await room.durable()
  assert.equal(text(room).toString(), 'sound ')
  assert.equal(room.unmerged.length, 1)
})

test('edits that build on a refused one are set aside', async context => {
  const { server, url } = await small(context)
  const storage = memoryStorage()
  const room = open(context, url, { storage })
  text(room).insert(0, 'sound ')
  await room.durable()
  server.refuses.add(server.count + 1)
  text(room).insert(0, 'refused ')
  await event(room, 'rejected')
  text(room).insert(0, 'built on it ')
  server.refuses.clear()
  const { error, doc } = await event(room, 'aside')
  assert.equal(error.name, 'LineageError')
  assert.equal(text({ doc }).toString(), 'built on it refused sound ')
  await assert.rejects(room.durable(), { name: 'ForbiddenError' })
  await assert.rejects(room.durable(), { name: 'LineageError' })
  await room.durable()
  assert.equal(text(room).toString(), 'sound ')
  assert.equal(room.unmerged.length, 2)
  assert.equal((await room.asides()).length, 1)
})

test('what was refused is not sent again by the next session', async context => {
  const { server, url } = await small(context)
  const storage = memoryStorage()
  silent(context)
  const room = open(context, url, { storage })
  text(room).insert(0, 'sound ')
  await room.durable()
  server.refuses.add(server.count + 1)
  text(room).insert(0, 'refused ')
  await event(room, 'rejected')
  room.offline()
  await room.close()
  server.refuses.clear()
  const next = open(context, url, { storage })
  await next.loaded
  assert.equal(text(next).toString(), 'refused sound ')
  await next.synced()
  assert.equal(text(next).toString(), 'sound ')
  assert.equal(text(server).toString(), 'sound ')
})
