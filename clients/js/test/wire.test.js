import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeControl, encodeControl } from '../src/wire.js'

/** @type {import('../src/wire.js').Control[]} */
const FRAMES = [
  {
    kind: 'welcome',
    lineage: 'a1',
    principal: 'page',
    access: ['read'],
    limits: { max_message: 2 ** 40 },
    server: '1',
    erased: ['b2'],
    redactions: 2
  },
  { kind: 'ack', n: 300 },
  { kind: 'reject', n: 2, code: 4403, reason: 'read only', retry_after: null },
  { kind: 'notice', code: 4503, text: 'server draining', retry_after: null, at: null },
  { kind: 'notice', code: 4529, text: 'too fast', retry_after: 1.5, at: null },
  { kind: 'notice', code: 4210, text: 'it ends', retry_after: null, at: 1767225600000 },
  { kind: 'token', token: 'é' }
]

test('control frames survive encoding and decoding', () => {
  for (const frame of FRAMES) assert.deepEqual(decodeControl(encodeControl(frame)), frame)
})

test('a control frame has the bytes that the protocol gives it', () => {
  assert.deepEqual([...encodeControl({ kind: 'ack', n: 1 })], [100, 1, 0x81, 0xa1, 0x6e, 1])
})

test('a kind of a later version is passed over, and so are fields it adds', () => {
  assert.equal(decodeControl(new Uint8Array([100, 99, 0x80])), null)
  const extra = new Uint8Array([100, 1, 0x82, 0xa1, 0x6e, 1, 0xa1, 0x78, 2])
  assert.deepEqual(decodeControl(extra), { kind: 'ack', n: 1 })
})

test('malformed control frames are refused', () => {
  const malformed = [
    [],
    [0, 1],
    [100],
    [100, 1],
    [100, 1, 0xc1],
    [100, 1, 0x90],
    [100, 1, 0x80],
    [100, 1, 0x81, 0xa1, 0x6e, 0xa1, 0x31]
  ]
  for (const bytes of malformed) assert.throws(() => decodeControl(new Uint8Array(bytes)), `${bytes}`)
})
