/** Steps: what a transaction did to the index, as noted while it went on. */

import { latin1 } from './msgpack.js'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./cells.js').Cells} Cells */
/** @typedef {import('./cells.js').Items} Items */

/**
 * A cell that a transaction touched, and what it held before.
 *
 * @typedef {{ cells: Cells, key: string, before: readonly Entry[] }} CellStep
 */

/**
 * An item that a log gained or lost.
 *
 * @typedef {{ items: Items, entry: Entry, gained: boolean }} ItemStep
 */

/** @typedef {CellStep | ItemStep} Step */

/**
 * Keep what a transaction came to. Of every cell that is the first step, which knows what it held before. A log item
 * that was both gained and lost never was.
 *
 * @param {Step[]} steps
 * @returns {Step[]}
 */
export const net = steps => {
  if (steps.length < 2) return steps
  /** @type {Map<Cells, Set<string>>} */
  const seen = new Map()
  const gains = gainsOf(steps)
  return steps.filter(step => ('items' in step ? isNet(step, gains) : isFirst(step, seen)))
}

/**
 * @param {CellStep} step
 * @param {Map<Cells, Set<string>>} seen
 */
const isFirst = ({ cells, key }, seen) => {
  const keys = seen.get(cells)
  if (keys === undefined) seen.set(cells, new Set([key]))
  else if (keys.has(key)) return false
  else keys.add(key)
  return true
}

/**
 * @param {ItemStep} step
 * @param {Map<string, number> | null} gains
 */
const isNet = (step, gains) => {
  if (gains === null) return true
  const name = itemName(step)
  const left = gains.get(name) ?? 0
  if (left === 0 || left > 0 !== step.gained) return false
  gains.set(name, left - (step.gained ? 1 : -1))
  return true
}

/**
 * @param {Step[]} steps
 * @returns {Map<string, number> | null} null if nothing was both gained and lost
 */
const gainsOf = steps => {
  const items = steps.filter(step => 'items' in step)
  if (items.every(({ gained }) => gained) || !items.some(({ gained }) => gained)) return null
  const gains = new Map()
  for (const step of items) {
    const name = itemName(step)
    gains.set(name, (gains.get(name) ?? 0) + (step.gained ? 1 : -1))
  }
  return gains
}

/** @param {ItemStep} step */
const itemName = ({ entry }) => `${entry.client} ${latin1(entry.raw, 0, entry.raw.length)}`
