import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { StateDocument } from '../src/document.js'
import { encode } from '../src/msgpack.js'
import { sync, Writer } from './helpers.js'

/** @param {...Writer} writers */
const read = (...writers) => {
  const doc = new Y.Doc()
  if (writers.length > 0) sync(doc, ...writers.map(writer => writer.doc))
  return new StateDocument(doc)
}

/** @param {StateDocument} state */
const record = state => {
  /** @type {Array<import('../src/changes.js').Change[]>} */
  const seen = []
  state.observe(changes => seen.push(changes))
  return seen
}

test('every kind reads from its entries', () => {
  const writer = new Writer(7, 'planner')
  writer.edit(() => {
    writer.append([0, 'goal', 10, 'ship'])
    writer.append([1, 'tasks', 'a', 11, { done: false }])
    writer.append([2, 'tags', 'red'])
    writer.append([3, 'steps', 9, 2])
    writer.append([4, 'news', 12, 'first'])
    writer.append([4, 'news', 13, 'second'])
  })
  const state = read(writer)
  assert.equal(state.register('goal'), 'ship')
  assert.deepEqual(state.map('tasks'), new Map([['a', { done: false }]]))
  assert.deepEqual(state.set('tags'), ['red'])
  assert.equal(state.counter('steps'), 7)
  assert.deepEqual(state.log('news'), ['first', 'second'])
  assert.deepEqual(state.fields(), [
    { kind: 'register', name: 'goal' },
    { kind: 'log', name: 'news' },
    { kind: 'counter', name: 'steps' },
    { kind: 'set', name: 'tags' },
    { kind: 'map', name: 'tasks' }
  ])
  assert.deepEqual(state.authors, new Map([[7, 'planner']]))
})

test('fields that were never written read as empty', () => {
  const state = read()
  assert.equal(state.register('x'), undefined)
  assert.deepEqual(state.map('x'), new Map())
  assert.deepEqual(state.set('x'), [])
  assert.equal(state.counter('x'), 0)
  assert.deepEqual(state.log('x'), [])
  assert.deepEqual(state.fields(), [])
})

test('of concurrent values the greatest stamp is read, then the greatest client, and they are a conflict', () => {
  const [a, b, c] = [new Writer(3, 'a'), new Writer(20, 'b'), new Writer(100, 'c')]
  a.edit(() => a.append([0, 'goal', 50, 'newest']))
  b.edit(() => b.append([0, 'goal', 10, 'low']))
  c.edit(() => c.append([0, 'goal', 10, 'high']))
  const state = read(a, b, c)
  assert.equal(state.register('goal'), 'newest')
  const [conflict] = state.conflicts()
  assert.deepEqual(
    conflict.rivals.map(({ value, author }) => [value, author]),
    [
      ['newest', 'a'],
      ['high', 'c'],
      ['low', 'b']
    ]
  )
  a.pull(b, c)
  a.edit(() => {
    a.drop([0, 'goal', 50, 'newest'], [0, 'goal', 10, 'low'], [0, 'goal', 10, 'high'])
    a.append([0, 'goal', 60, 'settled'])
  })
  sync(state.ydoc, a.doc)
  assert.equal(state.register('goal'), 'settled')
  assert.deepEqual(state.conflicts(), [])
})

test('a counter sums over lanes, and takes the greatest totals of a lane', () => {
  const [a, b] = [new Writer(1, 'a'), new Writer(2, 'b')]
  a.edit(() => {
    a.append([3, 'n', 5, 0])
    a.append([3, 'n', 6, 1])
  })
  b.edit(() => b.append([3, 'n', 10, 4]))
  assert.equal(read(a, b).counter('n'), 11)
})

test('a counter stays exact beyond 2^53', () => {
  const [a, b] = [new Writer(1, 'a'), new Writer(2, 'b')]
  for (const writer of [a, b]) writer.edit(() => writer.append([3, 'n', Number.MAX_SAFE_INTEGER, 0]))
  assert.equal(read(a, b).counter('n'), 2n * BigInt(Number.MAX_SAFE_INTEGER))
})

test('a log is read by stamp, then client', () => {
  const [a, b] = [new Writer(1, 'a'), new Writer(2, 'b')]
  b.edit(() => {
    b.append([4, 'log', 5, 'b5'])
    b.newSegment()
    b.append([4, 'log', 6, 'b6'])
    b.append([4, 'log', 9, 'b9'])
  })
  a.edit(() => {
    a.append([4, 'log', 5, 'a5'])
    a.append([4, 'log', 7, 'a7'])
  })
  assert.deepEqual(read(b, a).log('log'), ['a5', 'b5', 'b6', 'a7', 'b9'])
})

test('what is not understood is passed over and keeps its place', () => {
  const writer = new Writer(4, 'a')
  writer.edit(() => {
    writer.appendRaw(new Uint8Array([0xc1]))
    writer.appendRaw('text')
    writer.append([99, 'future'])
    writer.append([0, 'goal', 'no stamp', 1])
    writer.append([0, 'goal', 1.5, 1])
    writer.append([0, 'goal', -1, 1])
    writer.append([3, 'n', -1, 0])
    writer.append([0, 'goal', 8, 'read', 'too long'])
    writer.append([0, 'goal', 7, 'read'])
    writer.lane.push([/** @type {any} */ ('not a segment')])
    writer.newSegment()
    writer.append([2, 'tags', 'red'])
    writer.doc.getMap('lanes').set('not a client', 1)
    for (const key of ['007', '-3', '1.5', '9007199254740993']) strangeLane(writer.doc, key)
  })
  const state = read(writer)
  assert.equal(state.register('goal'), 'read')
  assert.deepEqual(
    state.fields().map(({ name }) => name),
    ['goal', 'tags']
  )
  writer.edit(() => {
    writer.drop([0, 'goal', 7, 'read'])
    writer.append([0, 'goal', 9, 'after'])
  })
  sync(state.ydoc, writer.doc)
  assert.equal(state.register('goal'), 'after')
})

test('changes come typed, once per transaction, with their author', () => {
  const writer = new Writer(7, 'planner')
  writer.edit(() => writer.append([0, 'goal', 1, 'old']))
  const state = read(writer)
  const seen = record(state)
  writer.edit(() => {
    writer.drop([0, 'goal', 1, 'old'])
    writer.append([0, 'goal', 2, 'new'])
    writer.append([1, 'tasks', 'a', 3, 1])
    writer.append([2, 'tags', 'red'])
    writer.append([3, 'n', 4, 1])
    writer.append([4, 'news', 4, 'hello'])
  })
  sync(state.ydoc, writer.doc)
  const by = { author: 'planner', client: 7, local: false }
  assert.deepEqual(seen, [
    [
      { kind: 'register', field: 'goal', key: null, old: 'old', value: 'new', action: 'changed', ...by },
      { kind: 'map', field: 'tasks', key: 'a', old: undefined, value: 1, action: 'added', ...by },
      { kind: 'set', field: 'tags', key: 'red', old: undefined, value: true, action: 'added', ...by },
      { kind: 'counter', field: 'n', key: null, old: 0, value: 3, action: 'changed', ...by },
      { kind: 'log', field: 'news', key: null, old: undefined, value: 'hello', action: 'added', ...by }
    ]
  ])
})

test('a deletion is attributed by the header that came with it, and to nobody if several came as one', () => {
  const [a, b] = [new Writer(1, 'a'), new Writer(2, 'b')]
  a.edit(() => {
    a.append([0, 'goal', 1, 'x'])
    a.append([0, 'other', 2, 'y'])
  })
  const state = read(a)
  const seen = record(state)
  b.pull(a)
  b.edit(() => {
    b.drop([0, 'goal', 1, 'x'], [5, 'b'])
    b.append([5, 'b'])
  })
  sync(state.ydoc, b.doc)
  a.pull(b)
  b.pull(a)
  b.edit(() => b.append([0, 'b', 3, 1]))
  a.edit(() => {
    a.drop([0, 'other', 2, 'y'], [5, 'a'])
    a.append([5, 'a'])
  })
  sync(state.ydoc, a.doc, b.doc)
  assert.deepEqual(
    seen
      .flat()
      .map(({ field, value, author }) => `${field} ${value} ${author}`)
      .sort(),
    ['b 1 b', 'goal undefined b', 'other undefined null']
  )
})

test('a rival that is not read is told of, so that a view can show the dispute', () => {
  const [first, second] = [new Writer(3, 'first'), new Writer(4, 'second')]
  first.edit(() => first.append([0, 'goal', 2, 'read']))
  second.edit(() => second.append([0, 'goal', 1, 'rival']))
  const doc = new Y.Doc()
  sync(doc, first.doc)
  const state = new StateDocument(doc)
  /** @type {unknown[]} */
  const told = []
  state.observe((changes, disputed) => told.push([changes, disputed]))
  sync(doc, second.doc)
  assert.deepEqual(told, [[[], [{ kind: 'register', name: 'goal' }]]])
  assert.equal(state.conflicts().length, 1)
})

test('a rival that surfaces when the winner is deleted is the change of who deleted', () => {
  const [a, b, c] = [new Writer(1, 'a'), new Writer(2, 'b'), new Writer(3, 'c')]
  a.edit(() => a.append([0, 'goal', 1, 'x']))
  b.edit(() => b.append([0, 'goal', 2, 'y']))
  const state = read(a, b, c)
  const seen = record(state)
  c.pull(b)
  c.edit(() => {
    c.drop([0, 'goal', 2, 'y'], [5, 'c'])
    c.append([5, 'c'])
  })
  sync(state.ydoc, c.doc)
  assert.deepEqual(
    seen.flat().map(({ old, value, author }) => [old, value, author]),
    [['y', 'x', 'c']]
  )
})

test('a counter counted by several lanes in one transaction changes step by step', () => {
  const [a, b] = [new Writer(1, 'a'), new Writer(2, 'b')]
  a.edit(() => a.append([3, 'n', 5, 0]))
  b.edit(() => b.append([3, 'n', 1, 0]))
  const state = read(a, b)
  const seen = record(state)
  a.edit(() => {
    a.drop([3, 'n', 5, 0])
    a.newSegment()
    a.append([3, 'n', 8, 0])
  })
  b.edit(() => {
    b.drop([3, 'n', 1, 0])
    b.append([3, 'n', 2, 0])
  })
  sync(state.ydoc, a.doc, b.doc)
  assert.equal(state.counter('n'), 10)
  const steps = seen.flat()
  assert.deepEqual(steps.map(({ author, old, value }) => [author, Number(value) - Number(old)]).sort(), [
    ['a', 3],
    ['b', 1]
  ])
  assert.equal(steps[0].old, 6)
  assert.equal(steps[1].old, steps[0].value)
  assert.equal(steps[1].value, 10)
})

test('elements are told apart as Python tells them: by type, and whatever the order of map keys', () => {
  const [a, b] = [new Writer(1, 'a'), new Writer(2, 'b')]
  a.edit(() => {
    a.append([2, 's', { x: 1, y: [2, { p: 1, q: 2 }] }])
    a.append([2, 's', 1])
    a.append([2, 's', true])
    a.append([2, 's', '1'])
    // 1.0 as a 64-bit float, which encode() would write as the integer
    a.appendRaw(new Uint8Array([0x93, 2, 0xa1, 0x73, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]))
  })
  b.edit(() => {
    b.append([2, 's', { y: [2, { q: 2, p: 1 }], x: 1 }])
    // 1 in two bytes more than needed
    b.appendRaw(new Uint8Array([0x93, 2, 0xa1, 0x73, 0xcd, 0, 1]))
  })
  assert.equal(read(a, b).set('s').length, 5)
})

test('a lane without a header is of an unknown author, to whoever followed and to whoever comes later', () => {
  const writer = new Writer(1, 'a')
  writer.edit(() => writer.append([0, 'goal', 1, 'x']))
  const state = read(writer)
  writer.edit(() => writer.drop([5, 'a']))
  assert.equal(state.readings('register', 'goal')[0].author, 'a')
  sync(state.ydoc, writer.doc)
  assert.equal(state.readings('register', 'goal')[0].author, '')
  assert.equal(read(writer).readings('register', 'goal')[0].author, '')
})

test('texts and plain roots are found when they arrive, read and reported', () => {
  const writer = new Writer(9, 'editor')
  const state = read(writer)
  const seen = record(state)
  writer.edit(() => {
    writer.doc.getText('notes').insert(0, 'hello')
    writer.doc.getMap('config').set('depth', 3)
    writer.doc.getArray('queue').push([1, 2])
  })
  sync(state.ydoc, writer.doc)
  assert.deepEqual(
    state.fields().map(({ kind, name }) => `${kind} ${name}`),
    ['plain-map config', 'text notes', 'plain-array queue']
  )
  assert.equal(state.root('notes'), 'hello')
  assert.deepEqual(state.root('config'), { depth: 3 })
  assert.deepEqual(state.root('queue'), [1, 2])
  assert.equal(seen.length, 1)
  writer.edit(() => {
    writer.doc.getText('notes').insert(5, ' there')
    writer.doc.getMap('config').set('depth', 4)
  })
  sync(state.ydoc, writer.doc)
  assert.deepEqual(
    seen[1].map(({ kind, key, old, value, author }) => ({ kind, key, old, value, author })),
    [
      {
        kind: 'text',
        key: null,
        old: undefined,
        value: [{ retain: 5 }, { insert: ' there' }],
        author: 'editor'
      },
      { kind: 'plain-map', key: 'depth', old: 3, value: 4, author: 'editor' }
    ]
  )
})

test('whole numbers above 2^53 read as BigInts, and a key that JavaScript cannot hold hides no entry', () => {
  const writer = new Writer(1, 'a')
  writer.edit(() => {
    // 2^60 in eight bytes
    writer.appendRaw(new Uint8Array([0x94, 0, 0xa3, 0x62, 0x69, 0x67, 1, 0xcf, 0x10, 0, 0, 0, 0, 0, 0, 0]))
    writer.append([0, 'small', 2, 2 ** 40])
    // {"__proto__": 1}
    const proto = [0x81, 0xa9, ...new TextEncoder().encode('__proto__'), 1]
    writer.appendRaw(new Uint8Array([0x94, 0, 0xa1, 0x70, 3, ...proto]))
  })
  const state = read(writer)
  assert.equal(state.register('big'), 2n ** 60n)
  assert.equal(state.register('small'), 2 ** 40)
  assert.equal(state.readings('register', 'p').length, 1)
})

test('following edits ends at the same state as reading the result, over random edits', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = generator(seed)
    const writers = [new Writer(11, 'a'), new Writer(22, 'b'), new Writer(33, 'c')]
    const followed = read()
    const seen = record(followed)
    /** @type {Map<string, unknown>} */
    const replayed = new Map()
    for (let step = 1; step <= 40; step++) {
      const writer = writers[random(writers.length)]
      if (random(3) === 0) writer.pull(writers[random(writers.length)])
      writer.edit(() => randomEdit(writer, step, random))
      if (random(2) === 0) sync(followed.ydoc, writer.doc)
    }
    sync(followed.ydoc, ...writers.map(({ doc }) => doc))
    const fresh = read(...writers)
    assert.deepEqual(snapshot(followed), snapshot(fresh), `seed ${seed}`)
    for (const { kind, field, key, value } of seen.flat()) {
      if (kind === 'map') value === undefined ? replayed.delete(`${key}`) : replayed.set(`${key}`, value)
      if (kind === 'map') assert.equal(field, 'm')
    }
    assert.deepEqual(new Map([...replayed].sort()), new Map([...fresh.map('m')].sort()), `seed ${seed}`)
  }
})

/**
 * @param {Y.Doc} doc
 * @param {string} key
 */
const strangeLane = (doc, key) => {
  const segment = Y.Array.from([encode([0, 'strange', 99, key])])
  doc.getMap('lanes').set(key, Y.Array.from([segment]))
}

/**
 * @param {Writer} writer
 * @param {number} stamp
 * @param {(below: number) => number} random
 */
const randomEdit = (writer, stamp, random) => {
  const segments = [...writer.doc.getMap('lanes').values()].flatMap(lane =>
    /** @type {any} */ (lane).toArray()
  )
  const segment = segments[random(segments.length)]
  if (random(3) === 0 && segment.length > 1) segment.delete(1 + random(segment.length - 1))
  if (random(6) === 0) writer.newSegment()
  const key = `k${random(4)}`
  const entries = [
    [0, key, stamp, stamp],
    [1, 'm', key, stamp, stamp],
    [2, 's', key],
    [3, 'n', stamp, random(stamp)],
    [4, 'l', stamp, stamp]
  ]
  writer.append(entries[random(entries.length)])
}

/** @param {StateDocument} state */
const snapshot = state => ({
  fields: state.fields(),
  registers: [0, 1, 2, 3].map(n => state.register(`k${n}`)),
  map: new Map([...state.map('m')].sort()),
  set: state.set('s').sort(),
  counter: state.counter('n'),
  log: state.log('l'),
  conflicts: state.conflicts().length
})

/**
 * A small generator of numbers that are always the same.
 *
 * @param {number} seed
 */
const generator = seed => {
  let state = seed
  return (/** @type {number} */ below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
