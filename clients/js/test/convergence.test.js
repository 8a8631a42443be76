import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { counter, list, log, map, register, rows, schema, set } from '../src/index.js'
import { canonical } from '../src/msgpack.js'
import { pack } from '../src/pack.js'
import { generator, replica } from './support/replicas.js'

/** Seeds to run; more by hand: COMITY_SEEDS=2000 node --test test/convergence.test.js */
const SEEDS = Number(process.env.COMITY_SEEDS ?? 40)
const REPLICAS = 4
const STEPS = 80

const Plan = schema({
  goal: register(),
  steps: map(),
  tags: set(),
  spent: counter(),
  news: log(),
  todo: list(),
  tasks: rows(schema({ title: register(), hours: counter() }))
})

/**
 * One edit, as the model knows it: it supersedes what its author saw in the cell, and puts something there, or not.
 *
 * @typedef {object} Operation
 * @property {number} id
 * @property {string} cell
 * @property {unknown} value undefined for a deletion
 * @property {Set<number>} kills operations
 */

/**
 * The plain model: a set of operations, which only grows. What is live follows from it.
 */
class Model {
  constructor() {
    /** @type {Map<number, Operation>} */
    this.seen = new Map()
    this.spent = new Map()
  }

  /** @param {Model} other */
  merge(other) {
    for (const [id, operation] of other.seen) this.seen.set(id, operation)
    for (const [id, amount] of other.spent) this.spent.set(id, amount)
  }

  copy() {
    const copy = new Model()
    copy.merge(this)
    return copy
  }

  /** @returns {Operation[]} */
  live() {
    const killed = new Set([...this.seen.values()].flatMap(({ kills }) => [...kills]))
    return [...this.seen.values()].filter(({ id, value }) => value !== undefined && !killed.has(id))
  }

  /** @param {string} cell */
  liveIn(cell) {
    return this.live().filter(operation => operation.cell === cell)
  }

  /** @param {string} prefix */
  cells(prefix) {
    const names = this.live().map(({ cell }) => cell)
    return [...new Set(names.filter(cell => cell.startsWith(prefix)))]
      .map(cell => cell.slice(prefix.length))
      .sort()
  }
}

/** One replica, with the model of what it has seen. */
class Peer {
  /** @param {number} client */
  constructor(client) {
    this.client = client
    this.plan = Plan.bind(replica(client))
    this.model = new Model()
  }

  /** Close and open again from bytes, as a new session. */
  restart() {
    const update = Y.encodeStateAsUpdate(this.plan.document.ydoc)
    this.client += 100
    const document = replica(this.client)
    Y.applyUpdate(document.ydoc, update)
    this.plan = Plan.bind(document)
  }

  /** @returns {{ update: Uint8Array, model: Model }} */
  message() {
    return { update: Y.encodeStateAsUpdate(this.plan.document.ydoc), model: this.model.copy() }
  }

  /** @param {{ update: Uint8Array, model: Model }} message */
  receive({ update, model }) {
    Y.applyUpdate(this.plan.document.ydoc, update)
    this.model.merge(model)
  }

  /**
   * @param {number} id
   * @param {string} cell
   * @param {unknown} value
   */
  note(id, cell, value) {
    const kills = new Set(this.model.liveIn(cell).map(operation => operation.id))
    if (value === undefined && kills.size === 0) return
    this.model.seen.set(id, { id, cell, value, kills })
  }
}

/** @typedef {(peer: Peer, id: number, random: (below: number) => number) => void} Edit */

/** @param {unknown} value */
const form = value => canonical(pack(value))

/** @type {Edit[]} */
const EDITS = [
  (peer, id) => {
    peer.plan.goal.set(id)
    peer.note(id, 'goal', id)
  },
  (peer, id, random) => {
    const key = `k${random(3)}`
    if (random(3) === 0) {
      peer.plan.steps.delete(key)
      peer.note(id, `steps ${key}`, undefined)
    } else {
      peer.plan.steps.set(key, { id })
      peer.note(id, `steps ${key}`, { id })
    }
  },
  (peer, id, random) => {
    const element = [1, 'a', { x: 1 }, [2]][random(4)]
    const removes = random(2) === 0
    if (removes) peer.plan.tags.delete(element)
    else peer.plan.tags.add(element)
    peer.note(id, `tags ${form(element)}`, removes ? undefined : element)
  },
  (peer, id, random) => {
    const amount = random(20) - 8
    peer.plan.spent.add(amount)
    peer.model.spent.set(id, amount)
  },
  (peer, id, random) => {
    if (random(4) > 0) {
      peer.plan.news.push(id)
      peer.note(id, `news ${id}`, id)
      return
    }
    const gone = peer.plan.news.value.slice(0, 1)
    peer.plan.news.prune({ keep: Math.max(peer.plan.news.length - 1, 0) })
    for (const item of gone) peer.note(id, `news ${item}`, undefined)
  },
  (peer, id, random) => {
    const { todo } = peer.plan
    const at = random(todo.length + 1)
    todo.insert(at, id)
    peer.note(id, `todo ${todo.ids[at]}`, id)
  },
  (peer, id, random) => {
    const { todo } = peer.plan
    if (todo.length === 0) return
    const at = random(todo.length)
    const item = todo.ids[at]
    const what = random(3)
    if (what === 0) todo.delete(at)
    else if (what === 1) todo.set(at, id)
    else todo.move(at, random(todo.length))
    if (what < 2) peer.note(id, `todo ${item}`, what === 0 ? undefined : id)
  },
  (peer, id, random) => {
    const key = `t${random(2)}`
    if (random(3) === 0) {
      peer.plan.tasks.delete(key)
      peer.note(id, `tasks ${key}`, undefined)
      peer.note(id + 0.5, `title ${key}`, undefined)
    } else {
      peer.plan.tasks.set(key, { title: id })
      peer.note(id, `tasks ${key}`, true)
      peer.note(id + 0.5, `title ${key}`, id)
    }
  }
]
/**
 * Compare a replica with what its model says.
 *
 * @param {Peer} peer
 * @param {string} where
 */
const check = ({ plan, model }, where) => {
  const values = (/** @type {string} */ cell) => model.liveIn(cell).map(({ value }) => value)
  const goals = values('goal')
  assert.ok(goals.length === 0 ? !plan.goal.isSet : goals.includes(plan.goal.value), where)
  assert.deepEqual(rivals(plan.goal.conflicts()), goals.length > 1 ? forms(goals) : [], where)
  assert.deepEqual(plan.steps.keys(), model.cells('steps '), where)
  for (const [key, value] of plan.steps) assert.ok(forms(values(`steps ${key}`)).includes(form(value)), where)
  assert.deepEqual(plan.tags.value.map(form).sort(), model.cells('tags '), where)
  assert.equal(
    plan.spent.value,
    [...model.spent.values()].reduce((a, b) => a + b, 0),
    where
  )
  assert.deepEqual(plan.news.value.map(String).sort(), model.cells('news '), where)
  assert.deepEqual([...plan.todo.ids].sort(), model.cells('todo '), where)
  for (const id of plan.todo.ids) assert.ok(values(`todo ${id}`).includes(plan.todo.get(id)), where)
  assert.deepEqual(
    plan.tasks.keys(),
    [...new Set([...model.cells('tasks '), ...model.cells('title ')])].sort(),
    where
  )
}

/** @param {unknown[]} values */
const forms = values => values.map(form).sort()

/** @param {import('../src/document.js').Conflict[]} conflicts */
const rivals = conflicts =>
  forms(conflicts.flatMap(({ rivals }) => rivals.filter(({ deleted }) => !deleted).map(({ value }) => value)))

/** @param {Peer} peer */
const snapshot = ({ plan }) => ({ state: plan.toJSON(), order: [...plan.todo.ids] })

test('replicas agree with a plain model, over partitions, duplicates, delays and restarts', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = generator(seed)
    const peers = Array.from({ length: REPLICAS }, (_, at) => new Peer(at + 1))
    /** @type {Array<{ update: Uint8Array, model: Model }>} */
    const sent = []
    for (let step = 1; step <= STEPS; step++) {
      const peer = peers[random(REPLICAS)]
      const edit = EDITS[random(EDITS.length)]
      if (random(5) === 0)
        peer.plan.transaction(() => [1, 2].forEach(part => edit(peer, step * 10 + part, random)))
      else edit(peer, step * 10, random)
      if (random(2) === 0) sent.push(peer.message())
      // Any message, however old, and as often as it happens.
      if (sent.length > 0 && random(2) === 0) peers[random(REPLICAS)].receive(sent[random(sent.length)])
      if (random(40) === 0) peers[random(REPLICAS)].restart()
      check(peer, `seed ${seed}, step ${step}`)
    }
    const last = peers.map(peer => peer.message())
    for (const peer of peers) for (const message of shuffled(last, random)) peer.receive(message)
    for (const peer of peers) check(peer, `seed ${seed}, end`)
    for (const peer of peers) assert.deepEqual(snapshot(peer), snapshot(peers[0]), `seed ${seed}`)
  }
})

test('items that were not moved are in one order wherever both are, before and after others come', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = generator(seed)
    const lists = [1, 2, 3].map(client => list().bind(replica(client), 'l'))
    /** @type {Array<readonly string[]>} */
    const orders = []
    for (let step = 0; step < 60; step++) {
      const mine = lists[random(3)]
      if (random(5) > 0 || mine.length === 0) mine.insert(random(mine.length + 1), step)
      else mine.delete(random(mine.length))
      if (random(3) === 0) {
        Y.applyUpdate(mine.document.ydoc, Y.encodeStateAsUpdate(lists[random(3)].document.ydoc))
      }
      orders.push([...mine.ids])
    }
    const all = [...new Set(orders.flat())].sort()
    for (const order of orders)
      assert.deepEqual(
        order,
        all.filter(id => order.includes(id)),
        `seed ${seed}`
      )
  }
})

/**
 * @template T
 * @param {T[]} items
 * @param {(below: number) => number} random
 */
const shuffled = (items, random) => {
  const left = [...items]
  return items.map(() => left.splice(random(left.length), 1)[0])
}
