/** The test vectors that Python writes: where they lie, and what their values and edits are in JavaScript. */

import { readFileSync } from 'node:fs'
import {
  counter,
  gcounter,
  gset,
  list,
  log,
  map,
  register,
  rows,
  schema,
  set,
  text
} from '../../src/index.js'
import { float } from '../../src/pack.js'
import { replica } from './replicas.js'

/**
 * @param {string} name
 * @returns {any}
 */
export const read = name =>
  JSON.parse(readFileSync(new URL(`../../../../tests/vectors/${name}`, import.meta.url), 'utf8'))

/**
 * Return a value that was written losslessly.
 *
 * @param {any} value
 * @returns {unknown}
 */
export const restored = value => {
  if (Array.isArray(value)) return value.map(restored)
  if (typeof value !== 'object' || value === null) return value
  const [[sort, stored]] = Object.entries(value)
  if (sort === '$int') return BigInt(stored)
  if (sort === '$float') return float(Number(stored.replace('inf', 'Infinity')))
  if (sort === '$bytes') return new Uint8Array(Buffer.from(stored, 'base64'))
  return new Map(stored.map((/** @type {any} */ [key, item]) => [restored(key), restored(item)]))
}

const Part = schema({ title: register(), notes: text() })
const Task = schema({
  title: register(),
  spent: counter(),
  labels: set(),
  steps: list(),
  journal: log(),
  notes: text(),
  parts: rows(Part)
})

/** What the edits of entries.json are made in. */
const Everything = schema({
  goal: register(),
  steps: map(),
  tags: set(),
  spent: counter(),
  errors: counter(),
  journal: log(),
  notes: text(),
  seen: gset(),
  earned: gcounter(),
  plan: list(),
  profile: schema({ name: register(), visits: counter() }),
  tasks: rows(Task)
})

/** What each operation does with a field. @type {Record<string, (field: any, ...values: any[]) => unknown>} */
const OPERATIONS = {
  set: (field, value) => field.set(value),
  clear: field => field.clear(),
  put: (field, key, value) => field.set(key, value),
  delete: (field, key) => field.delete(key),
  add: (field, element) => field.add(element),
  discard: (field, element) => field.delete(element),
  count: (field, amount) => field.add(Number(amount)),
  append: (field, value) => field.push(value),
  prune: (field, keep) => field.prune({ keep: Number(keep) }),
  insert: (field, index, value) => field.insert(Number(index), value),
  replace: (field, index, value) => field.set(Number(index), value),
  move: (field, index, to) => field.move(Number(index), Number(to)),
  remove: (field, index) => field.delete(Number(index)),
  row: (field, key, title) => field.set(key, { title })
}

/**
 * Make the edits of one of the documents of entries.json.
 *
 * @param {{ client: number, agent: string, edits: any[] }} session
 */
export const perform = ({ client, agent, edits }) => {
  const document = replica(client, agent)
  const state = Everything.bind(document)
  for (const [at, operation, path, ...values] of edits) {
    document.clock.now = () => at
    OPERATIONS[operation](state.fieldAt(path), ...values.map(restored))
  }
  return document
}
