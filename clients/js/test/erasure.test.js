import assert from 'node:assert/strict'
import { beforeEach } from 'node:test'
import { WebSocket } from 'ws'
import { connect } from '../src/client.js'
import { memoryStorage } from '../src/storage.js'
import { call } from './support/call.js'
import { serverTest } from './support/server.js'

/** @typedef {import('../src/room.js').Room} Room */
/** @typedef {import('../src/storage.js').Storage} Storage */
/** @typedef {import('node:test').TestContext} TestContext */

const SECRET = 'a secret that nobody may ever read again'

let rooms = 0
let name = ''
beforeEach(() => {
  name = `shared/erased-${++rooms}`
})

/**
 * Open a room until the test ends, as somebody.
 *
 * @param {TestContext} context
 * @param {string} url
 * @param {string} agent
 * @param {Storage} [storage]
 */
const open = (context, url, agent, storage) => {
  const timing = { WebSocket: /** @type {any} */ (WebSocket), firstPause: 5, longestPause: 20 }
  const client = connect(url, { ...timing, agent })
  const room = client.open(name, { storage })
  context.after(() => client.close())
  return room
}

/** @param {Room} room */
const read = room => room.doc.getText('t').toString()

/**
 * @param {Room} room
 * @param {string} text
 */
const write = async (room, text) => {
  room.doc.getText('t').insert(0, text)
  await room.durable()
}

/**
 * Wait until a condition holds, which is looked at whenever something happens to a room.
 *
 * @param {Room} room
 * @param {() => boolean} holds
 */
const until = async (room, holds) => {
  while (!holds()) {
    await new Promise(resolve => {
      room.once('status', resolve)
      room.once('document', resolve)
      room.doc.once('afterTransaction', resolve)
    })
  }
}

/**
 * How much of the secret a storage has.
 *
 * @param {Storage} storage
 */
const kept = storage =>
  storage.transact(async tx => {
    const values = (await tx.list([name])).map(([, value]) => value)
    return values.filter(value => value instanceof Uint8Array && Buffer.from(value).includes(SECRET)).length
  })

serverTest('a room that is erased is gone from those who are in it', async (server, context) => {
  const storage = memoryStorage()
  const room = open(context, server.url, 'ana', storage)
  /** @type {Error[]} */
  const errors = []
  room.on('error', error => errors.push(error))
  await write(room, SECRET)
  await room.saved()
  assert.ok((await kept(storage)) > 0)
  await call(server.url, name, 'erase')
  await until(room, () => room.error !== null)
  assert.equal(room.error?.name, 'ErasedError')
  assert.deepEqual(errors, [room.error])
  assert.equal(read(room), '')
  assert.deepEqual([room.pending, room.unmerged], [0, []])
  await assert.rejects(room.synced(), { name: 'ErasedError' })
  await room.saved()
  assert.equal(await kept(storage), 0)
  await room.close()
  const again = open(context, server.url, 'ana', storage)
  await again.synced()
  assert.equal(read(again), '')
  await write(again, 'afresh')
  assert.equal(again.status, 'live')
})

serverTest('who was away while a room was erased keeps nothing, and goes on', async (server, context) => {
  const storage = memoryStorage()
  const room = open(context, server.url, 'ana', storage)
  await write(room, SECRET)
  const back = room.offline()
  room.doc.getText('t').insert(0, `offline ${SECRET}`)
  await room.saved()
  await call(server.url, name, 'erase')
  await write(open(context, server.url, 'ben'), 'anew')
  back()
  await assert.rejects(room.durable(), { name: 'ErasedError' })
  await room.synced()
  assert.equal(read(room), 'anew')
  assert.deepEqual([room.error, room.unmerged, await room.asides()], [null, [], []])
  await room.saved()
  assert.equal(await kept(storage), 0)
  await write(room, 'goes on, ')
  const reader = open(context, server.url, 'cyd')
  await reader.synced()
  assert.equal(read(reader), 'goes on, anew')
})

serverTest(
  'what a person wrote is gone from those who are there and those who were away',
  async (server, context) => {
    const storages = [memoryStorage(), memoryStorage()]
    const ana = open(context, server.url, 'ana')
    const [there, away] = storages.map(storage => open(context, server.url, 'ben', storage))
    await write(there, 'ben')
    await until(ana, () => read(ana) === 'ben')
    await write(ana, SECRET)
    for (const room of [there, away]) {
      await until(room, () => read(room) === `${SECRET}ben`)
      await room.saved()
    }
    const back = away.offline()
    await call(server.url, name, 'forget', { author: 'ana' })
    await until(there, () => read(there) === 'ben')
    await there.synced()
    await there.saved()
    assert.equal(await kept(storages[0]), 0)
    assert.ok((await kept(storages[1])) > 0)
    back()
    await until(away, () => read(away) === 'ben')
    await away.synced()
    await away.saved()
    assert.equal(await kept(storages[1]), 0)
  }
)
