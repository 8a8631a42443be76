import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { StateDocument } from '../src/document.js'
import {
  COUNTER,
  cellEntry,
  counterEntry,
  ELEMENT,
  elementEntry,
  HEADER,
  headerEntry,
  ITEM,
  itemEntry,
  PLACE,
  placeEntry,
  readEntry
} from '../src/entry.js'
import { lane } from './support/replicas.js'
import { perform, read, restored } from './support/vectors.js'

/** @typedef {{ kind: string, value: any }} ExpectedField */
/** @typedef {{ fields: Record<string, ExpectedField>, conflicts: number, disputes: any[], authors: any }} Expected */

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
const held = (state, kind, name) => {
  /** @type {Record<string, () => unknown>} */
  const readers = {
    register: () => state.register(name),
    map: () => state.map(name),
    set: () => state.set(name),
    counter: () => state.counter(name),
    log: () => state.log(name),
    list: () => state.list(name),
    text: () => state.root(name)
  }
  return asVector(readers[kind]())
}

for (const { name, update, expect } of read('state-format.json')) {
  test(`state format: ${name}`, () => {
    const doc = new Y.Doc()
    const state = new StateDocument(doc)
    Y.applyUpdate(doc, Buffer.from(update, 'base64'))
    const { fields, conflicts, disputes, authors } = /** @type {Expected} */ (expect)
    for (const [field, { kind, value }] of Object.entries(fields)) {
      const found = held(state, kind, field)
      if (kind === 'set') assert.deepEqual(inAnyOrder(found), inAnyOrder(value), field)
      else assert.deepEqual(found, value, field)
    }
    const typed = state.fields().map(({ name }) => name)
    assert.deepEqual(typed.sort(), Object.keys(fields).sort())
    assert.equal(state.conflicts().length, conflicts)
    const found = state.conflicts().map(({ field, key, kind, rivals }) => {
      return { field, key, kind, values: rivals.map(({ value }) => asVector(value)) }
    })
    assert.deepEqual(inAnyOrder(found), inAnyOrder(disputes))
    assert.deepEqual(Object.fromEntries(state.authors), authors)
  })
}

/** @param {any} vector */
const made = ({ kind, field, key = '', stamp, ancestor, value, plus, minus, agent }) => {
  const given = restored(value)
  if (kind === ELEMENT) return elementEntry(field, given, 7, 100)
  if (kind === COUNTER) return counterEntry(field, plus, minus, 7)
  if (kind === ITEM) return itemEntry(field, stamp, given, 7, 100)
  if (kind === HEADER) return headerEntry(agent, 7)
  if (kind === PLACE) return placeEntry(field, key, stamp, value, 7)
  return cellEntry(kind, field, key, stamp, given, ancestor, 7, 100)
}

/** @param {Uint8Array} bytes */
const base64 = bytes => Buffer.from(bytes).toString('base64')

test('entries are written byte for byte as Python writes them, and read as they were meant', () => {
  const { entries } = read('entries.json')
  assert.ok(entries.length > 100)
  for (const vector of entries) {
    const entry = made(vector)
    assert.equal(base64(entry.raw), vector.bytes, JSON.stringify(vector))
    const again = readEntry(entry.raw, 7)
    const descends = vector.ancestor > 0 && vector.ancestor < vector.stamp
    assert.deepEqual(
      [again.kind, again.field, again.stamp, again.ancestor],
      [vector.kind, vector.field, vector.stamp ?? 0, descends ? vector.ancestor : 0]
    )
    assert.equal(again.key, entry.key)
    assert.deepEqual(again.value, entry.value)
  }
})

for (const session of read('entries.json').documents) {
  test(`a session's lane is the one that Python writes: ${session.name}`, () => {
    assert.deepEqual(lane(perform(session), session.client, base64), session.lane)
  })
}
