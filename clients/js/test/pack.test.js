import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidValueError } from '../src/errors.js'
import { canonical, decode } from '../src/msgpack.js'
import { float, pack, packEntry } from '../src/pack.js'

/** @param {unknown} value */
const hex = value => Buffer.from(pack(value)).toString('hex')

/** @param {number} depth */
const nested = depth => {
  /** @type {unknown} */
  let value = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

/** As `msgpack.packb` of Python writes them. @type {Array<[unknown, string]>} */
const PYTHON = [
  [null, 'c0'],
  [true, 'c3'],
  [false, 'c2'],
  [0, '00'],
  [127, '7f'],
  [128, 'cc80'],
  [255, 'ccff'],
  [256, 'cd0100'],
  [65535, 'cdffff'],
  [65536, 'ce00010000'],
  [2 ** 32 - 1, 'ceffffffff'],
  [2 ** 32, 'cf0000000100000000'],
  [2 ** 53 - 1, 'cf001fffffffffffff'],
  [2 ** 53, 'cb4340000000000000'],
  [-1, 'ff'],
  [-32, 'e0'],
  [-33, 'd0df'],
  [-128, 'd080'],
  [-129, 'd1ff7f'],
  [-32769, 'd2ffff7fff'],
  [-(2 ** 31) - 1, 'd3ffffffff7fffffff'],
  [-(2 ** 53) + 1, 'd3ffe0000000000001'],
  [5n, '05'],
  [2n ** 63n, 'cf8000000000000000'],
  [2n ** 64n - 1n, 'cfffffffffffffffff'],
  [-(2n ** 63n), 'd38000000000000000'],
  [1.5, 'cb3ff8000000000000'],
  [float(1), 'cb3ff0000000000000'],
  [-0, 'cb8000000000000000'],
  [NaN, 'cb7ff8000000000000'],
  [-Infinity, 'cbfff0000000000000'],
  ['', 'a0'],
  ['é', 'a2c3a9'],
  ['x'.repeat(31), `bf${'78'.repeat(31)}`],
  ['x'.repeat(32), `d920${'78'.repeat(32)}`],
  ['😀'.repeat(8), `d920${'f09f9880'.repeat(8)}`],
  [new Uint8Array([1, 2]), 'c4020102'],
  [new Uint8Array(256), `c50100${'00'.repeat(256)}`],
  [[1, [2.5, null]], '920192cb4004000000000000c0'],
  [Array(16).fill(1), `dc0010${'01'.repeat(16)}`],
  [{ b: 1, a: { c: [] } }, '82a16201a16181a16390'],
  [new Map([['b', 1]]), '81a16201'],
  [
    new Map(
      /** @type {any} */ ([
        [1, 'x'],
        [-1n, 'y']
      ])
    ),
    '8201a178ffa179'
  ],
  [new Set(['b', 'a', 1]), '9301a161a162'],
  [new Date(Date.UTC(2025, 4, 1, 12)), `b9${Buffer.from('2025-05-01T12:00:00+00:00').toString('hex')}`],
  [
    new Date(Date.UTC(2025, 4, 1, 12, 0, 0, 30)),
    `d920${Buffer.from('2025-05-01T12:00:00.030000+00:00').toString('hex')}`
  ]
]

test('values are stored byte for byte as Python stores them', () => {
  for (const [value, expected] of PYTHON) assert.equal(hex(value), expected, String(value))
  assert.equal(hex('y'.repeat(70_000)).slice(0, 10), 'db00011170')
})

test('what has no stored form is refused, wherever it lies in a value', () => {
  const refused = [
    undefined,
    () => 1,
    Symbol('x'),
    new (class Task {})(),
    /x/,
    new Float32Array(1),
    2n ** 64n,
    -(2n ** 63n) - 1n,
    '\ud800',
    `long ${'x'.repeat(40)} \udc00`,
    new Map([[[1], 2]]),
    new Map([[null, 2]]),
    JSON.parse('{"__proto__": 1}'),
    new Date(NaN),
    Array(3)
  ]
  for (const value of refused) {
    for (const held of [value, [value], { a: [value] }, new Map([['a', value]])]) {
      assert.throws(() => pack(held), InvalidValueError, String(value))
    }
  }
  assert.throws(() => packEntry([0, 'goal', 1, undefined]), { name: 'InvalidValueError', subject: 'goal' })
})

test('values are nested a hundred deep and no deeper', () => {
  assert.deepEqual(decode(pack(nested(100))), nested(100))
  assert.throws(() => pack(nested(101)), InvalidValueError)
  /** @type {any} */
  const circle = {}
  circle.self = circle
  assert.throws(() => pack(circle), InvalidValueError)
})

test('a value that was refused leaves nothing behind in the next', () => {
  assert.throws(() => pack(['x'.repeat(5000), undefined]), InvalidValueError)
  assert.equal(hex([1]), '9101')
})

test('equal values have equal canonical bytes, however they are stored', () => {
  const same = [
    [[0x05], [0xcc, 5], [0xcd, 0, 5], [0xce, 0, 0, 0, 5], [0xd3, 0, 0, 0, 0, 0, 0, 0, 5]],
    [
      [0xca, 0x3f, 0xc0, 0, 0],
      [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]
    ],
    [
      [0xa1, 0x61],
      [0xd9, 1, 0x61],
      [0xda, 0, 1, 0x61]
    ],
    [
      [0xc4, 1, 7],
      [0xc5, 0, 1, 7]
    ],
    [
      [0x91, 5],
      [0xdc, 0, 1, 0xcc, 5]
    ],
    [
      [0x82, 0xa1, 0x61, 1, 0xa1, 0x62, 2],
      [0xde, 0, 2, 0xa1, 0x62, 2, 0xd9, 1, 0x61, 1]
    ]
  ]
  for (const [first, ...others] of same) {
    const form = canonical(new Uint8Array(first))
    assert.equal(form, String.fromCharCode(...canonicalBytes(first)))
    for (const other of others) assert.equal(canonical(new Uint8Array(other)), form)
  }
  assert.notEqual(canonical(pack(1)), canonical(pack(float(1))))
  assert.notEqual(canonical(pack(1)), canonical(pack(true)))
})

/** The first of each row above is canonical but for the float. @param {number[]} stored */
const canonicalBytes = stored => (stored[0] === 0xca ? [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0] : stored)
