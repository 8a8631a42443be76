/** Text for values and times: short, bounded, and the same everywhere. */

/** Deeper than this, values show as an ellipsis. */
const MAX_DEPTH = 6

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit'
})
const calendar = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'medium'
})
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })

/**
 * Show a value, cut to a number of characters; text stands without quotes.
 *
 * @param {unknown} value
 * @param {number} limit
 * @returns {string}
 */
export const show = (value, limit) => {
  const text = typeof value === 'string' ? value : written(value, limit, 0)
  return cut(text, limit)
}

/**
 * Cut text, and show that it was cut.
 *
 * @param {string} text
 * @param {number} limit
 * @returns {string}
 */
export const cut = (text, limit) => {
  if (text.length <= limit) return text
  const head = text.slice(0, limit)
  // Not between the two halves of one character.
  return `${/[\ud800-\udbff]$/.test(head) ? head.slice(0, -1) : head}…`
}

/**
 * @param {unknown} value
 * @param {number} room about how many characters may come of it: what is beyond is not looked at
 * @param {number} depth
 * @returns {string}
 */
const written = (value, room, depth) => {
  if (typeof value === 'string') return JSON.stringify(cut(value, room))
  if (value === undefined) return '—'
  if (value instanceof Uint8Array) return `${value.length} ${value.length === 1 ? 'byte' : 'bytes'}`
  if (value instanceof Date) return value.toISOString()
  if (typeof value !== 'object' || value === null) return String(value)
  if (depth === MAX_DEPTH) return '…'
  if (Array.isArray(value)) return `[${joined(value, room, item => written(item, room, depth + 1))}]`
  const fields = joined(
    Object.entries(value),
    room,
    ([key, item]) => `${cut(key, room)}: ${written(item, room, depth + 1)}`
  )
  return `{${fields}}`
}

/**
 * @template T
 * @param {T[]} items
 * @param {number} room
 * @param {(item: T) => string} write
 * @returns {string}
 */
const joined = (items, room, write) => {
  let text = ''
  for (const item of items) {
    if (text.length > room) return `${text}, …`
    text += text === '' ? write(item) : `, ${write(item)}`
  }
  return text
}

/**
 * Show what an edit did to a text or a list.
 *
 * @param {unknown} delta
 * @param {number} limit
 * @returns {string}
 */
export const showDelta = (delta, limit) => {
  if (!Array.isArray(delta)) return ''
  const steps = delta.map(({ insert, delete: deleted }) => {
    if (insert !== undefined) return `+ ${show(insert, limit)}`
    return deleted === undefined ? '' : `− ${deleted}`
  })
  return cut(steps.filter(step => step !== '').join('  '), limit)
}

/**
 * Show a time of today.
 *
 * @param {number} at milliseconds since the Unix epoch
 * @returns {string}
 */
export const showClock = at => clock.format(at)

/**
 * Show a time in full.
 *
 * @param {number} at milliseconds since the Unix epoch
 * @returns {string}
 */
export const showTime = at => calendar.format(at)

/** @type {Array<[Intl.RelativeTimeFormatUnit, number]>} */
const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000]
]

/**
 * Show how long ago something was.
 *
 * @param {number} at milliseconds since the Unix epoch
 * @returns {string}
 */
export const showAge = at => {
  const age = Date.now() - at
  const [unit, length] = UNITS.find(([, length]) => age >= length) ?? ['second', 0]
  return length === 0 ? 'just now' : relative.format(-Math.floor(age / length), unit)
}
