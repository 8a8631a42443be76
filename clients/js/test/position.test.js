import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { child, join, split } from '../src/path.js'
import { number, Positions } from '../src/position.js'
import { generator } from './support/replicas.js'

test('numbers sort as strings as they do as numbers', () => {
  const numbers = [0, 1, 9, 10, 35, 36, 37, 1295, 1296, 2 ** 32, 2 ** 53 - 1]
  assert.deepEqual([number(0), number(35), number(36)], ['10', '1z', '210'])
  assert.deepEqual(numbers.map(number), numbers.map(number).sort())
})

test('a run of insertions hangs below its first, in either direction', () => {
  const positions = new Positions(7)
  const first = positions.between(null, null)
  const second = positions.between(first, null)
  assert.deepEqual(
    [first, second, positions.between(second, null)],
    ['i0.1711-', 'i0.1711/i2.-', 'i0.1711/i3.-']
  )
  const others = new Positions(8)
  const last = others.between(null, null)
  const before = others.between(null, last)
  assert.deepEqual([before, others.between(null, before)], ['i0.1811,hx.-', 'i0.1811,hw.-'])
  assert.ok(before < last)
})

test('what several sessions insert at one place does not interleave', () => {
  const [a, b] = [new Positions(10), new Positions(11)]
  const left = new Positions(1).between(null, null)
  /** @type {Array<[string, string]>} */
  const made = []
  let [last, other] = [left, left]
  for (let at = 0; at < 5; at++) {
    made.push(['a', (last = a.between(last, null))])
    made.push(['b', (other = b.between(other, null))])
  }
  const runs = made.sort(([, x], [, y]) => (x < y ? -1 : 1)).map(([who]) => who)
  assert.match(runs.join(''), /^(a{5}b{5}|b{5}a{5})$/)
})

test('a new position lies between any two, of whatever sessions, and is never made twice', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = generator(seed)
    const sessions = [1, 36, 2 ** 32 - 1].map(client => new Positions(client))
    /** @type {string[]} */
    const order = []
    for (let step = 0; step < 150; step++) {
      const at = random(order.length + 1)
      const position = sessions[random(3)].between(order[at - 1] ?? null, order[at] ?? null)
      order.splice(at, 0, position)
    }
    assert.deepEqual(order, [...order].sort(), `seed ${seed}`)
    assert.equal(new Set(order).size, order.length)
  }
})

test('neighbours that leave no room, or are none of ours, get a position after the left one', () => {
  const positions = new Positions(7)
  assert.ok(positions.between('i0.1811-', 'i0.1811-') > 'i0.1811-')
  for (const strange of ['', '-', 'm', 'i0.-', 'i0.1811', 'i00.1811-', 'I0.1811-', 'i0.1811;i0.-', 'é']) {
    assert.match(positions.between(strange, `${strange}z`), /^i.+-$/)
  }
  const nines = `i0${'z'.repeat(100_000)}.1811-`
  assert.ok(positions.between(nines, null) > nines)
})

test('a fraction between two is as short as can be', () => {
  const between = (/** @type {string} */ left, /** @type {string} */ right) =>
    new Positions(7).between(left, right)
  assert.equal(between('i0i.1811-', 'i0j5.1811-'), 'i0j.1711-')
  assert.equal(between('i0z.1811-', 'i11.1811-'), 'i1.1711-')
  assert.equal(between('i0.1811-', 'i01.1811-'), 'i00i.1711-')
})

test('a session that inserts again and again into its middle makes short positions', () => {
  const positions = new Positions(2 ** 32 - 1)
  /** @type {string[]} */
  const order = []
  for (let step = 0; step < 2000; step++) {
    const at = order.length >> 1
    order.splice(at, 0, positions.between(order[at - 1] ?? null, order[at] ?? null))
  }
  assert.deepEqual(order, [...order].sort())
  assert.ok(Math.max(...order.map(({ length }) => length)) < 1000)
})

test('positions are those that Python makes', () => {
  const file = new URL('../../../tests/vectors/positions.json', import.meta.url)
  /** @type {{ sessions: Array<{ name: string, client: number, calls: Array<[string | null, string | null, string]> }> }} */
  const { sessions } = JSON.parse(readFileSync(file, 'utf8'))
  assert.ok(sessions.length > 10)
  for (const { name, client, calls } of sessions) {
    const positions = new Positions(client)
    for (const [left, right, position] of calls) assert.equal(positions.between(left, right), position, name)
  }
})

test('names lie in paths escaped, and come out of them as they were', () => {
  const names = ['tasks', 'a/b', '~1', '', 'm~n/']
  assert.equal(join('tasks', 't/1', 'a~b'), 'tasks/t~11/a~0b')
  assert.deepEqual(split(join(...names)), names)
  assert.equal(child('', 'a/b'), 'a~1b')
  assert.equal(child('x', 'a/b'), 'x/a~1b')
})
