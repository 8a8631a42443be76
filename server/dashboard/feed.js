/** The feed: the latest changes, the newest first. */

import { agentMark, element, part } from './dom.js'
import { show, showClock, showDelta, showTime } from './format.js'

/** @typedef {import('../../clients/js/src/changes.js').Change} Change */

/** As many changes as a person would scroll back through. */
const MAX_ENTRIES = 120
const MAX_VALUE = 90
const MAX_NAME = 60

/** Collects changes as they come and shows them when the page draws. */
export class Feed {
  constructor() {
    this.list = part('feed')
    this.note = part('feed-note')
    /** Changes not shown yet, the oldest first. @type {Array<{ change: Change, author: string, at: number }>} */
    this.waiting = []
    /** How many of them were passed over because too many came at once. */
    this.skipped = 0
  }

  /**
   * @param {Change} change
   * @param {string} author
   */
  add(change, author) {
    this.waiting.push({ change, author, at: Date.now() })
    if (this.waiting.length <= 2 * MAX_ENTRIES) return
    this.skipped += this.waiting.length - MAX_ENTRIES
    this.waiting = this.waiting.slice(-MAX_ENTRIES)
  }

  /** Show what is waiting. */
  render() {
    if (this.waiting.length === 0) return
    this.note.hidden = true
    const shown = this.waiting.slice(1 - MAX_ENTRIES)
    const skipped = this.skipped + this.waiting.length - shown.length
    const entries = shown.map(feedEntry).reverse()
    if (skipped > 0) entries.push(skippedEntry(skipped))
    this.list.prepend(...entries)
    while (this.list.childElementCount > MAX_ENTRIES) this.list.lastElementChild?.remove()
    this.waiting = []
    this.skipped = 0
  }

  clear() {
    this.waiting = []
    this.skipped = 0
    this.list.replaceChildren()
    this.note.hidden = false
  }
}

/** @param {{ change: Change, author: string, at: number }} seen */
const feedEntry = ({ change, author, at }) => {
  const time = element('time', { datetime: new Date(at).toISOString(), title: showTime(at) }, showClock(at))
  const where = element('code', { title: change.kind }, place(change))
  const head = element('p', { class: 'head' }, time, ' ', agentMark(author))
  const attributes = { 'data-change': change.field, 'data-author': author }
  return element('li', attributes, head, element('p', {}, where, ' ', ...what(change)))
}

/** @param {number} count */
const skippedEntry = count => element('li', { class: 'quiet' }, `${count} more in the same moment`)

/** @param {Change} change */
const place = ({ field, key, kind }) => {
  const name = show(field, MAX_NAME)
  return key === null || kind === 'set' || kind === 'list' ? name : `${name}[${show(key, MAX_NAME)}]`
}

/**
 * @param {Change} change
 * @returns {Array<Node | string>}
 */
const what = ({ kind, key, old, value, action }) => {
  if (action === 'moved') return ['moved ', newValue(value)]
  if (kind === 'set') return value ? ['+ ', newValue(key)] : ['− ', oldValue(key)]
  if (kind === 'log') return old === undefined ? ['+ ', newValue(value)] : ['pruned ', oldValue(old)]
  if (kind === 'xml') return ['edited']
  if (Array.isArray(value) && (kind === 'text' || kind === 'plain-array'))
    return [showDelta(value, MAX_VALUE)]
  if (value === undefined) return ['deleted, was ', oldValue(old)]
  return old === undefined ? ['= ', newValue(value)] : [oldValue(old), ' → ', newValue(value)]
}

/** @param {unknown} value */
const oldValue = value => element('span', { class: 'old' }, show(value, MAX_VALUE))

/** @param {unknown} value */
const newValue = value => element('span', { class: 'new' }, show(value, MAX_VALUE))
