/**
 * Positions: strings whose order is that of a list, with room between any two (docs/state-format.md).
 *
 * A position is a path in a tree; the list is its in-order walk. What a session inserts in a row, forwards or
 * backwards, hangs below the first of it, so that two sessions' rows at one place do not interleave. Everything else is
 * a fraction between its neighbours, as near to the root as it can be: that keeps positions short.
 *
 * Source: the tree and why, M. Weidner, M. Kleppmann, "The Art of the Fugue: Minimizing Interleaving in Collaborative
 * Text Editing" (2023); the fractions, D. Greenspan, "Implementing Fractional Indexing" (2017).
 */

/** What hangs before its parent. */
const BEFORE = ','
/** A position ends so, and thus lies between what hangs before and after it. */
const END = '-'
/** What hangs after its parent. */
const AFTER = '/'
/** Between a step's order and its maker; below every digit. */
const MARK = '.'
/**
 * A row hangs below its first item only up to this length of a path, in characters. One session that inserts again
 * and again in the middle of what it inserted would otherwise go one level deeper each time.
 */
const MAX_ROW_PATH = 64
/** How far whole numbers go in orders. */
const MAX_WHOLE = BigInt(Number.MAX_SAFE_INTEGER)

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'
/** The first letter of an order: up to it for negative numbers, from the next one on for others. */
const ZERO = 'h'.charCodeAt(0)

/**
 * One step of a path.
 *
 * @typedef {object} Step
 * @property {string} side BEFORE or AFTER its parent; empty for the first step
 * @property {string} order what it is sorted by among the steps of its side
 * @property {string} maker the client, and a number that this client gives to one step only; empty in a row that the
 *   client of the step above goes on with
 */

/** @typedef {readonly Step[]} Path */

/** @type {Path} */
const NOWHERE = []

/**
 * Write a whole number from 0 so that greater ones sort later: how many digits follow, and these, in base 36.
 *
 * @param {number} value
 */
export const number = value => {
  const digits = value.toString(36)
  return DIGITS[digits.length] + digits
}

/** @param {string} digits */
const complement = digits => Array.from(digits, digit => DIGITS[35 - DIGITS.indexOf(digit)]).join('')

/**
 * Write a whole number, which may be negative, as an order.
 *
 * @param {bigint} value
 */
const wholeOrder = value => {
  const digits = (value < 0n ? -value : value).toString(36)
  if (value >= 0n) return String.fromCharCode(ZERO + digits.length) + digits
  return String.fromCharCode(ZERO + 1 - digits.length) + complement(digits)
}

/**
 * Return the whole number of an order, and its fraction's digits.
 *
 * @param {string} order
 * @returns {[bigint, string]}
 */
const splitOrder = order => {
  const length = order.charCodeAt(0) - ZERO
  const size = length > 0 ? length : 1 - length
  const [digits, fraction] = [order.slice(1, 1 + size), order.slice(1 + size)]
  return [length > 0 ? parsed(digits) : -parsed(complement(digits)), fraction]
}

/** @param {string} digits in base 36 */
const parsed = digits => {
  let value = 0n
  for (const digit of digits) value = value * 36n + BigInt(DIGITS.indexOf(digit))
  return value
}

/**
 * Return an order between two, as short as can be; null stands for none.
 *
 * @param {string | null} low
 * @param {string | null} high
 * @returns {string}
 */
const orderBetween = (low, high) => {
  if (low === null) return wholeOrder(high === null ? 0n : splitOrder(high)[0] - 1n)
  const [below, fraction] = splitOrder(low)
  if (high === null) return wholeOrder(below + 1n)
  const [above, limit] = splitOrder(high)
  if (above - below > 1n) return wholeOrder((below + above) >> 1n)
  if (above > below && limit !== '') return wholeOrder(above)
  return wholeOrder(below) + fractionBetween(fraction, above === below ? limit : null)
}

/**
 * Return the digits of a fraction between two, of which none ends in 0; null stands for 1.
 *
 * @param {string} low
 * @param {string | null} high
 * @returns {string}
 */
const fractionBetween = (low, high) => {
  let at = 0
  if (high !== null) while (at < high.length && high[at] === (low[at] ?? '0')) at += 1
  let limit = high === null ? null : high.slice(at)
  let made = high === null ? '' : high.slice(0, at)
  for (; ; at += 1) {
    const least = at < low.length ? DIGITS.indexOf(low[at]) : 0
    const most = limit === null ? 36 : DIGITS.indexOf(limit[0])
    if (most - least > 1) return made + DIGITS[(least + most) >> 1]
    if (limit !== null && limit.length > 1) return made + limit[0]
    made += DIGITS[least]
    limit = null
  }
}

/** Makes the positions of one session. */
export class Positions {
  /** @param {number} client the session's client id */
  constructor(client) {
    this.session = client
    this.client = number(client)
    this.made = 0
    this.last = ''
    /** @type {Path} */
    this.lastPath = NOWHERE
  }

  /**
   * Return a new position after one and before another; null stands for an end of the list. Where neighbours
   * leave no room between them, which those of no sound session do, it lies elsewhere.
   *
   * @param {string | null} left
   * @param {string | null} right
   * @returns {string}
   */
  between(left, right) {
    this.made += 1
    for (const path of this.candidates(left, right)) {
      this.last = write(path)
      this.lastPath = path
      if ((left === null || left < this.last) && (right === null || this.last < right)) break
    }
    return this.last
  }

  /**
   * @param {string | null} left
   * @param {string | null} right
   * @returns {Generator<Path>}
   */
  *candidates(left, right) {
    const [last, lastPath] = [this.last, this.lastPath]
    const low = left === last ? lastPath : read(left)
    const forwards = { side: AFTER, order: wholeOrder(BigInt(this.made)), maker: '' }
    yield* this.inRow(low, left === last, last, forwards)
    const high = right === last ? lastPath : read(right)
    const backwards = { side: BEFORE, order: wholeOrder(BigInt(-this.made)), maker: '' }
    yield* this.inRow(high, right === last, last, backwards)
    const maker = this.client + number(this.made)
    yield betweenPaths(low, high, maker)
    yield [...low, { side: low.length > 0 ? AFTER : '', order: wholeOrder(0n), maker }]
  }

  /**
   * Yield a place in the row that a neighbour lies in, or that it begins, if that row is this session's.
   *
   * @param {Path} path the neighbour's
   * @param {boolean} isLast whether it is the position that was made last
   * @param {string} last
   * @param {Step} step
   * @returns {Generator<Path>}
   */
  *inRow(path, isLast, last, step) {
    const above = path.slice(0, -1)
    if (path.length > 1 && path[path.length - 1].side === step.side && this.isMine(above))
      yield [...above, step]
    if (isLast && this.isMine(path) && last.length <= MAX_ROW_PATH) yield [...path, step]
  }

  /** @param {Path} path */
  isMine(path) {
    for (let at = path.length - 1; at >= 0; at--) {
      if (path[at].maker !== '') return path[at].maker.startsWith(this.client)
    }
    return false
  }
}

/**
 * Return a place between two, where their paths part.
 *
 * @param {Path} low
 * @param {Path} high
 * @param {string} maker
 * @returns {Path}
 */
const betweenPaths = (low, high, maker) => {
  let level = 0
  while (level < Math.min(low.length, high.length) && isSame(low[level], high[level])) level += 1
  /** @type {[Step | undefined, Step | undefined]} */
  const [lower, higher] = [low[level], high[level]]
  if (lower && higher && lower.side === higher.side && lower.order >= higher.order) {
    // Two makers chose one order: there is room below.
    return [...low, { side: AFTER, order: wholeOrder(0n), maker }]
  }
  const side = lower?.side ?? higher?.side ?? ''
  const ceiling = higher?.side === side ? higher.order : null
  return [...low.slice(0, level), { side, order: orderBetween(lower?.order ?? null, ceiling), maker }]
}

/**
 * @param {Step} a
 * @param {Step} b
 */
const isSame = (a, b) => a.side === b.side && a.order === b.order && a.maker === b.maker

/**
 * Return the position of a path.
 *
 * @param {Path} path
 */
const write = path => path.map(({ side, order, maker }) => side + order + MARK + maker).join('') + END

const STEP = /([,/]?)([a-z][0-9a-z]+)\.((?:[0-9a-z]+)?)/y

/**
 * Return the path of a position.
 *
 * @param {string | null} position
 * @returns {Path} an empty one for none, and for a string that is no position
 */
const read = position => {
  if (position === null) return NOWHERE
  /** @type {Step[]} */
  const path = []
  STEP.lastIndex = 0
  for (let found = STEP.exec(position); found !== null; found = STEP.exec(position)) {
    const [, side, order, maker] = found
    if ((side === '') !== (path.length === 0) || !isOrder(order) || !isMaker(maker)) return NOWHERE
    path.push({ side, order, maker })
    if (position[STEP.lastIndex] === END) return STEP.lastIndex === position.length - 1 ? path : NOWHERE
  }
  return NOWHERE
}

/**
 * Tell whether an order is written in the one way there is.
 *
 * @param {string} order digits, of which the first is a letter
 */
const isOrder = order => {
  const [whole, fraction] = splitOrder(order)
  if (whole > MAX_WHOLE || whole < -MAX_WHOLE || fraction.endsWith('0')) return false
  return order === wholeOrder(whole) + fraction
}

/** @param {string} maker digits */
const isMaker = maker => {
  if (maker === '') return true
  const second = 1 + DIGITS.indexOf(maker[0])
  return (
    second > 1 &&
    second < maker.length &&
    maker[second] !== '0' &&
    second + 1 + DIGITS.indexOf(maker[second]) === maker.length
  )
}
