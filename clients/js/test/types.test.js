import { test } from 'node:test'
import { counter, list, map, register, rows, schema, set } from '../src/index.js'
import { replica } from './support/replicas.js'

/** @param {unknown} value @returns {value is number} */
const isNumber = value => typeof value === 'number'

const Row = schema({ title: register({ default: '' }), size: register({ validate: isNumber }) })
const Everything = schema({
  goal: register({ default: 'none' }),
  free: register(),
  sizes: map({ validate: isNumber }),
  tags: /** @type {import('../src/field.js').Declaration<import('../src/index.js').SetField<string>>} */ (
    set()
  ),
  spent: counter(),
  items: list({ validate: isNumber }),
  inner: Row,
  rows: rows(Row)
})

// What matters here is what the type checker says: `tsc --checkJs` fails where an expected error is none.
test('a type checker knows what the fields of a state hold', () => {
  const state = Everything.bind(replica(1))
  state.rows.set('a', {})

  /** @type {string | undefined} */
  const goal = state.goal.value
  /** @type {number | undefined} */
  const size = state.sizes.get('x')
  /** @type {string[]} */
  const tags = [...state.tags]
  /** @type {number[]} */
  const items = [...state.items]
  /** @type {string | undefined} */
  const title = state.rows.get('a')?.title.value
  void [goal, size, tags, items, title]

  // @ts-expect-error a register of text
  const wrong = /** @type {() => void} */ (() => state.goal.set(1))
  // @ts-expect-error a map of numbers
  const map = () => state.sizes.set('a', 'x')
  // @ts-expect-error a row's field
  const row = () => state.rows.get('a')?.size.set('x')
  // @ts-expect-error a field that there is none of
  const none = () => state.colour
  // @ts-expect-error a field cannot be assigned to
  const assigned = () => (state.inner = 5)
  void [wrong, map, row, none, assigned]
  state.free.set({ any: 'thing' })
  state.inner.size.set(1)
})
