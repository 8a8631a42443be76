import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as Y from 'yjs'
import { StateDocument } from '../src/document.js'

/** What every implementation of the state format reads; written by the Python side. */
const FILE = new URL('../../../tests/vectors/state-format.json', import.meta.url)

/** @typedef {{ kind: string, value: any }} ExpectedField */
/** @typedef {{ fields: Record<string, ExpectedField>, conflicts: number, authors: any }} Expected */
/** @typedef {{ name: string, update: string, expect: Expected }} Vector */

/** @type {Vector[]} */
const vectors = existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : []

/**
 * Return a value as the vectors write it.
 *
 * @param {any} value
 * @returns {any}
 */
const asVector = value => {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (value instanceof Map) return asVector(Object.fromEntries(value))
  if (Array.isArray(value)) return value.map(asVector)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asVector(item)]))
}

/** @param {any} value */
const inAnyOrder = value => value.map((/** @type {any} */ item) => JSON.stringify(item)).sort()

/**
 * @param {StateDocument} state
 * @param {string} kind
 * @param {string} name
 */
const read = (state, kind, name) => {
  /** @type {Record<string, () => unknown>} */
  const readers = {
    register: () => state.register(name),
    map: () => state.map(name),
    set: () => state.set(name),
    counter: () => state.counter(name),
    log: () => state.log(name),
    text: () => state.root(name)
  }
  return asVector(readers[kind]())
}

test(
  'the state format has test vectors',
  { skip: vectors.length === 0 && 'state-format.json is absent' },
  () => {
    assert.ok(vectors.length > 0)
  }
)

for (const { name, update, expect } of vectors) {
  test(`state format: ${name}`, () => {
    const doc = new Y.Doc()
    const state = new StateDocument(doc)
    Y.applyUpdate(doc, Buffer.from(update, 'base64'))
    for (const [field, { kind, value }] of Object.entries(expect.fields)) {
      const found = read(state, kind, field)
      if (kind === 'set') assert.deepEqual(inAnyOrder(found), inAnyOrder(value), field)
      else assert.deepEqual(found, value, field)
    }
    const typed = state.fields().map(({ name }) => name)
    assert.deepEqual(typed.sort(), Object.keys(expect.fields).sort())
    assert.equal(state.conflicts().length, expect.conflicts)
    assert.deepEqual(Object.fromEntries(state.authors), expect.authors)
  })
}
