/**
 * MessagePack: values as JavaScript reads them, and the byte-level view that JavaScript's one number type hides.
 *
 * Reading values is the library's work. What it cannot tell is whether a number was stored as an integer or as
 * a float, on which the identity of a set's element depends; so the structure is walked here as bytes.
 */

import { Decoder, encode as encodeValue } from '@msgpack/msgpack'

/** Deeper nesting than this is not read: it bounds the recursion below. */
const MAX_DEPTH = 500

/** One for all: making a decoder takes longer than most values. */
const decoder = new Decoder({ useBigInt64: true, mapKeyConverter: key => named(key) })

/**
 * @param {unknown} key
 * @returns {string}
 */
const named = key => {
  const name = String(key)
  if (name === '__proto__') throw new RangeError('a key that names the prototype')
  return name
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Encode a value.
 *
 * @param {unknown} value
 * @returns {Uint8Array}
 */
export const encode = value => encodeValue(value)

/**
 * Decode a value; whole numbers are numbers up to 2^53 - 1 and BigInts above.
 *
 * @param {Uint8Array} bytes
 * @returns {unknown}
 * @throws {RangeError | Error} if the bytes are not one MessagePack value
 */
export const decode = bytes => narrowed(decoder.decode(bytes))

/**
 * @param {unknown} value
 * @returns {unknown}
 */
const narrowed = value => {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }
  // The decoder gives views of what it reads, which is the Yjs document's own.
  if (value instanceof Uint8Array) return value.slice()
  if (Array.isArray(value)) return value.map(narrowed)
  if (isObject(value)) {
    for (const key of Object.keys(value)) value[key] = narrowed(value[key])
  }
  return value
}

/**
 * Tell whether a decoded value is a map.
 *
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export const isObject = value =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

/**
 * @typedef {object} Head
 * @property {'int' | 'float' | 'str' | 'bin' | 'array' | 'map' | 'other'} type
 * @property {number} size the bytes of the head itself
 * @property {number} count payload bytes; for arrays the items, for maps the pairs
 */

/** @typedef {(bytes: Uint8Array, at: number) => Head} ReadHead reads what follows the first byte of a head */

/**
 * @param {Head['type']} type
 * @param {number} width bytes of the length that follows the first byte
 * @param {number} [extra] bytes beyond the length, as an extension's type
 * @returns {ReadHead}
 */
const sized =
  (type, width, extra = 0) =>
  (bytes, at) => {
    if (at + width > bytes.length) throw new RangeError('the data ends early')
    let length = 0
    for (let index = at; index < at + width; index++) length = length * 256 + bytes[index]
    return { type, size: 1 + width, count: length + extra }
  }

/**
 * @param {Head['type']} type
 * @param {number} count
 * @returns {ReadHead}
 */
const fixed = (type, count) => {
  const head = { type, size: 1, count }
  return () => head
}

/** For a first byte of 0xc0 to 0xdf, in order; 0xc1 is never used. @type {Array<ReadHead | null>} */
const HEADS = [
  fixed('other', 0),
  null,
  fixed('other', 0),
  fixed('other', 0),
  sized('bin', 1),
  sized('bin', 2),
  sized('bin', 4),
  sized('other', 1, 1),
  sized('other', 2, 1),
  sized('other', 4, 1),
  fixed('float', 4),
  fixed('float', 8),
  fixed('int', 1),
  fixed('int', 2),
  fixed('int', 4),
  fixed('int', 8),
  fixed('int', 1),
  fixed('int', 2),
  fixed('int', 4),
  fixed('int', 8),
  fixed('other', 2),
  fixed('other', 3),
  fixed('other', 5),
  fixed('other', 9),
  fixed('other', 17),
  sized('str', 1),
  sized('str', 2),
  sized('str', 4),
  sized('array', 2),
  sized('array', 4),
  sized('map', 2),
  sized('map', 4)
]

/** @type {Head} */
const FIXINT = { type: 'int', size: 1, count: 0 }

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {Head}
 */
const headAt = (bytes, at) => {
  if (at >= bytes.length) throw new RangeError('the data ends early')
  const first = bytes[at]
  if (first < 0x80 || first >= 0xe0) return FIXINT
  if (first < 0x90) return { type: 'map', size: 1, count: first & 0x0f }
  if (first < 0xa0) return { type: 'array', size: 1, count: first & 0x0f }
  if (first < 0xc0) return { type: 'str', size: 1, count: first & 0x1f }
  const read = HEADS[first - 0xc0]
  if (read === null) throw new RangeError('a byte that MessagePack never uses')
  return read(bytes, at + 1)
}

/**
 * Return where the value at a position ends, having checked all of it.
 *
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} depth
 * @returns {number}
 */
const endOf = (bytes, at, depth) => {
  if (depth > MAX_DEPTH) throw new RangeError('nested too deep')
  const { type, size, count } = headAt(bytes, at)
  let end = at + size
  if (type === 'array' || type === 'map') {
    for (let left = type === 'map' ? 2 * count : count; left > 0; left--) end = endOf(bytes, end, depth + 1)
    return end
  }
  end += count
  if (end > bytes.length) throw new RangeError('the data ends early')
  if (type === 'str') checkText(bytes, at + size, end)
  return end
}

/**
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} end
 */
const checkText = (bytes, start, end) => {
  for (let at = start; at < end; at++) {
    if (bytes[at] > 0x7f) {
      utf8.decode(bytes.subarray(start, end))
      return
    }
  }
}

/**
 * Tell how many arrays and maps lie in each other in a value.
 *
 * @param {Uint8Array} bytes a well-formed value
 */
export const depthOf = bytes => depthAt(bytes, 0)[0]

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {[number, number]} the depth and the position after the value
 */
const depthAt = (bytes, at) => {
  const { type, size, count } = headAt(bytes, at)
  if (type !== 'array' && type !== 'map') return [0, at + size + count]
  let [deepest, end] = [0, at + size]
  for (let left = type === 'map' ? 2 * count : count; left > 0; left--) {
    const [depth, next] = depthAt(bytes, end)
    deepest = Math.max(deepest, depth)
    end = next
  }
  return [deepest + 1, end]
}

/**
 * Split an encoded array into its encoded items.
 *
 * @param {Uint8Array} bytes
 * @returns {Uint8Array[]}
 * @throws {RangeError | TypeError} if the bytes are not exactly one well-formed array
 */
export const items = bytes => {
  const { type, size, count } = headAt(bytes, 0)
  if (type !== 'array') throw new TypeError('not an array')
  const found = []
  let at = size
  for (let left = count; left > 0; left--) {
    const end = endOf(bytes, at, 0)
    found.push(bytes.subarray(at, end))
    at = end
  }
  if (at !== bytes.length) throw new RangeError('bytes left over after the array')
  return found
}

/**
 * Tell whether an encoded value is an integer, and not a float or a boolean.
 *
 * @param {Uint8Array} bytes
 * @returns {boolean}
 */
export const isInteger = bytes => headAt(bytes, 0).type === 'int'

/**
 * Return the canonical bytes of a well-formed encoded value, as a string of one character a byte: equal values have
 * equal forms, whatever the order of their map keys, while 1, 1.0 and true stay three values.
 *
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export const canonical = bytes => canonicalAt(bytes, 0)[0]

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {[string, number]} the canonical form and the position after the value
 */
const canonicalAt = (bytes, at) => {
  const { type, size, count } = headAt(bytes, at)
  if (type === 'array') return arrayAt(bytes, at + size, count)
  if (type === 'map') return mapAt(bytes, at + size, count)
  const end = at + size + count
  return [scalar(type, bytes, at, at + size, end), end]
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} count
 * @returns {[string, number]}
 */
const arrayAt = (bytes, at, count) => {
  let [form, end] = [countedHead(count, 0x90, 0xdc), at]
  for (let left = count; left > 0; left--) {
    const [item, next] = canonicalAt(bytes, end)
    form += item
    end = next
  }
  return [form, end]
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} count
 * @returns {[string, number]}
 */
const mapAt = (bytes, at, count) => {
  /** @type {Map<string, string>} */
  const pairs = new Map()
  let end = at
  for (let left = count; left > 0; left--) {
    const [key, middle] = canonicalAt(bytes, end)
    const [value, next] = canonicalAt(bytes, middle)
    pairs.set(key, value)
    end = next
  }
  const sorted = [...pairs.keys()].sort().map(key => key + pairs.get(key))
  return [countedHead(sorted.length, 0x80, 0xde) + sorted.join(''), end]
}

/**
 * Numbers and lengths have several encodings; the shortest is the canonical one, and 64 bits for a float.
 *
 * @param {Head['type']} type
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} body
 * @param {number} end
 * @returns {string}
 */
const scalar = (type, bytes, start, body, end) => {
  if (type === 'str') return textHead(end - body) + latin1(bytes, body, end)
  if (type === 'int')
    return start + 1 === end ? latin1(bytes, start, end) : shortest(bytes.subarray(start, end))
  if (type === 'float' && bytes[start] === 0xca) return wide(decode(bytes.subarray(start, end)))
  if (type === 'bin') return sizedHead(end - body, 0xc4, 0xc5, 0xc6) + latin1(bytes, body, end)
  return latin1(bytes, start, end)
}

/** @param {Uint8Array} integer */
const shortest = integer => {
  const encoded = encodeValue(decode(integer), { useBigInt64: typeof decode(integer) === 'bigint' })
  return latin1(encoded, 0, encoded.length)
}

/** @param {unknown} float */
const wide = float => {
  const encoded = new Uint8Array(9)
  encoded[0] = 0xcb
  new DataView(encoded.buffer).setFloat64(1, Number(float))
  return latin1(encoded, 0, 9)
}

/** @param {number} length */
const textHead = length =>
  length < 0x20 ? String.fromCharCode(0xa0 | length) : sizedHead(length, 0xd9, 0xda, 0xdb)

/**
 * @param {number} length
 * @param {number} short the first byte where the length fits into it
 * @param {number} two the first byte where the length takes two more
 */
const countedHead = (length, short, two) =>
  length < 0x10 ? String.fromCharCode(short | length) : sizedHead(length, null, two, two + 1)

/**
 * @param {number} length
 * @param {number | null} one
 * @param {number} two
 * @param {number} four
 */
const sizedHead = (length, one, two, four) => {
  const octets = [length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff]
  if (one !== null && length < 0x100) return String.fromCharCode(one, octets[3])
  if (length < 0x10000) return String.fromCharCode(two, octets[2], octets[3])
  return String.fromCharCode(four, ...octets)
}

/** So many arguments a call takes everywhere. */
const CHUNK = 8192

/**
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} end
 */
export const latin1 = (bytes, start, end) => {
  let text = ''
  for (let at = start; at < end; at += CHUNK) {
    text += String.fromCharCode.apply(
      null,
      /** @type {any} */ (bytes.subarray(at, Math.min(end, at + CHUNK)))
    )
  }
  return text
}
