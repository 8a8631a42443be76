import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  InvalidValueError,
  firstWriter,
  float,
  lastWriter,
  list,
  manual,
  map,
  merge,
  register,
  rows,
  schema
} from '../src/index.js'
import { decode } from '../src/msgpack.js'
import { meet, pull, record, replica, WALL } from './support/replicas.js'

/** @typedef {import('../src/document.js').Conflict} Conflict */
/** @typedef {import('../src/document.js').StateDocument} StateDocument */

/** @param {Conflict} conflict */
const shown = ({ type, field, key, kind, rivals, ancestor }) => [
  type,
  field,
  key,
  kind,
  rivals.map(({ value, author, deleted }) => (deleted ? `deleted by ${author}` : value)),
  ancestor
]

/**
 * Two replicas that have met, and then write at once.
 *
 * @param {(document: StateDocument) => void} before
 * @param {(document: StateDocument) => void} one
 * @param {(document: StateDocument) => void} other
 */
const apart = (before, one, other) => {
  const [a, b] = [replica(1, 'ann'), replica(2, 'bob')]
  before(a)
  pull(b, a)
  one(a)
  other(b)
  meet(a, b)
  return { a, b }
}

test('concurrent values are a conflict of every kind of cell, with their common ancestor', () => {
  const { a, b } = apart(
    document => {
      document.setRegister('goal', 'start')
      document.setCell('steps', 'x', 1)
      document.insertItem('todo', null, null, 'item')
    },
    document => {
      document.setRegister('goal', 'between')
      document.setRegister('goal', 'A')
      document.setCell('steps', 'x', 2)
      document.putItem('todo', 'i0.1111-', 'A')
    },
    document => {
      document.setRegister('goal', 'B')
      document.setCell('steps', 'x', 3)
      document.putItem('todo', 'i0.1111-', 'B')
    }
  )
  const expected = [
    ['register', 'goal', null, 'concurrent_modification', ['A', 'B'], 'start'],
    ['map', 'steps', 'x', 'concurrent_modification', [2, 3], 1],
    ['list', 'todo', 'i0.1111-', 'concurrent_modification', ['A', 'B'], 'item']
  ]
  assert.deepEqual(a.conflicts().map(shown), expected)
  assert.deepEqual(b.conflicts().map(shown), expected)
  const [first, second] = a.conflicts()[0].rivals
  assert.deepEqual([first.client, first.at, second.author], [1, WALL, 'bob'])
  const late = replica(3)
  pull(late, a)
  assert.deepEqual(
    late.conflicts().map(({ ancestor }) => ancestor),
    [undefined, undefined, undefined]
  )
})

test('values of several JSON types are a mismatch, null and equal values aside', () => {
  const write = (/** @type {unknown[]} */ values) => (/** @type {StateDocument} */ document) =>
    values.forEach((value, at) => document.setCell('m', `k${at}`, value))
  const { a } = apart(
    () => {},
    write([1, null, 'x', { a: 1 }, [1], 1, true, { b: 1, a: 2 }]),
    write(['1', 'y', new Uint8Array(1), [1], { a: 1 }, 1.5, 1, { a: 2, b: 1 }])
  )
  assert.deepEqual(
    a.conflicts().map(({ key, kind }) => [key, kind]),
    [
      ['k0', 'type_mismatch'],
      ['k1', 'concurrent_modification'],
      ['k2', 'type_mismatch'],
      ['k3', 'type_mismatch'],
      ['k4', 'type_mismatch'],
      ['k5', 'concurrent_modification'],
      ['k6', 'type_mismatch']
    ]
  )
})

test('a write of somebody who did not know of a deletion is a conflict where the deletion was seen first', () => {
  const [a, b, c] = [replica(1, 'ann'), replica(2, 'bob'), replica(3, 'cem')]
  a.setCell('m', 'x', 'old')
  a.setCell('m', 'y', 'old')
  meet(a, b, c)
  a.deleteCell('m', 'x')
  a.deleteCell('m', 'y')
  b.setCell('m', 'x', 'new')
  pull(c, a)
  assert.deepEqual(c.conflicts(), [])
  c.setCell('m', 'y', 'knows')
  pull(c, b)
  assert.deepEqual(c.conflicts().map(shown), [
    ['map', 'm', 'x', 'deleted_modified', ['new', 'deleted by ann'], 'old']
  ])
  assert.equal(c.conflicts()[0].rivals[1].client, 1)
  pull(a, b)
  assert.equal(a.conflicts()[0].kind, 'deleted_modified')
  pull(b, a)
  assert.deepEqual(b.conflicts(), [])
  c.setCell('m', 'x', 'settled')
  assert.deepEqual(c.conflicts(), [])
})

test('a cell that was deleted with its rivals is known by the greatest of them', () => {
  for (const greatest of [1, 2]) {
    const { a, b } = apart(
      () => {},
      document => write(document, greatest === 1 ? 2 : 1),
      document => write(document, greatest === 2 ? 2 : 1)
    )
    const c = replica(3, 'cem')
    pull(c, a)
    b.setRegister('goal', 'C')
    c.clearRegister('goal')
    pull(a, c)
    pull(a, b)
    const value = `write 2 of ${greatest}`
    assert.deepEqual(a.conflicts().map(shown), [
      ['register', 'goal', null, 'deleted_modified', ['C', 'deleted by cem'], value]
    ])
  }
})

/**
 * @param {StateDocument} document
 * @param {number} times
 */
const write = (document, times) => {
  for (let time = 1; time <= times; time++)
    document.setRegister('goal', `write ${time} of ${document.client}`)
}

test('the next write of a cell settles it, and says so to whoever listens', () => {
  const { a, b } = apart(
    () => {},
    document => document.setRegister('goal', 'A'),
    document => document.setRegister('goal', 'B')
  )
  a.setRegister('goal', 'C')
  pull(b, a)
  assert.deepEqual([a.conflicts(), b.conflicts(), b.register('goal')], [[], [], 'C'])
})

test('the last and the first writer hold, and a merge function has the ancestor', () => {
  const conflict = () =>
    apart(
      document => document.setCell('m', 'x', 10),
      document => {
        document.setCell('m', 'x', 12)
        document.setRegister('other', float(1))
      },
      document => {
        document.setCell('m', 'x', 15)
        document.setRegister('other', 2)
      }
    )
  const sum = merge(({ rivals, ancestor }) =>
    rivals.reduce((total, { value }) => total + Number(value) - Number(ancestor), Number(ancestor))
  )
  for (const [strategy, expected] of /** @type {const} */ ([
    [lastWriter, 15],
    [firstWriter, 12],
    [sum, 17]
  ])) {
    const { a, b } = conflict()
    const cells = map().bind(a, 'm')
    assert.deepEqual(cells.resolve(strategy, 'y'), [])
    assert.equal(cells.resolve(strategy).length, 1)
    assert.deepEqual([cells.get('x'), cells.conflicts()], [expected, []])
    pull(b, a)
    assert.deepEqual(b.map('m'), new Map([['x', expected]]))
  }
})

test('what a strategy chooses is written as it was stored', () => {
  const { a } = apart(
    () => {},
    document => document.setRegister('goal', float(1)),
    document => document.setRegister('goal', 'x')
  )
  const goal = register().bind(a, 'goal')
  goal.resolve(firstWriter)
  assert.equal(goal.value, 1)
  assert.equal(goal.cells.at('')[0].packed[0], 0xcb)
})

test('a merge function that decides on nothing deletes the cell, and one that does not fit writes nothing', () => {
  const { a } = apart(
    () => {},
    document => document.setRegister('goal', 'A'),
    document => document.setRegister('goal', 'B')
  )
  const goal = register({ validate: value => typeof value === 'string' }).bind(a, 'goal')
  assert.throws(() => goal.resolve(merge(() => 5)), InvalidValueError)
  assert.equal(goal.conflicts().length, 1)
  goal.resolve(merge(() => undefined))
  assert.deepEqual([goal.isSet, a.conflicts()], [false, []])
})

test('a policy decides what is read, the same on every replica, and writes nothing', () => {
  const Plan = schema({
    goal: register({ onConflict: firstWriter }),
    votes: map({ onConflict: merge(({ rivals }) => Math.max(...rivals.map(({ value }) => Number(value)))) }),
    items: list({ onConflict: firstWriter })
  })
  const [a, b] = [Plan.bind(replica(1)), Plan.bind(replica(2))]
  a.items.push('start')
  pull(b.document, a.document)
  const seen = record(a.document)
  a.goal.set('A')
  a.votes.set('x', 9)
  a.items.set(0, 'A')
  b.goal.set('first was A')
  b.document.setRegister('goal', 'B')
  b.votes.set('x', 4)
  b.items.set(0, 'B')
  /** @type {string[]} */
  const disputed = []
  a.document.observe((_changes, fields) => disputed.push(...fields.map(({ name }) => name)))
  meet(a.document, b.document)
  assert.deepEqual(disputed, ['items', 'votes', 'goal'])
  for (const { goal, votes, items } of [a, b]) {
    assert.deepEqual([goal.value, votes.get('x'), items.value], ['A', 9, ['A']])
    assert.equal(goal.conflicts().length, 1)
  }
  // What is read did not change, so that nothing is told but what this replica did.
  assert.deepEqual(
    seen.flat().map(({ value }) => value),
    ['A', 9, 'A']
  )
  b.document.setRegister('goal', 'settled')
  meet(a.document, b.document)
  assert.equal(a.goal.value, 'settled')
})

test('a policy that decides on nothing leaves the last writer to be read', () => {
  const { a } = apart(
    () => {},
    document => document.setRegister('goal', 'A'),
    document => document.setRegister('goal', 'B')
  )
  assert.equal(register({ onConflict: merge(() => undefined) }).bind(a, 'goal').value, 'B')
})

test('a ticket waits in the document for a decision, which settles and closes it', () => {
  const { a, b } = apart(
    document => document.setCell('m', 'a/b', 'start'),
    document => document.setCell('m', 'a/b', 'A'),
    document => document.setCell('m', 'a/b', float(2))
  )
  map().bind(a, 'm').resolve(manual('which one?'))
  map().bind(a, 'm').resolve(manual('again'))
  assert.equal(a.conflicts().length, 1)
  pull(b, a)
  const [ticket, ...others] = b.tickets()
  assert.deepEqual(others, [])
  assert.deepEqual([ticket.field, ticket.key, ticket.note, ticket.by], ['m', 'a/b', 'which one?', 'ann'])
  assert.deepEqual(
    ticket.rivals.map(({ value, author }) => [value, author]),
    [
      ['A', 'ann'],
      [2, 'bob']
    ].sort((x, y) => (x[1] === 'bob' ? -1 : 1))
  )
  const [entry] = b.cells('map', '$tickets')?.at('m/a~1b') ?? []
  const stored = /** @type {any} */ (decode(entry.packed))
  assert.deepEqual(Object.keys(stored), ['field', 'key', 'rivals', 'note', 'by'])
  assert.deepEqual(Object.keys(stored.rivals[0]), ['value', 'author', 'client', 'stamp'])
  ticket.resolve('C')
  meet(a, b)
  for (const document of [a, b]) {
    assert.deepEqual([document.map('m').get('a/b'), document.tickets(), document.conflicts()], ['C', [], []])
  }
})

test('a decision that does not fit leaves the ticket open, and one for nothing deletes the cell', () => {
  const Plan = schema({
    tasks: rows(schema({ title: register({ validate: value => typeof value === 'string' }) }))
  })
  const { a } = apart(
    document => Plan.bind(document).tasks.set('t', { title: 'start' }),
    document => Plan.bind(document).tasks.get('t')?.title.set('A'),
    document => Plan.bind(document).tasks.get('t')?.title.set('B')
  )
  const plan = Plan.bind(a)
  assert.equal(plan.resolve(manual()).length, 1)
  const [ticket] = plan.tickets()
  assert.throws(() => ticket.resolve(5), InvalidValueError)
  assert.deepEqual([plan.tickets().length, plan.tasks.get('t')?.title.value], [1, 'B'])
  assert.deepEqual(
    plan.tasks
      .get('t')
      ?.tickets()
      .map(({ id }) => id),
    ['tasks/t/title']
  )
  ticket.resolve(undefined)
  assert.deepEqual([plan.tickets(), plan.tasks.get('t')?.title.isSet], [[], false])
})

test('tickets of fields that no schema declares are settled where they lie', () => {
  const { a } = apart(
    document => document.insertItem('l', null, null, 'start'),
    document => {
      document.putItem('l', 'i0.1111-', 'A')
      document.setRegister('r', 'A')
    },
    document => {
      document.putItem('l', 'i0.1111-', 'B')
      document.setRegister('r', 'B')
    }
  )
  list().bind(a, 'l').resolve(manual())
  register().bind(a, 'r').resolve(manual())
  for (const ticket of a.tickets()) ticket.resolve(ticket.field === 'l' ? undefined : 'C')
  assert.deepEqual([a.list('l'), a.register('r'), a.tickets()], [[], 'C', []])
})

test('a manual policy opens the ticket of whoever has a part in it, once', () => {
  const Plan = schema({ goal: register({ onConflict: manual('choose') }) })
  const [a, b, c] = [replica(1, 'ann'), replica(2, 'bob'), replica(3, 'cem')].map(document =>
    Plan.bind(document)
  )
  a.goal.set('A')
  b.goal.set('B')
  pull(c.document, a.document)
  pull(c.document, b.document)
  assert.equal(c.tickets().length, 0)
  pull(a.document, b.document)
  assert.deepEqual(
    a.tickets().map(({ note, by }) => [note, by]),
    [['choose', 'ann']]
  )
  pull(b.document, a.document)
  assert.equal(b.tickets().length, 1)
  assert.equal(b.goal.value, 'B')
})

test('a part in a conflict has the session, and every other session of the agent', () => {
  const Plan = schema({ goal: register({ onConflict: manual() }) })
  for (const [agent, opens] of /** @type {const} */ ([
    ['ann', true],
    ['', false],
    ['cem', false]
  ])) {
    const [one, other] = [replica(1, agent === '' ? '' : 'ann'), replica(2, 'bob')]
    one.setRegister('goal', 'A')
    other.setRegister('goal', 'B')
    const third = replica(3, agent)
    const plan = Plan.bind(third)
    pull(third, one)
    pull(third, other)
    assert.equal(plan.tickets().length, opens ? 1 : 0)
  }
  const nameless = replica(4, '')
  const plan = Plan.bind(nameless)
  plan.goal.set('A')
  const other = replica(5, '')
  other.setRegister('goal', 'B')
  pull(nameless, other)
  assert.equal(plan.tickets().length, 1)
})

test('anybody may write anything among the tickets', () => {
  const document = replica(1)
  const sound = { field: 'x', key: null, rivals: [{ author: '', client: 1, stamp: 1 }], note: '', by: '' }
  const strange = [5, null, {}, { ...sound, rivals: [] }, { ...sound, key: 5 }, { ...sound, rivals: [null] }]
  strange.forEach((value, at) => document.setCell('$tickets', `t${at}`, value))
  assert.deepEqual(document.tickets(), [])
  document.setCell('$tickets', 'x', sound)
  assert.equal(document.tickets().length, 1)
})

test('what is remembered of superseded values and deletions is bounded', () => {
  const document = replica(1)
  for (let at = 0; at < 5000; at++) {
    document.setCell('m', `k${at}`, at)
    document.deleteCell('m', `k${at}`)
  }
  const { superseded, oldest, deletions } = document.index.disputes
  assert.deepEqual([superseded.length - oldest, deletions.size], [1024, 4096])
  const large = 'x'.repeat(100_000)
  for (let at = 0; at < 100; at++) document.setRegister('r', large + at)
  document.deleteCell('m', 'k')
  document.setCell('m', 'k', large)
  document.deleteCell('m', 'k')
  const { bytes, deletions: after } = document.index.disputes
  assert.ok(bytes <= 1024 * 1024)
  assert.ok([...after.values()].every(({ entry }) => entry.raw.length <= 1024))
})
