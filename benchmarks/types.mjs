/**
 * The rows of `benchmarks.types` in JavaScript, which runs this in Node: typed state beside plain Yjs.
 *
 * Its one argument is JSON with the scale; what it writes is JSON: two figures for each row, by the row's key.
 */

import { counter, list, log, map, register, schema, StateDocument } from '../clients/js/src/index.js'
import { KEYS, Overwrites, Plain, Typed, Y } from './overwrites.mjs'

const COUNTERS = 10
const WRITERS = 8
const LIVE_ITEMS = 1_000
const ROUNDS = 5

const Bench = schema({ goal: register(), steps: map(), spent: counter(), events: log(), items: list() })

/** The microseconds of the process's own time that one call takes. */
const once = (repeats, work) => {
  const began = process.cpuUsage()
  for (let call = 0; call < repeats; call++) work()
  const { user, system } = process.cpuUsage(began)
  return (user + system) / repeats
}

/** The microseconds that one call of each takes, in the best of its rounds; they take turns. */
const both = (repeats, ours, theirs) => {
  const least = [Infinity, Infinity]
  for (let round = 0; round < ROUNDS; round++) {
    least[0] = Math.min(least[0], once(repeats, ours))
    least[1] = Math.min(least[1], once(repeats, theirs))
  }
  return least
}

/** Return a function that gives 0, 1, 2, ... */
const counting = () => {
  let next = 0
  return () => next++
}

const typed = update => {
  const ydoc = new Y.Doc()
  if (update !== undefined) Y.applyUpdate(ydoc, update)
  const document = new StateDocument(ydoc, { agent: 'a' })
  return { ydoc, document, state: Bench.bind(document) }
}

const plain = update => {
  const ydoc = new Y.Doc()
  if (update !== undefined) Y.applyUpdate(ydoc, update)
  return { ydoc, steps: ydoc.getMap('steps'), items: ydoc.getArray('items') }
}

const listened = () => {
  const bench = typed()
  bench.document.observe(() => {})
  bench.ydoc.on('update', () => {})
  return bench
}

const observed = () => {
  const document = plain()
  document.steps.observe(() => {})
  document.items.observe(() => {})
  document.ydoc.on('update', () => {})
  return document
}

const size = ydoc => Y.encodeStateAsUpdate(ydoc).length
const key = number => `key ${number % KEYS}`

const overwrites = (writes, writers, apart = false) =>
  [Typed, Plain].map(Layout => new Overwrites(Layout, writers, { apart }).goOn(writes).length)

const increments = count => {
  const { document, ydoc } = typed()
  const theirs = plain()
  for (let number = 0; number < count; number++) {
    const name = `counter ${number % COUNTERS}`
    document.count(name, 1)
    theirs.steps.set(name, Math.floor(number / COUNTERS) + 1)
  }
  return [size(ydoc), size(theirs.ydoc)]
}

const set = repeats => {
  const ours = listened().state.steps
  const theirs = observed().steps
  const [first, second] = [counting(), counting()]
  return both(
    repeats,
    () => ours.set(key(first()), 'value'),
    () => theirs.set(key(second()), 'value')
  )
}

const tenSets = repeats => {
  const { state } = listened()
  const theirs = observed()
  const write = map => {
    for (let number = 0; number < 10; number++) map.set(key(number), 'value')
  }
  return both(
    repeats,
    () => state.transaction(() => write(state.steps)),
    () => theirs.ydoc.transact(() => write(theirs.steps))
  )
}

const reads = repeats => {
  const { goal, steps, spent } = typed().state
  goal.set(1)
  steps.set('key 1', 'value')
  spent.add(1)
  const theirs = plain().steps
  theirs.set('key 1', 'value')
  const read = () => theirs.get('key 1')
  return {
    'read register': both(repeats, () => goal.value, read),
    'read cell': both(repeats, () => steps.get('key 1'), read),
    'read counter': both(repeats, () => spent.value, read)
  }
}

const remote = repeats => {
  const [source, plainSource] = [typed(), plain()]
  const [updates, plainUpdates] = [[], []]
  source.ydoc.on('update', update => updates.push(update))
  plainSource.ydoc.on('update', update => plainUpdates.push(update))
  for (let number = 0; number < repeats * ROUNDS; number++) {
    source.state.steps.set(key(number), 'value')
    plainSource.steps.set(key(number), 'value')
  }
  const [ours, theirs] = [listened().ydoc, observed().ydoc]
  const [first, second] = [counting(), counting()]
  return both(
    repeats,
    () => Y.applyUpdate(ours, updates[first()]),
    () => Y.applyUpdate(theirs, plainUpdates[second()])
  )
}

const load = cells => {
  const [{ state, ydoc }, theirs] = [typed(), plain()]
  const fill = map => {
    for (let number = 0; number < cells; number++) map.set(`key ${number}`, 'value')
  }
  state.transaction(() => fill(state.steps))
  theirs.ydoc.transact(() => fill(theirs.steps))
  const updates = [ydoc, theirs.ydoc].map(each => Y.encodeStateAsUpdate(each))
  const taken = both(
    1,
    () => typed(updates[0]),
    () => plain(updates[1])
  )
  return taken.map(us => us / 1e6)
}

const append = repeats => {
  const ours = listened().state.events
  const theirs = observed().items
  return both(
    repeats,
    () => ours.push('event'),
    () => theirs.push(['event'])
  )
}

const lists = () => {
  const [ours, theirs] = [listened().state.items, observed()]
  const items = Array.from({ length: LIVE_ITEMS }, (_, number) => `item ${number}`)
  ours.push(...items)
  theirs.items.push(items)
  return [ours, theirs]
}

/** Return a function that gives places all over the list, in pairs. */
const hopping = () => {
  const next = counting()
  return () => {
    const number = next()
    return [(number * 389) % LIVE_ITEMS, (number * 611) % LIVE_ITEMS]
  }
}

const insert = repeats => {
  const [ours, { items }] = lists()
  const [first, second] = [hopping(), hopping()]
  return both(
    repeats,
    () => ours.insert(first()[0], 'item'),
    () => items.insert(second()[0], ['item'])
  )
}

const move = repeats => {
  const [ours, theirs] = lists()
  const [first, second] = [hopping(), hopping()]
  return both(
    repeats,
    () => ours.move(...first()),
    () => movePlain(theirs, ...second())
  )
}

/** Yjs has no move: the item is deleted and inserted anew. */
const movePlain = ({ ydoc, items }, at, to) =>
  ydoc.transact(() => {
    const item = items.get(at)
    items.delete(at)
    items.insert(to, [item])
  })

const scale = JSON.parse(process.argv[2])
console.log(
  JSON.stringify({
    'overwrites by 1': overwrites(scale.overwrites, 1),
    'overwrites by 8': overwrites(scale.overwrites, WRITERS),
    apart: overwrites(scale.overwrites, WRITERS, true),
    increments: increments(scale.increments),
    set: set(scale.repeats),
    'ten sets': tenSets(scale.repeats / 10),
    ...reads(scale.repeats),
    remote: remote(scale.repeats),
    load: load(scale.cells),
    append: append(scale.repeats),
    insert: insert(scale.repeats / 20),
    move: move(scale.repeats / 20)
  })
)
