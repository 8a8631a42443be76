import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { Journal, clear } from '../src/journal.js'
import { memoryStorage } from '../src/storage.js'
import { seeded } from './support/random.js'

/** @typedef {import('../src/storage.js').Storage} Storage */

/**
 * A document whose updates a journal keeps, as a tab does.
 *
 * @param {Storage} storage
 * @param {Y.Doc} [doc]
 */
const tab = async (storage, doc = new Y.Doc()) => {
  const journal = new Journal(storage, 'room', doc)
  const kept = await journal.load()
  if (kept.update !== null) Y.applyUpdate(doc, kept.update, journal)
  doc.on('update', (update, origin) => {
    if (origin !== journal) journal.append(update, null)
  })
  return { journal, doc, kept, text: doc.getText('t') }
}

/** @param {Storage} storage */
const reopened = async storage => (await tab(storage)).text.toString()

/**
 * How many records a room has in a storage.
 *
 * @param {Storage} storage
 * @param {...(string | number)} under
 */
const count = (storage, ...under) => storage.transact(async tx => (await tx.list(['room', ...under])).length)

test('a transaction in memory takes place entirely or not at all, in the order of the calls', async () => {
  const storage = memoryStorage()
  const first = storage.transact(async tx => {
    await tx.get(['slow'])
    tx.put(['a', 1], 'one')
    tx.put(['a', 'b', 2], 'two')
  })
  const failing = storage.transact(async tx => {
    tx.put(['a', 1], 'never')
    throw new Error('no')
  })
  const read = storage.transact(async tx => ({ one: await tx.get(['a', 1]), all: await tx.list(['a']) }))
  await first
  await assert.rejects(failing, /no/)
  assert.deepEqual(await read, {
    one: 'one',
    all: [
      [['a', 1], 'one'],
      [['a', 'b', 2], 'two']
    ]
  })
})

test('a journal gives back what was written, however often it was folded', async () => {
  const storage = memoryStorage()
  const { doc, text, journal } = await tab(storage)
  const random = seeded()
  for (let at = 0; at < 2_000; at++) {
    if (text.length > 5 && random() < 0.4) text.delete(Math.floor(random() * (text.length - 3)), 2)
    else text.insert(Math.floor(random() * text.length), String(at))
    if (at % 20 === 0) await journal.written
  }
  await journal.written
  assert.equal(await reopened(storage), text.toString())
  assert.ok((await count(storage, 'update')) < 300)
  assert.equal(doc.store.pendingStructs, null)
})

test('folding forgets what was overwritten', async () => {
  const storage = memoryStorage()
  const { doc, journal } = await tab(storage)
  for (let at = 0; at < 3_000; at++) {
    doc.getMap('m').set('k', 'x'.repeat(100) + at)
    if (at % 20 === 0) await journal.written
  }
  await journal.written
  const rows = await storage.transact(tx => tx.list(['room', 'update']))
  const size = rows.reduce((sum, [, bytes]) => sum + bytes.length, 0)
  assert.ok(size < 100_000, `${size} bytes for one value of 104 characters`)
})

test('a large document is not rewritten for each small edit', async () => {
  const storage = memoryStorage()
  const { journal, text } = await tab(storage)
  text.insert(0, 'x'.repeat(1_000_000))
  await journal.written
  const rows = await storage.transact(tx => tx.list(['room', 'update']))
  const large = JSON.stringify(rows.find(([, bytes]) => bytes.length > 1_000_000)?.[0])
  for (let at = 0; at < 1_000; at++) {
    text.insert(at, 'y')
    if (at % 20 === 0) await journal.written
  }
  await journal.written
  const after = await storage.transact(tx => tx.list(['room', 'update']))
  assert.ok(after.some(([key]) => JSON.stringify(key) === large))
  assert.ok(after.length < 300)
  assert.equal(await reopened(storage), text.toString())
})

test('tabs that write to one room at once keep what all of them wrote', async () => {
  const random = seeded(7)
  const storage = memoryStorage()
  const tabs = [await tab(storage), await tab(storage), await tab(storage)]
  for (let at = 0; at < 1_500; at++) {
    const { text } = tabs[Math.floor(random() * tabs.length)]
    text.insert(Math.floor(random() * text.length), 'abc'[Math.floor(random() * 3)])
    if (random() < 0.01) await tabs[0].journal.written
  }
  await Promise.all(tabs.map(({ journal }) => journal.written))
  const merged = new Y.Doc()
  for (const { doc } of tabs) Y.applyUpdate(merged, Y.encodeStateAsUpdate(doc))
  assert.equal(merged.getText('t').length, 1_500)
  assert.equal(await reopened(storage), merged.getText('t').toString())
})

test('a tab in the old history never writes into the new one', async () => {
  const storage = memoryStorage()
  const [one, two] = [await tab(storage), await tab(storage)]
  one.text.insert(0, 'shared ')
  await one.journal.adopt('old')
  Y.applyUpdate(two.doc, Y.encodeStateAsUpdate(one.doc), two.journal)
  await two.journal.adopt('old')
  const rebuilt = new Y.Doc()
  rebuilt.getText('t').insert(0, 'rebuilt ')
  await one.journal.replace(rebuilt, { lineage: 'new', redactions: 0 }, true)
  two.text.insert(0, 'two, late ')
  await two.journal.written
  assert.equal(await reopened(storage), 'rebuilt ')
  const [aside] = await one.journal.asides()
  const old = new Y.Doc()
  Y.applyUpdate(old, aside.update)
  assert.equal(old.getText('t').toString(), 'two, late shared ')
  assert.equal(aside.lineage, 'old')
  const again = new Y.Doc()
  Y.applyUpdate(again, Y.encodeStateAsUpdate(rebuilt))
  await two.journal.replace(again, { lineage: 'new', redactions: 0 }, true)
  again.getText('t').insert(0, 'both in the ')
  await two.journal.append(Y.encodeStateAsUpdate(again), null)
  assert.equal(await reopened(storage), 'both in the rebuilt ')
  assert.equal((await two.journal.asides()).length, 1)
  await two.journal.discard(aside.id)
  assert.deepEqual(await two.journal.asides(), [])
  assert.equal(await reopened(storage), 'both in the rebuilt ')
})

test('a tab whose history another tab replaced, in the same lineage, takes all it has along', async () => {
  const storage = memoryStorage()
  const [one, two] = [await tab(storage), await tab(storage)]
  await one.journal.adopt('same')
  await two.journal.adopt('same')
  two.text.insert(0, 'two ')
  await two.journal.written
  one.text.insert(0, 'refused ')
  await one.journal.refuse()
  const fresh = new Y.Doc()
  await one.journal.replace(fresh, { lineage: 'same', redactions: 0 }, false)
  two.text.insert(4, 'goes on')
  await two.journal.written
  assert.equal(await reopened(storage), 'two goes on')
})

test('what sessions had not had acknowledged is known to the next, until that has', async () => {
  const storage = memoryStorage()
  const [one, two] = [await tab(storage), await tab(storage)]
  await one.journal.append(Y.encodeStateAsUpdate(one.doc), { pending: 3, number: 3 })
  await two.journal.append(Y.encodeStateAsUpdate(two.doc), { pending: 2, number: 2 })
  const next = await tab(storage)
  assert.equal(next.kept.pending, 5)
  await two.journal.append(Y.encodeStateAsUpdate(two.doc), { pending: 3, number: 3 })
  await next.journal.settle()
  assert.equal((await tab(storage)).kept.pending, 3)
  await two.journal.settle()
  assert.equal((await tab(storage)).kept.pending, 0)
})

test('a refusal is remembered until the document was replaced', async () => {
  const storage = memoryStorage()
  const { journal, text } = await tab(storage)
  text.insert(0, 'refused')
  await journal.refuse()
  const next = await tab(storage)
  assert.deepEqual([next.kept.refused, next.kept.pending], [true, 0])
  await next.journal.replace(new Y.Doc(), { lineage: 'lineage', redactions: 0 }, false)
  const last = await tab(storage)
  assert.deepEqual([last.kept.refused, last.kept.lineage, last.text.toString()], [false, 'lineage', ''])
  assert.deepEqual(await last.journal.asides(), [])
})

test('a room that was cleared is gone, and what a tab that lives writes to it is whole', async () => {
  const storage = memoryStorage()
  const { text, journal } = await tab(storage)
  text.insert(0, 'first ')
  await clear(storage, 'room')
  assert.equal(await reopened(storage), '')
  assert.equal(await count(storage), 0)
  text.insert(6, 'second')
  await journal.written
  assert.equal(await reopened(storage), 'first second')
})

test('a storage that fails says what of', async () => {
  const full = () => Promise.reject(new Error('full'))
  const failing = { transact: full, write: full, close: () => Promise.resolve() }
  const journal = new Journal(failing, 'shared/demo', new Y.Doc())
  await assert.rejects(journal.load(), { name: 'StorageError', message: /room 'shared\/demo': Error: full/ })
})

/**
 * @param {Storage} storage
 * @param {string} needle
 */
const holds = (storage, needle) =>
  storage.transact(async tx =>
    (await tx.list(['room'])).some(([, value]) => {
      const bytes = value.update ?? value
      return bytes instanceof Uint8Array && Buffer.from(bytes).includes(needle)
    })
  )

test('an erased room leaves nothing of itself, whichever tab is told first', async () => {
  const storage = memoryStorage()
  const [one, two] = [await tab(storage), await tab(storage)]
  for (const { text, journal } of [one, two]) {
    text.insert(0, 'secret')
    await journal.adopt('old')
  }
  const other = new Y.Doc()
  other.getText('t').insert(0, 'other secret')
  await one.journal.replace(other, { lineage: 'other', redactions: 0 }, true)
  assert.equal((await one.journal.asides()).length, 1)
  const fresh = [new Y.Doc(), new Y.Doc()]
  fresh[0].getText('t').insert(0, 'new')
  Y.applyUpdate(fresh[1], Y.encodeStateAsUpdate(fresh[0]))
  await one.journal.erase(fresh[0], { lineage: 'new', redactions: 0 })
  two.text.insert(0, 'late secret')
  await two.journal.written
  await two.journal.erase(fresh[1], { lineage: 'new', redactions: 0 })
  assert.equal(await holds(storage, 'secret'), false)
  assert.deepEqual(await one.journal.asides(), [])
  assert.equal(await reopened(storage), 'new')
})

test('a room that was erased while it was open is not met when it is opened again', async () => {
  const storage = memoryStorage()
  const { text, journal } = await tab(storage)
  text.insert(0, 'secret')
  await journal.adopt('old')
  await journal.erase(new Y.Doc(), { lineage: null, redactions: 0 })
  const { kept } = await tab(storage)
  assert.deepEqual([kept.lineage, kept.pending, kept.refused], [null, 0, false])
  assert.equal(await holds(storage, 'secret'), false)
})

test('what was taken out of a room is kept no longer, and everything else is', async () => {
  const storage = memoryStorage()
  const { doc, text, journal } = await tab(storage)
  text.insert(0, 'secret')
  await journal.adopt('old')
  const rebuilt = new Y.Doc()
  rebuilt.getText('t').insert(0, 'secret kept')
  await journal.replace(rebuilt, { lineage: 'new', redactions: 1 }, true)
  await journal.redact(1)
  assert.equal((await journal.asides()).length, 1)
  rebuilt.getText('t').delete(0, 7)
  const late = await tab(storage)
  late.text.insert(0, 'well ')
  await late.journal.written
  await journal.redact(2)
  assert.equal(await holds(storage, 'secret'), false)
  assert.deepEqual(await journal.asides(), [])
  const state = new Y.Doc()
  Y.applyUpdate(state, (await journal.load()).update ?? new Uint8Array())
  assert.equal(state.getText('t').toString(), 'well kept')
  assert.equal(doc.getText('t').toString(), 'secret')
})
