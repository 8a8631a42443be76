import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { HybridClock, MAX_AHEAD_MS } from '../src/clock.js'
import { StateDocument } from '../src/document.js'
import { InvalidValueError, TooLargeError, TransactionError } from '../src/errors.js'
import { decode } from '../src/msgpack.js'
import { number } from '../src/position.js'
import { generator, lane, meet, pull, record, replica, WALL } from './support/replicas.js'

/** The stamp of the replicas' wall clock. */
const NOW = (WALL - 1_577_836_800_000) * 4096

/** @param {StateDocument} document */
const entries = document => lane(document, document.client, decode)

test('every edit appends its entry after the header, and deletes what it supersedes', () => {
  const document = replica(7, 'planner')
  document.setRegister('goal', 'old')
  document.setRegister('goal', { ship: true })
  document.setCell('steps', 'survey', 1)
  document.addElement('tags', 'red')
  document.count('spent', 9)
  document.count('spent', -2)
  document.appendItem('log', 'started')
  const first = document.insertItem('todo', null, null, 'a')
  const second = document.insertItem('todo', first, null, 'b')
  document.moveItem('todo', first, second, null)
  document.putItem('todo', first, 'A')
  assert.deepEqual(entries(document), [
    [
      [5, 'planner'],
      [0, 'goal', NOW + 1, { ship: true }, 1],
      [1, 'steps', 'survey', NOW + 2, 1],
      [2, 'tags', 'red'],
      [3, 'spent', 9, 2],
      [4, 'log', NOW + 3, 'started'],
      [6, 'todo', 'i0.1711/i2.-', NOW + 5, 'b'],
      [7, 'todo', 'i0.1711-', NOW + 6, 'i0.1711/i3.-'],
      [6, 'todo', 'i0.1711-', NOW + 7, 'A', 3]
    ]
  ])
  assert.deepEqual(document.list('todo'), ['b', 'A'])
})

test('an edit is read at once, and by whoever gets its update', () => {
  const document = replica(7)
  const value = { nested: [1, { deep: 'x' }] }
  document.setRegister('goal', value)
  value.nested.push(2)
  assert.deepEqual(document.register('goal'), { nested: [1, { deep: 'x' }] })
  const read = /** @type {any} */ (document.register('goal'))
  read.nested.push(3)
  assert.deepEqual(document.register('goal'), { nested: [1, { deep: 'x' }] })
  const other = replica(8)
  pull(other, document)
  assert.deepEqual(other.register('goal'), { nested: [1, { deep: 'x' }] })
})

test('a transaction is one update with one event, and each cell keeps its last entry only', () => {
  const document = replica(7)
  document.setRegister('goal', 0)
  /** @type {Uint8Array[]} */
  const updates = []
  document.ydoc.on('update', update => updates.push(update))
  const seen = record(document)
  const result = document.transaction(() => {
    document.setRegister('goal', 1)
    document.transaction(() => document.setRegister('goal', 2))
    document.setCell('steps', 'x', 1)
    document.deleteCell('steps', 'x')
    document.editText('notes', { at: 0, gone: 0, come: 'hi', attributes: null })
    assert.equal(document.register('goal'), 2)
    assert.equal(document.textValue('notes'), 'hi')
    return 'done'
  })
  assert.equal(result, 'done')
  assert.equal(updates.length, 1)
  assert.deepEqual(
    seen.map(changes => changes.map(({ kind, old, value }) => [kind, old, value])),
    [
      [
        ['register', 0, 2],
        ['text', undefined, [{ insert: 'hi' }]]
      ]
    ]
  )
  // The first write of the transaction was never written: the second descends from what was there before.
  assert.deepEqual(entries(document)[0][1], [0, 'goal', NOW + 2, 2, 2])
})

test('a transaction tells what it came to, once for each cell and item', () => {
  const document = replica(7)
  document.appendItem('log', 'old')
  const seen = record(document)
  document.transaction(() => {
    document.setCell('m', 'a', 1)
    document.setCell('m', 'b', 2)
    document.setCell('m', 'a', 3)
    document.appendItem('log', 'never')
    document.pruneItems(document.items('log'))
    document.appendItem('log', 'new')
  })
  assert.deepEqual(
    seen.flat().map(({ field, key, old, value }) => [field, key, old, value]),
    [
      ['m', 'a', undefined, 3],
      ['m', 'b', undefined, 2],
      ['log', null, 'old', undefined],
      ['log', null, undefined, 'new']
    ]
  )
})

test('a transaction that throws leaves everything as it was, texts included', () => {
  const document = replica(7)
  document.setRegister('goal', 'kept')
  document.setCell('steps', 'kept', 1)
  document.appendItem('log', 'kept')
  document.count('spent', 5)
  document.insertItem('todo', null, null, 'kept')
  document.editText('notes', { at: 0, gone: 0, come: 'kept', attributes: null })
  const seen = record(document)
  const before = Y.encodeStateAsUpdate(document.ydoc)
  const fail = () => {
    document.setRegister('goal', 'gone')
    document.deleteCell('steps', 'kept')
    document.setCell('steps', 'new', 2)
    document.addElement('tags', 'new')
    document.count('spent', 1)
    document.pruneItems(document.items('log'))
    document.appendItem('log', 'new')
    document.removeItem('todo', 'i0.1711-')
    document.insertItem('todo', null, null, 'new')
    document.editText('notes', { at: 0, gone: 2, come: 'x', attributes: { bold: true } })
    assert.equal(document.textValue('notes'), 'xpt')
    throw new RangeError('no')
  }
  assert.throws(() => document.transaction(fail), RangeError)
  assert.deepEqual(Y.encodeStateAsUpdate(document.ydoc), before)
  assert.deepEqual(snapshot(document), snapshot(reread(document)))
  assert.equal(document.register('goal'), 'kept')
  assert.deepEqual(document.log('log'), ['kept'])
  assert.deepEqual(document.list('todo'), ['kept'])
  assert.equal(document.textValue('notes'), 'kept')
  assert.deepEqual(seen, [])
})

test('a refused edit changes nothing, alone or within a transaction that goes on', () => {
  const document = replica(7, 'a', { limits: { valueBytes: 100, nameBytes: 10, cells: 3 } })
  document.setRegister('goal', 1)
  assert.throws(() => document.setRegister('goal', undefined), InvalidValueError)
  assert.throws(() => document.setRegister('goal', 'x'.repeat(200)), TooLargeError)
  assert.throws(() => document.setCell('m', 'k'.repeat(11), 1), TooLargeError)
  assert.throws(() => document.setRegister('é'.repeat(6), 1), TooLargeError)
  assert.throws(
    () => document.count('n', Number.MAX_SAFE_INTEGER) ?? document.count('n', 1),
    InvalidValueError
  )
  document.transaction(() => {
    assert.throws(() => document.setCell('m', 'a', undefined), InvalidValueError)
    document.setCell('m', 'b', 1)
  })
  assert.throws(() => document.setCell('m', 'c', 1), TooLargeError)
  document.setCell('m', 'b', 2)
  assert.deepEqual(snapshot(document), snapshot(reread(document)))
  assert.deepEqual([document.register('goal'), document.map('m')], [1, new Map([['b', 2]])])
})

test('edits inside a Yjs transaction or observer are refused', () => {
  const document = replica(7)
  const edit = () => document.setRegister('goal', 1)
  assert.throws(() => document.ydoc.transact(edit), TransactionError)
  /** @type {unknown[]} */
  const errors = []
  const observer = () => {
    try {
      edit()
    } catch (error) {
      errors.push(error)
    }
  }
  document.ydoc.getMap('plain').observe(observer)
  document.ydoc.getMap('plain').set('a', 1)
  assert.ok(errors[0] instanceof TransactionError)
  assert.equal(document.register('goal'), undefined)
  edit()
  assert.equal(document.register('goal'), 1)
})

test('a transaction in which somebody writes into the Yjs document, or waits, is taken back', () => {
  const [document, other] = [replica(7), replica(8)]
  document.setRegister('goal', 'kept')
  document.insertItem('todo', null, null, 'kept')
  document.moveItem('todo', 'i0.1711-', null, null)
  document.appendItem('log', 'kept')
  other.setCell('steps', 'theirs', 1)
  const seen = record(document)
  const interrupted = () => {
    document.setRegister('goal', 'gone')
    pull(document, other)
  }
  assert.throws(() => document.transaction(interrupted), TransactionError)
  assert.equal(document.register('goal'), 'kept')
  assert.deepEqual(document.map('steps'), new Map([['theirs', 1]]))
  assert.deepEqual(
    seen.flat().map(({ field, value }) => [field, value]),
    [['steps', 1]]
  )
  const waiting = async () => {
    document.setRegister('goal', 'gone')
    throw new Error('that nobody waits for')
  }
  assert.throws(() => document.transaction(waiting), TransactionError)
  assert.equal(document.register('goal'), 'kept')
  document.setRegister('goal', 'on')
  assert.deepEqual(snapshot(document), snapshot(reread(document)))
})

test('a listener may edit, and hears of transactions in their order', () => {
  const document = replica(7)
  /** @type {unknown[]} */
  const heard = []
  document.observe(changes => {
    for (const { field, value } of changes) heard.push([field, value])
    const goal = document.register('goal')
    if (typeof goal === 'number' && goal < 3) document.setRegister('goal', goal + 1)
  })
  document.observe(changes => changes.forEach(({ value }) => heard.push(value)))
  document.setRegister('goal', 1)
  assert.deepEqual(heard, [['goal', 1], 1, ['goal', 2], 2, ['goal', 3], 3])
})

test('a listener that throws is reported, and keeps nobody else from hearing', context => {
  const document = replica(7)
  const report = context.mock.method(console, 'error', () => {})
  document.observe(() => {
    throw new Error('mine')
  })
  const seen = record(document)
  document.setRegister('goal', 1)
  assert.equal(seen.length, 1)
  assert.equal(report.mock.callCount(), 1)
})

test('a transaction that only deletes signs anew, so that others know who deleted', () => {
  const [a, b] = [replica(1, 'ann'), replica(2, 'bob')]
  a.setRegister('goal', 1)
  a.setRegister('other', 1)
  pull(b, a)
  const seen = record(a)
  b.clearRegister('goal')
  pull(a, b)
  b.clearRegister('other')
  pull(a, b)
  assert.deepEqual(
    seen.flat().map(({ action, author }) => [action, author]),
    [
      ['removed', 'bob'],
      ['removed', 'bob']
    ]
  )
  assert.deepEqual(entries(b), [[[5, 'bob']]])
})

test('a lane goes on in a new segment after 256 entries, and drops its empty ones', () => {
  const document = replica(7)
  for (let at = 0; at < 600; at++) document.setCell('m', `k${at}`, at)
  assert.deepEqual(
    entries(document).map(segment => segment.length),
    [256, 256, 89]
  )
  document.transaction(() => {
    for (let at = 300; at < 511; at++) document.deleteCell('m', `k${at}`)
  })
  for (let at = 255; at < 300; at++) document.setCell('m', `k${at}`, 'moved')
  assert.equal(entries(document).length, 2)
  assert.deepEqual(snapshot(document), snapshot(reread(document)))
})

test('a session retires its own segments that others emptied, and never theirs', () => {
  const [a, b] = [replica(1), replica(2)]
  for (let at = 0; at < 300; at++) a.setCell('m', `k${at}`, at)
  pull(b, a)
  b.transaction(() => {
    for (let at = 0; at < 255; at++) b.deleteCell('m', `k${at}`)
  })
  assert.equal(lane(b, 1, decode).length, 2)
  pull(a, b)
  a.setCell('m', 'k0', 'again')
  assert.deepEqual(
    lane(a, 1, decode).map(segment => segment.length),
    [1, 46]
  )
  meet(a, b)
  assert.deepEqual(snapshot(a), snapshot(b))
})

test('the last segment stays, even if others emptied it', () => {
  const [a, b] = [replica(1), replica(2)]
  for (let at = 0; at < 256; at++) a.setCell('m', `k${at}`, at)
  pull(b, a)
  b.deleteCell('m', 'k255')
  pull(a, b)
  a.editText('notes', { at: 0, gone: 0, come: 'x', attributes: null })
  assert.deepEqual(
    entries(a).map(segment => segment.length),
    [256, 0]
  )
})

test('a session whose header was deleted signs with its next write, of whatever kind', () => {
  const document = replica(7, 'ann')
  document.setRegister('goal', 1)
  const segment = /** @type {Y.Array<unknown>} */ (document.lanes.headers.get(7)?.[0].segment?.type)
  segment.delete(0, 1)
  document.editText('notes', { at: 0, gone: 0, come: 'x', attributes: null })
  assert.deepEqual(entries(document)[0].at(-1), [5, 'ann'])
})

test('an item that is removed takes its place with it', () => {
  const document = replica(7)
  document.insertItem('todo', null, null, 'a')
  document.moveItem('todo', 'i0.1711-', null, null)
  assert.equal(entries(document)[0].length, 3)
  document.removeItem('todo', 'i0.1711-')
  assert.deepEqual(entries(document), [[[5, 'agent 7']]])
})

test('a session whose lane was deleted opens a new one, and signs it', () => {
  const document = replica(7, 'ann')
  document.setRegister('goal', 1)
  document.ydoc.getMap('lanes').delete('7')
  assert.equal(document.register('goal'), undefined)
  document.setRegister('goal', 2)
  assert.deepEqual(entries(document), [
    [
      [5, 'ann'],
      [0, 'goal', NOW + 2, 2]
    ]
  ])
})

test('a session whose client id Yjs replaces goes on in a lane of its new id', () => {
  const document = replica(7, 'ann')
  document.setRegister('goal', 1)
  document.count('n', 1)
  document.insertItem('todo', null, null, 'a')
  const twin = replica(8, 'twin')
  pull(twin, document)
  twin.ydoc.clientID = 7
  twin.setRegister('goal', 2)
  pull(document, twin)
  assert.notEqual(document.client, 7)
  document.count('n', 1)
  const id = document.insertItem('todo', 'i0.1711-', null, 'b')
  assert.ok(id.includes(number(document.client)))
  assert.equal(document.counter('n'), 2)
  assert.deepEqual(document.list('todo'), ['a', 'b'])
  assert.equal(document.authors.get(document.client), 'ann')
})

test('stamps rise strictly, follow the wall clock, and pass those of others, but not far into the future', () => {
  let wall = WALL
  const clock = new HybridClock(() => wall)
  assert.deepEqual([clock.tick(), clock.tick()], [NOW, NOW + 1])
  wall += 1
  assert.equal(clock.tick(), NOW + 4096)
  clock.observe(NOW + 10_000)
  assert.equal(clock.tick(), NOW + 10_001)
  clock.observe(NOW + (MAX_AHEAD_MS + 2) * 4096)
  assert.equal(clock.tick(), NOW + 10_002)
  clock.observe(NOW + MAX_AHEAD_MS * 4096)
  assert.equal(clock.tick(), NOW + MAX_AHEAD_MS * 4096 + 1)
})

test('two documents on one Yjs document see each other, and write in one lane', () => {
  const ydoc = new Y.Doc()
  const [one, two] = [new StateDocument(ydoc, { agent: 'a' }), new StateDocument(ydoc, { agent: 'a' })]
  for (let at = 0; at < 20; at++) (at % 2 === 0 ? one : two).setCell('m', `k${at % 3}`, at)
  assert.deepEqual(snapshot(one), snapshot(two))
  assert.deepEqual(snapshot(one), snapshot(reread(one)))
})

test('random edits leave an index as it is read anew, and replicas that agree', () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = generator(seed)
    const documents = [replica(1), replica(2), replica(3)]
    for (let step = 0; step < 120; step++) {
      const document = documents[random(3)]
      const edits = () => {
        for (let left = random(4); left >= 0; left--) randomEdit(document, random)
        if (random(4) === 0) throw new RangeError('taken back')
      }
      try {
        if (random(3) === 0) document.transaction(edits)
        else randomEdit(document, random)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
      }
      if (random(3) === 0) pull(documents[random(3)], documents[random(3)])
    }
    for (const document of documents) {
      assert.deepEqual(snapshot(document), snapshot(reread(document)), `seed ${seed}`)
    }
    meet(...documents)
    assert.deepEqual(snapshot(documents[0]), snapshot(documents[1]), `seed ${seed}`)
    assert.deepEqual(snapshot(documents[0]), snapshot(documents[2]), `seed ${seed}`)
  }
})

/**
 * @param {StateDocument} document
 * @param {(below: number) => number} random
 */
const randomEdit = (document, random) => {
  const key = `k${random(4)}`
  const ids = document.cells('list', 'l')?.order?.ids ?? []
  const id = ids[random(ids.length || 1)] ?? null
  const length = document.textLength('t')
  const edits = [
    () => document.setRegister('r', random(100)),
    () => document.clearRegister('r'),
    () => document.setCell('m', key, { n: random(100) }),
    () => document.deleteCell('m', key),
    () => document.addElement('s', key),
    () => document.discardElement('s', key),
    () => document.count('n', random(20) - 10),
    () => document.appendItem('g', random(100)),
    () => document.pruneItems(document.items('g').slice(0, random(3))),
    () => document.insertItem('l', id, null, random(100)),
    () => document.insertItem('l', null, id, random(100)),
    () => id !== null && document.putItem('l', id, random(100)),
    () => id !== null && document.moveItem('l', id, null, ids[0]),
    () => id !== null && document.removeItem('l', id),
    () => document.editText('t', { at: random(length + 1), gone: 0, come: 'ab', attributes: null }),
    () => length > 2 && document.editText('t', { at: 0, gone: 2, come: '', attributes: null })
  ]
  edits[random(edits.length)]()
}

/** @param {StateDocument} document */
const reread = document => {
  const ydoc = new Y.Doc()
  Y.applyUpdate(ydoc, Y.encodeStateAsUpdate(document.ydoc))
  ydoc.getText('t')
  return new StateDocument(ydoc)
}

/** @param {StateDocument} document */
const snapshot = document => {
  const fields = document.fields().filter(({ kind }) => kind !== 'text')
  const readings = fields.map(({ kind, name }) => [
    kind,
    name,
    document.readings(/** @type {any} */ (kind), name)
  ])
  return {
    readings,
    counter: document.counter('n'),
    // What was deleted before the document was read is not known to whoever reads it anew.
    conflicts: document
      .conflicts()
      .filter(({ rivals }) => rivals.filter(({ deleted }) => !deleted).length > 1).length,
    text: document.root('t') ?? '',
    live: document.index.live
  }
}
