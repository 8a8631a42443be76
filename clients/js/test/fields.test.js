import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import {
  counter,
  float,
  gcounter,
  gset,
  InvalidValueError,
  list,
  log,
  map,
  merge,
  register,
  rows,
  schema,
  SchemaError,
  set,
  StateDocument,
  text,
  TransactionError
} from '../src/index.js'
import { readEntry } from '../src/entry.js'
import { meet, pull, record, replica, WALL } from './support/replicas.js'

/** @param {unknown} value @returns {value is string} */
const isText = value => typeof value === 'string'

const Profile = schema({ name: register({ default: 'nobody' }), skills: set() })
const Step = schema({
  title: register(),
  done: register({ default: false }),
  notes: text(),
  hours: counter()
})
const Mission = schema({
  goal: register({ default: 'none yet', validate: isText }),
  steps: map({ validate: (/** @type {number} */ value) => Number.isInteger(value) || 'no whole number' }),
  tags: set({ validate: isText }),
  spent: counter(),
  news: log({ validate: isText }),
  notes: text(),
  todo: list({ validate: isText }),
  profile: Profile,
  tasks: rows(Step)
})

const mission = () => Mission.bind(replica(7, 'planner'))

test('a register has a default, a value, and none again', () => {
  const { goal } = mission()
  assert.deepEqual([goal.value, goal.isSet], ['none yet', false])
  goal.set('ship')
  assert.deepEqual([goal.value, goal.isSet], ['ship', true])
  goal.clear()
  assert.deepEqual([goal.value, goal.isSet], ['none yet', false])
  assert.equal(register().bind(replica(1), 'x').value, undefined)
})

test('a default that is an object is a new one at each read', () => {
  const field = register({ default: { list: [1] } }).bind(replica(1), 'x')
  field.value?.list.push(2)
  assert.deepEqual(field.value, { list: [1] })
  assert.equal(register({ default: float(1) }).bind(replica(1), 'x').value, 1)
})

test('a validator gets values as they are read', () => {
  /** @type {unknown[]} */
  let got = []
  const field = map({ validate: value => got.push(value) > 0 }).bind(replica(1), 'x')
  /** @type {Array<[unknown, unknown]>} */
  const pairs = [
    [new Date(0), '1970-01-01T00:00:00+00:00'],
    [new Map([['a', new Set([1n])]]), { a: [1] }],
    [float(2), 2],
    ['x', 'x']
  ]
  for (const [value, read] of pairs) {
    field.set('a', value)
    for (const seen of got) assert.deepEqual(seen, read)
    assert.deepEqual(field.get('a'), read)
    got = []
  }
  assert.throws(() => field.set('a', [undefined]), { name: 'InvalidValueError', subject: 'x' })
})

test('a default that does not fit is refused where it is declared', () => {
  assert.throws(
    () => register({ default: 'x', validate: (/** @type {any} */ value) => value > 1 }),
    SchemaError
  )
  assert.throws(() => register({ default: () => 1 }), SchemaError)
})

test('a map has the protocol of a Map, in the order of its keys', () => {
  const { steps } = mission()
  steps.set('b', 2).set('a', 1)
  assert.deepEqual(
    [steps.get('a'), steps.get('x'), steps.has('b'), steps.has('x'), steps.size],
    [1, undefined, true, false, 2]
  )
  assert.deepEqual(
    [...steps],
    [
      ['a', 1],
      ['b', 2]
    ]
  )
  assert.deepEqual(
    [steps.keys(), steps.values()],
    [
      ['a', 'b'],
      [1, 2]
    ]
  )
  assert.deepEqual(
    steps.value,
    new Map([
      ['a', 1],
      ['b', 2]
    ])
  )
  for (const [key] of steps) steps.set(`${key}${key}`, 3)
  assert.deepEqual(steps.keys(), ['a', 'aa', 'b', 'bb'])
  assert.deepEqual([steps.delete('a'), steps.delete('a')], [true, false])
  steps.clear()
  assert.equal(steps.size, 0)
  assert.throws(() => steps.set(/** @type {any} */ (1), 1), InvalidValueError)
})

test('a set has the protocol of a Set, by value', () => {
  const tags = set().bind(replica(1), 'tags')
  tags.add('b').add({ x: 1, y: 2 }).add('a').add({ y: 2, x: 1 }).add(1).add(float(1))
  assert.deepEqual([...tags], [1, { x: 1, y: 2 }, 'a', 'b', 1])
  assert.deepEqual(
    [tags.size, tags.has({ y: 2, x: 1 }), tags.has('c'), tags.has(undefined)],
    [5, true, false, false]
  )
  assert.deepEqual([tags.delete('a'), tags.delete('a')], [true, false])
  tags.clear()
  assert.deepEqual(tags.value, [])
})

test('a counter adds and subtracts whole numbers', () => {
  const { spent } = mission()
  spent.add(120)
  spent.add()
  spent.subtract(20)
  assert.equal(spent.value, 101)
  for (const amount of [1.5, NaN, '1', 2 ** 53]) {
    assert.throws(() => spent.add(/** @type {any} */ (amount)), InvalidValueError)
  }
  assert.equal(spent.value, 101)
})

test('what only grows refuses to shrink', () => {
  const document = replica(1)
  const [total, seen] = [gcounter().bind(document, 'total'), gset().bind(document, 'seen')]
  total.add(2)
  assert.throws(() => total.add(-1), InvalidValueError)
  assert.throws(() => total.subtract(1), InvalidValueError)
  seen.add('x')
  assert.throws(() => seen.delete('x'), InvalidValueError)
  assert.throws(() => seen.clear(), InvalidValueError)
  assert.throws(() => seen.assign([]), InvalidValueError)
  assert.deepEqual([total.value, seen.value], [2, ['x']])
  const careless = replica(2)
  careless.count('total', -1)
  careless.count('total', 5)
  const changes = record(document)
  pull(document, careless)
  assert.equal(total.value, 7)
  assert.deepEqual(
    changes.flat().map(({ old, value }) => [old, value]),
    [[2, 7]]
  )
})

test('a log is appended to and read, and pruned by number and by time', () => {
  let wall = WALL
  const document = new StateDocument(new Y.Doc(), {})
  document.clock.now = () => wall
  const news = log().bind(document, 'news')
  assert.equal(news.push('a', 'b'), 2)
  wall += 1000
  news.push('c')
  wall += 1000
  news.push('d')
  assert.deepEqual([news.length, news.at(0), news.at(-1), news.at(9)], [4, 'a', 'd', undefined])
  assert.deepEqual([...news], ['a', 'b', 'c', 'd'])
  assert.equal(news.prune({ before: new Date(WALL + 500), keep: 3 }), 1)
  assert.equal(news.prune({ before: WALL + 500 }), 1)
  assert.deepEqual(news.value, ['c', 'd'])
  assert.equal(news.prune({ keep: 1 }), 1)
  assert.equal(news.prune({ keep: 5 }), 0)
  assert.deepEqual(news.value, ['d'])
  for (const which of [{}, { keep: -1 }, { keep: 1.5 }, { before: NaN }]) {
    assert.throws(() => news.prune(which), InvalidValueError)
  }
})

test('a list inserts, writes, moves and deletes anywhere, and its items keep their ids', () => {
  const { todo } = mission()
  assert.equal(todo.push('a', 'b', 'c'), 3)
  todo.insert(1, 'x', 'y')
  assert.deepEqual(todo.value, ['a', 'x', 'y', 'b', 'c'])
  const [id] = todo.ids
  todo.set(0, 'A')
  todo.move(0, 4)
  assert.deepEqual([...todo], ['x', 'y', 'b', 'c', 'A'])
  assert.equal(todo.ids[4], id)
  assert.equal(todo.get(id), 'A')
  todo.move(4, 1)
  todo.move(1, 1)
  assert.deepEqual(todo.value, ['x', 'A', 'y', 'b', 'c'])
  todo.delete(1, 2)
  assert.deepEqual([todo.value, todo.at(-1), todo.length], [['x', 'b', 'c'], 'c', 3])
  const outside = [
    () => todo.insert(4, 'q'),
    () => todo.set(3, 'q'),
    () => todo.move(0, 3),
    () => todo.delete(2, 2)
  ]
  for (const call of [...outside, () => todo.insert(-1, 'q'), () => todo.insert(0.5, 'q')]) {
    assert.throws(call, InvalidValueError)
  }
  todo.clear()
  assert.deepEqual(todo.value, [])
})

test('a list is moved in as an array is, from anywhere to anywhere', () => {
  const items = list().bind(replica(1), 'items')
  const expected = [0, 1, 2, 3, 4]
  items.push(...expected)
  for (let step = 0; step < 60; step++) {
    const [from, to] = [(step * 7) % 5, (step * 3) % 5]
    items.move(from, to)
    expected.splice(to, 0, ...expected.splice(from, 1))
    assert.deepEqual(items.value, expected)
  }
})

test('a write and a move of one item made at once are both kept, and it stays one item', () => {
  const [a, b] = [replica(1), replica(2)]
  const [one, two] = [a, b].map(document => list().bind(document, 'items'))
  one.push('x', 'y', 'z')
  pull(b, a)
  one.set(0, 'X')
  two.move(0, 2)
  two.move(1, 0)
  one.move(1, 2)
  meet(a, b)
  assert.deepEqual(one.value, two.value)
  assert.deepEqual([...one.value].sort(), ['X', 'y', 'z'])
})

test('a text is edited by position, formatted, and kept whole', () => {
  const { notes } = mission()
  notes.insert(0, 'The réef 🐠')
  notes.replace(4, 4, 'reef')
  notes.format(0, 3, { bold: true })
  notes.append('!')
  assert.equal(String(notes), 'The reef 🐠!')
  assert.equal(notes.length, 12)
  assert.deepEqual(notes.toDelta(), [{ insert: 'The', attributes: { bold: true } }, { insert: ' reef 🐠!' }])
  notes.delete(0, 4)
  assert.equal(notes.ytext.toString(), 'reef 🐠!')
  const refused = [
    () => notes.insert(9, 'x'),
    () => notes.delete(-1, 1),
    () => notes.delete(6, 9),
    () => notes.insert(6, 'inside the fish'),
    () => notes.delete(5, 1),
    () => notes.insert(0, '\ud800'),
    () => notes.format(0, 1, { deep: 1n })
  ]
  for (const call of refused) assert.throws(call, InvalidValueError)
  notes.assign('reef 🐟!')
  assert.equal(notes.value, 'reef 🐟!')
  notes.ytext.insertEmbed(0, { image: 'x' })
  assert.deepEqual([notes.value, notes.length], ['\ufffcreef 🐟!', 9])
})

test('reads in a transaction see its edits of a text, formatting included', () => {
  const { notes, document } = mission()
  notes.insert(0, 'hello')
  document.transaction(() => {
    notes.insert(5, ' there', { bold: true })
    assert.deepEqual(notes.toDelta(), [{ insert: 'hello' }, { insert: ' there', attributes: { bold: true } }])
    notes.delete(0, 6)
    assert.deepEqual([notes.value, notes.length], ['there', 5])
    assert.equal(notes.ytext.toString(), 'hello')
  })
  assert.deepEqual(notes.toDelta(), [{ insert: 'there', attributes: { bold: true } }])
})

test('a value that does not fit is refused, and nothing of a call with others is written', () => {
  const state = mission()
  const refused = [
    () => state.goal.set(/** @type {any} */ (1)),
    () => state.steps.set('a', 1.5),
    () => state.tags.add(/** @type {any} */ (null)),
    () => state.news.push('fine', /** @type {any} */ (2)),
    () => state.todo.push('fine', /** @type {any} */ (2)),
    () => state.assign({ goal: 'fine', steps: { a: 'x' } }),
    () => state.assign({ goal: 'fine', colour: 'red' })
  ]
  for (const call of refused) assert.throws(call, InvalidValueError)
  assert.throws(() => state.steps.set('a', 1.5), /steps: no whole number; nothing was written/)
  assert.deepEqual(
    state.document.fields().filter(({ kind }) => kind !== 'text'),
    []
  )
})

test('what somebody else wrote and does not fit is passed over, and listed with its author', () => {
  const state = mission()
  const careless = replica(9, 'careless')
  careless.setRegister('goal', 5)
  careless.setCell('steps', 'a', 'x')
  careless.setCell('steps', 'b', 2)
  careless.addElement('tags', 1)
  careless.appendItem('news', 1)
  careless.insertItem('todo', null, null, 1)
  careless.count('goal', 1)
  pull(state.document, careless)
  assert.equal(state.goal.value, 'none yet')
  assert.deepEqual(
    [state.steps.value, state.steps.has('a'), state.steps.size],
    [new Map([['b', 2]]), false, 1]
  )
  assert.deepEqual([state.tags.value, state.tags.size], [[], 0])
  assert.deepEqual([state.news.value, state.todo.value], [[1], [1]])
  assert.deepEqual(
    state.violations().map(({ field, key, value, author, problem }) => [field, key, value, author, problem]),
    [
      ['goal', null, [1, 0], 'careless', 'stored as a counter under this name'],
      ['goal', null, 5, 'careless', 'it does not fit the field'],
      ['steps', 'a', 'x', 'careless', 'no whole number'],
      ['tags', 1, 1, 'careless', 'it does not fit the field'],
      ['news', null, 1, 'careless', 'it does not fit the field'],
      ['todo', 'i0.1911-', 1, 'careless', 'it does not fit the field']
    ]
  )
})

test('a rival that fits is read, else the last value seen that did', () => {
  const state = mission()
  const careless = replica(9, 'careless')
  state.goal.set('ship')
  careless.setRegister('goal', 5)
  pull(state.document, careless)
  assert.equal(state.goal.value, 'ship')
  pull(careless, state.document)
  careless.setRegister('goal', 6)
  pull(state.document, careless)
  assert.equal(state.goal.value, 'ship')
  assert.equal(state.violations().length, 1)
  careless.clearRegister('goal')
  pull(state.document, careless)
  assert.equal(state.goal.value, 'none yet')
  careless.setRegister('goal', 7)
  pull(state.document, careless)
  assert.equal(state.goal.value, 'none yet')
  for (const value of ['sail', 8]) {
    careless.setRegister('goal', value)
    pull(state.document, careless)
    assert.equal(state.goal.value, 'sail')
  }
})

test('a state within a state lies under its path', () => {
  const state = mission()
  state.profile.name.set('ann')
  state.profile.skills.add('diving')
  assert.equal(state.document.register('profile/name'), 'ann')
  assert.deepEqual(state.profile.toJSON(), { name: 'ann', skills: ['diving'] })
})

test('a row is there while its key or anything below it is, and goes with all of it', () => {
  const { tasks, document } = mission()
  tasks.set('t1', { title: 'dive', notes: 'deep' })
  tasks.set('a/b', {})
  assert.deepEqual([tasks.keys(), tasks.size, tasks.has('a/b')], [['a/b', 't1'], 2, true])
  const row = tasks.get('t1')
  assert.ok(row)
  assert.equal(tasks.get('t1'), row)
  row.hours.add(3)
  row.done.set(true)
  assert.deepEqual(row.toJSON(), { title: 'dive', done: true, notes: 'deep', hours: 3 })
  assert.equal(document.register('tasks/t1/title'), 'dive')
  document.setRegister('tasks/t1/of another version', 1)
  document.insertItem('tasks/t1/list', null, null, 1)
  assert.deepEqual([tasks.delete('t1'), tasks.delete('t1')], [true, false])
  assert.equal(tasks.get('t1'), undefined)
  assert.equal(document.textValue('tasks/t1/notes'), '')
  assert.deepEqual(
    document.fields().filter(({ kind }) => kind !== 'text'),
    [{ kind: 'set', name: 'tasks' }]
  )
  document.setRegister('tasks/t2/title', 'by another program')
  assert.deepEqual(tasks.keys(), ['a/b', 't2'])
  tasks.clear()
  assert.equal(tasks.size, 0)
})

test('to write a row anew clears what is not named', () => {
  const { tasks } = mission()
  tasks.set('t1', { title: 'dive', hours: 3, notes: 'deep' })
  tasks.set('t1', { title: 'rest' })
  assert.deepEqual(tasks.get('t1')?.toJSON(), { title: 'rest', done: false, notes: '', hours: 0 })
  assert.throws(() => tasks.set('t2', { colour: 'red' }), InvalidValueError)
  assert.equal(tasks.has('t2'), false)
})

test('a row survives a deletion that had not seen what was written to it, be it to a text', () => {
  const [a, b] = [Mission.bind(replica(1, 'a')), Mission.bind(replica(2, 'b'))]
  a.tasks.set('t1', { title: 'dive', notes: 'deep' })
  a.tasks.set('t2', { title: 'rest' })
  a.tasks.set('t3', { title: 'sing' })
  pull(b.document, a.document)
  for (const key of ['t1', 't2', 't3']) a.tasks.delete(key)
  b.tasks.get('t1')?.notes.append(' and dark')
  b.tasks.get('t2')?.title.set('sleep')
  meet(a.document, b.document)
  assert.deepEqual(a.tasks.keys(), ['t1', 't2'])
  assert.deepEqual(a.tasks.toJSON(), b.tasks.toJSON())
  assert.equal(a.tasks.get('t1')?.notes.value, ' and dark')
  assert.equal(a.tasks.get('t2')?.title.value, 'sleep')
})

test('assign makes fields hold values with the fewest edits', () => {
  const state = mission()
  state.assign({
    goal: 'ship',
    steps: { a: 1, b: 2 },
    tags: ['red', 'blue'],
    spent: 5,
    news: ['one', 'two'],
    notes: 'hello there',
    todo: ['a', 'b', 'c', 'd'],
    profile: { name: 'ann' },
    tasks: { t1: { title: 'dive' } }
  })
  const ids = [...state.todo.ids]
  const seen = record(state.document)
  state.assign({ tags: ['blue', 'green'], spent: 3, news: ['two', 'three'], notes: 'hello you there' })
  assert.deepEqual(
    seen.flat().map(({ field, action, key, old, value }) => [field, action, key, old, value]),
    [
      ['tags', 'removed', 'red', true, undefined],
      ['tags', 'added', 'green', undefined, true],
      ['spent', 'changed', null, 5, 3],
      ['news', 'removed', null, 'one', undefined],
      ['news', 'added', null, undefined, 'three'],
      ['notes', 'changed', null, undefined, [{ retain: 6 }, { insert: 'you ' }]]
    ]
  )
  state.todo.assign(['a', 'x', 'y', 'z', 'd'])
  assert.deepEqual(state.todo.value, ['a', 'x', 'y', 'z', 'd'])
  assert.deepEqual(
    state.todo.ids.filter(id => ids.includes(id)),
    ids
  )
  state.todo.assign(['a', 'd'])
  assert.deepEqual(state.todo.ids, [ids[0], ids[3]])
  assert.throws(() => state.news.assign(['else']), InvalidValueError)
  state.news.assign([])
  assert.equal(state.news.length, 0)
  state.tasks.assign({ t2: { title: 'rest' } })
  assert.deepEqual(state.toJSON().tasks, { t2: { title: 'rest', done: false, notes: '', hours: 0 } })
})

test('changes say whether a value came, changed, went or moved', () => {
  const state = mission()
  const seen = record(state.document)
  state.goal.set('a')
  state.goal.set('b')
  state.goal.clear()
  state.tags.add('x')
  state.tags.delete('x')
  state.spent.add(2)
  state.news.push('n')
  state.news.prune({ keep: 0 })
  state.todo.push('a', 'b')
  const [id] = state.todo.ids
  state.todo.set(0, 'A')
  state.todo.move(0, 1)
  state.transaction(() => {
    state.todo.set(1, 'AA')
    state.todo.move(1, 0)
  })
  state.todo.delete(0)
  state.notes.insert(0, 'x')
  const told = seen.flat().filter(({ kind, key }) => kind !== 'list' || key === id)
  assert.deepEqual(
    told.map(({ kind, action, old, value }) => [kind, action, old, value]),
    [
      ['register', 'added', undefined, 'a'],
      ['register', 'changed', 'a', 'b'],
      ['register', 'removed', 'b', undefined],
      ['set', 'added', undefined, true],
      ['set', 'removed', true, undefined],
      ['counter', 'changed', 0, 2],
      ['log', 'added', undefined, 'n'],
      ['log', 'removed', 'n', undefined],
      ['list', 'added', undefined, 'a'],
      ['list', 'changed', 'a', 'A'],
      ['list', 'moved', 'A', 'A'],
      ['list', 'changed', 'A', 'AA'],
      ['list', 'removed', 'AA', undefined],
      ['text', 'changed', undefined, [{ insert: 'x' }]]
    ]
  )
  assert.ok(seen.flat().every(({ local, author, client }) => local && author === 'planner' && client === 7))
})

test('a field, a row map and a state tell of their own changes only', () => {
  const state = mission()
  /** @type {string[]} */
  const heard = []
  const stop = state.goal.observe(changes => heard.push(...changes.map(({ value }) => `goal ${value}`)))
  state.tasks.observe(changes => heard.push(...changes.map(({ field }) => `tasks ${field}`)))
  state.profile.observe(changes => heard.push(...changes.map(({ field }) => `profile ${field}`)))
  let all = 0
  state.observe(changes => (all += changes.length))
  state.transaction(() => {
    state.goal.set('x')
    state.steps.set('a', 1)
    state.profile.name.set('ann')
    state.tasks.set('t', { title: 'dive' })
  })
  stop()
  state.goal.set('y')
  assert.deepEqual(heard, ['goal x', 'tasks tasks', 'tasks tasks/t/title', 'profile profile/name'])
  assert.equal(all, 6)
})

test('names that a state has for itself, or that are reserved, are refused', () => {
  for (const name of ['toJSON', 'document', 'observe', '$x', '_x', 'lanes', 'then']) {
    assert.throws(() => schema({ [name]: register() }), SchemaError, name)
  }
  assert.throws(() => text().bind(replica(1), 'lanes'), SchemaError)
})

test('a schema binds to a Yjs document as well', () => {
  const ydoc = new Y.Doc()
  const state = Mission.bind(ydoc)
  state.goal.set('ship')
  state.notes.insert(0, 'x')
  assert.equal(ydoc.getText('notes').toString(), 'x')
  assert.equal(new StateDocument(ydoc).register('goal'), 'ship')
})

test('a state whose document was replaced or closed takes no more edits', () => {
  const document = replica(1)
  const state = Mission.bind(document)
  state.goal.set('ship')
  document.destroy()
  assert.throws(() => state.goal.set('lost'), TransactionError)
  assert.equal(state.goal.value, 'ship')
})

test('bytes that were read are copies', () => {
  const one = replica(1)
  one.setRegister('bytes', Uint8Array.of(1, 2, 3))
  const two = replica(2)
  Y.applyUpdate(two.ydoc, Y.encodeStateAsUpdate(one.ydoc))
  const read = /** @type {Uint8Array} */ (two.register('bytes'))
  read[0] = 99
  assert.deepEqual(new StateDocument(two.ydoc).register('bytes'), Uint8Array.of(1, 2, 3))
})

test('a root of another kind under a name of a text leaves rows readable', () => {
  const Board = schema({ tasks: rows(schema({ notes: text() })) })
  const document = replica(1)
  const other = new Y.Doc()
  other.getMap('tasks/t/notes').set('a', 1)
  Y.applyUpdate(document.ydoc, Y.encodeStateAsUpdate(other))
  const state = Board.bind(document)
  state.tasks.set('t', {})
  assert.deepEqual(state.toJSON(), { tasks: { t: { notes: '' } } })
})

test('a policy that throws leaves the last write to be read', () => {
  const Poll = schema({
    most: register({
      onConflict: merge(() => {
        throw new Error('no')
      })
    })
  })
  const [one, two] = [replica(1), replica(2)]
  const state = Poll.bind(one)
  one.setRegister('most', 1)
  two.setRegister('most', 2)
  /** @type {unknown[]} */
  const heard = []
  state.observe(changes => heard.push(...changes))
  Y.applyUpdate(one.ydoc, Y.encodeStateAsUpdate(two.ydoc))
  assert.equal(state.most.value, one.register('most'))
})

test('values nested deeper than readers go are passed over', () => {
  for (const [depth, kind] of [
    [256, 0],
    [257, -1],
    [100_000, -1]
  ]) {
    const raw = Uint8Array.of(0x94, 0, 0xa1, 0x72, 1, ...new Uint8Array(depth).fill(0x91), 0xc0)
    assert.equal(readEntry(raw, 1).kind, kind, String(depth))
  }
})
