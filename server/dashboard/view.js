/** The state of a room: a card for every field, drawn anew only where something changed. */

import { agentMark, arrange, element, flash, part, setText } from './dom.js'
import { cut, show, showClock, showTime } from './format.js'

/** @typedef {import('./comity.js').StateDocument} StateDocument */
/** @typedef {import('../../clients/js/src/changes.js').Change} Change */
/** @typedef {import('../../clients/js/src/document.js').Reading} Reading */
/** @typedef {import('../../clients/js/src/field.js').Kind} Kind */
/** @typedef {Change['kind']} AnyKind */
/** @typedef {import('../../clients/js/src/changes.js').FieldName} FieldName */
/** @typedef {(client: number, name: string) => string} NameAuthor */

/** Of a document with more fields than this, the first ones show and the rest are counted; likewise below. */
const MAX_FIELDS = 150
const MAX_ROWS = 200
const MAX_ITEMS = 100
const MAX_TEXT = 20_000
const MAX_VALUE = 2_000
const MAX_CELL = 300
/** Pixels: rounding, and half a line, still count as the end of a list. */
const END_MARGIN = 12

/** What a person calls each kind. @type {Record<AnyKind, string>} */
const LABELS = {
  register: 'register',
  map: 'map',
  set: 'set',
  counter: 'counter',
  log: 'log',
  list: 'list',
  text: 'text',
  'plain-map': 'Y.Map',
  'plain-array': 'Y.Array',
  xml: 'Y.Xml'
}

/** @typedef {object} Row A line of a card: what it says, and by what it is known again.
 * @property {string} id
 * @property {string} label
 * @property {string} text
 * @property {Reading | null} reading
 */

/** @typedef {{ rows: Row[], size: number, tail: boolean }} Content tail is whether the last ones are shown */

/** Draws a state document. */
export class StateView {
  /** @param {NameAuthor} nameAuthor */
  constructor(nameAuthor) {
    this.nameAuthor = nameAuthor
    this.root = part('fields')
    /** @type {StateDocument | null} */
    this.state = null
    /** @type {Map<string, Card>} */
    this.cards = new Map()
    /** Fields to draw anew, with the labels of what changed in them. @type {Map<string, Set<string>>} */
    this.dirty = new Map()
  }

  /**
   * Show another document, or none.
   *
   * @param {StateDocument | null} state
   */
  show(state) {
    this.state = state
    this.cards.clear()
    this.dirty.clear()
    this.root.replaceChildren()
    if (state !== null) this.render()
  }

  /** @param {Change} change */
  changed({ kind, field, key, value }) {
    const id = fieldId({ kind, name: field })
    const rows = this.dirty.get(id) ?? new Set()
    rows.add(kind === 'log' ? (value === undefined ? '' : 'last') : rowId(key))
    this.dirty.set(id, rows)
  }

  /**
   * Draw a field anew though its values are what they were.
   *
   * @param {FieldName} field
   */
  touched(field) {
    const id = fieldId(field)
    if (!this.dirty.has(id)) this.dirty.set(id, new Set())
  }

  /** Draw what has changed since the last time. @returns {number} how many fields there are */
  render() {
    if (this.state === null) return 0
    const fields = this.state.fields().filter(({ name }) => !name.startsWith('$'))
    const shown = fields.slice(0, MAX_FIELDS)
    const nodes = shown.map(field => this.card(field, this.state).root)
    if (fields.length > MAX_FIELDS) nodes.push(remainder(fields.length - MAX_FIELDS, 'fields'))
    const ids = new Set(shown.map(fieldId))
    for (const id of this.cards.keys()) if (!ids.has(id)) this.cards.delete(id)
    arrange(this.root, nodes)
    this.dirty.clear()
    return fields.length
  }

  /**
   * @param {FieldName} field
   * @param {any} state
   * @returns {Card}
   */
  card(field, state) {
    const id = fieldId(field)
    const known = this.cards.get(id)
    const changed = this.dirty.get(id)
    const card = known ?? new Card(field, this.nameAuthor)
    if (known === undefined) this.cards.set(id, card)
    if (known === undefined || changed !== undefined) card.render(state, changed ?? new Set())
    return card
  }
}

/** The card of one field. */
class Card {
  /**
   * @param {FieldName} field
   * @param {NameAuthor} nameAuthor
   */
  constructor(field, nameAuthor) {
    this.field = field
    this.nameAuthor = nameAuthor
    this.count = element('span', { class: 'quiet', 'data-count': '' })
    const kind = element('span', { class: 'kind' }, LABELS[field.kind])
    const title = element('h2', {}, cut(field.name, MAX_CELL), ' ', kind, ' ', this.count)
    this.body = element('div', { class: 'body', role: 'list' })
    this.more = element('p', { class: 'quiet', 'data-more': '' })
    const attributes = {
      class: 'card',
      'data-field': field.name,
      'data-kind': field.kind
    }
    const parts = field.kind === 'log' ? [this.more, this.body] : [this.body, this.more]
    this.root = element('section', attributes, title, ...parts)
    /** @type {Map<string, RowView>} */
    this.rows = new Map()
  }

  /**
   * @param {StateDocument} state
   * @param {Set<string>} changed the rows that changed
   */
  render(state, changed) {
    const { rows, size, tail } = contentOf(state, this.field)
    const follows = tail && this.atEnd()
    const views = rows.map(row => this.row(row))
    arrange(
      this.body,
      views.map(({ root }) => root)
    )
    const ids = new Set(rows.map(({ id }) => id))
    for (const id of this.rows.keys()) if (!ids.has(id)) this.rows.delete(id)
    const single = this.field.kind === 'register' || this.field.kind === 'counter' || rows[0]?.id === ''
    setText(this.count, single ? '' : String(size))
    const hidden = size - rows.length
    setText(this.more, single || hidden === 0 ? '' : `${hidden} ${tail ? 'earlier' : 'more'}, not shown`)
    // Where lines end is known only once the card is on the page.
    requestAnimationFrame(() => this.settle(follows))
    this.flash(views, changed)
  }

  /** @returns {boolean} whether the end is in view: nobody has scrolled up to read what came before */
  atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.body
    return scrollTop + clientHeight >= scrollHeight - END_MARGIN
  }

  /** @param {boolean} follows whether to stay at the end */
  settle(follows) {
    if (follows) this.body.scrollTop = this.body.scrollHeight
    // Let the keyboard reach what only scrolling shows.
    if (this.body.scrollHeight > this.body.clientHeight) this.body.tabIndex = 0
    else this.body.removeAttribute('tabindex')
  }

  /**
   * @param {RowView[]} views
   * @param {Set<string>} changed
   */
  flash(views, changed) {
    if (changed.size === 0) return
    if (changed.has('last')) views.at(-1)?.flash()
    for (const id of changed) this.rows.get(id)?.flash()
    if (this.rows.has('') && !changed.has('')) this.rows.get('')?.flash()
  }

  /**
   * @param {Row} row
   * @returns {RowView}
   */
  row(row) {
    let view = this.rows.get(row.id)
    if (view === undefined) {
      view = new RowView(row.label)
      this.rows.set(row.id, view)
    }
    view.render(row, this.nameAuthor)
    return view
  }
}

/** One line of a card. */
class RowView {
  /** @param {string} label */
  constructor(label) {
    this.value = element('span', { class: 'value', 'data-value': '' })
    this.origin = element('span', { class: 'origin', 'data-origin': '' })
    this.rivals = element('ul', {
      class: 'rivals',
      'aria-label': 'Concurrent values'
    })
    const key = label === '' ? [] : [element('span', { class: 'key' }, cut(label, MAX_CELL))]
    const attributes = {
      class: 'row',
      role: 'listitem',
      'data-key': label === '' ? undefined : label
    }
    this.root = element('div', attributes, ...key, this.value, this.origin)
    this.shown = ''
  }

  /**
   * @param {Row} row
   * @param {NameAuthor} nameAuthor
   */
  render({ text, reading }, nameAuthor) {
    setText(this.value, text)
    const rivals = reading?.rivals ?? []
    const names =
      reading === null ? [] : [reading, ...rivals].map(rival => nameAuthor(rival.client, rival.author))
    const shown = JSON.stringify([names, reading?.at, rivals.map(rival => show(rival.value, MAX_CELL))])
    if (shown === this.shown) return
    this.shown = shown
    if (reading !== null) this.origin.replaceChildren(...originOf(names[0], reading.at))
    this.rivals.replaceChildren(...rivals.map((rival, at) => rivalItem(rival, names[at + 1])))
    if (rivals.length > 0) {
      this.root.dataset.conflict = String(rivals.length + 1)
      this.root.append(this.rivals)
    } else {
      delete this.root.dataset.conflict
      this.rivals.remove()
    }
  }

  flash() {
    flash(this.root)
  }
}

/**
 * @param {string} name
 * @param {number} at
 * @returns {Node[]}
 */
const originOf = (name, at) => {
  if (at === 0) return [agentMark(name)]
  const time = element('time', { datetime: new Date(at).toISOString(), title: showTime(at) }, showClock(at))
  return [agentMark(name), time]
}

/**
 * @param {import('../../clients/js/src/document.js').Rival} rival
 * @param {string} name
 */
const rivalItem = ({ value, at }, name) => {
  const origin = element('span', { class: 'origin' }, ...originOf(name, at))
  return element('li', {}, element('span', { class: 'value' }, show(value, MAX_CELL)), origin)
}

/**
 * @param {number} count
 * @param {string} things
 */
const remainder = (count, things) =>
  element('p', { class: 'quiet' }, `and ${count} more ${things}, not shown`)

/**
 * Read what a card shows.
 *
 * @param {StateDocument} state
 * @param {FieldName} field
 * @returns {Content}
 */
const contentOf = (state, { kind, name }) => {
  if (kind === 'counter')
    return {
      rows: [row('', '', String(state.counter(name)), null)],
      size: 1,
      tail: false
    }
  if (kind === 'text') return whole(state.root(name), MAX_TEXT)
  if (kind === 'xml') return whole(String(state.root(name)), MAX_TEXT)
  if (kind === 'plain-map' || kind === 'plain-array')
    return plainContent(state.root(name), kind === 'plain-array')
  if (kind === 'log') return logContent(state, name)
  const limit = kind === 'register' ? MAX_VALUE : MAX_CELL
  const rows = state.readings(kind, name, { first: MAX_ROWS }).map(reading => {
    if (kind === 'set') return row(rowId(reading.key), '', show(reading.value, limit), reading)
    const label = kind === 'map' ? String(reading.key) : ''
    return row(rowId(reading.key), label, show(reading.value, limit), reading)
  })
  return { rows, size: state.size(kind, name), tail: false }
}

/**
 * @param {StateDocument} state
 * @param {string} name
 * @returns {Content}
 */
const logContent = (state, name) => {
  const readings = state.readings('log', name, { last: MAX_ITEMS })
  /** @type {Map<string, number>} */
  const seen = new Map()
  const rows = readings.map(reading => {
    // Items that one session wrote at one stamp are told apart by counting them.
    const base = `${reading.client}/${reading.at}/${show(reading.value, MAX_CELL)}`
    const count = (seen.get(base) ?? 0) + 1
    seen.set(base, count)
    return row(`item ${base}/${count}`, '', show(reading.value, MAX_CELL), reading)
  })
  return { rows, size: state.size('log', name), tail: true }
}

/**
 * @param {unknown} value
 * @param {boolean} isList
 * @returns {Content}
 */
const plainContent = (value, isList) => {
  const entries = Object.entries(/** @type {object} */ (value ?? {}))
  const rows = entries
    .slice(0, MAX_ROWS)
    .map(([key, item]) => row(rowId(key), key, show(item, MAX_CELL), null))
  return {
    rows: isList ? rows.map(line => ({ ...line, label: '' })) : rows,
    size: entries.length,
    tail: false
  }
}

/**
 * @param {unknown} text
 * @param {number} limit
 * @returns {Content}
 */
const whole = (text, limit) => ({
  rows: [row('', '', show(text, limit), null)],
  size: 1,
  tail: false
})

/**
 * @param {string} id
 * @param {string} label
 * @param {string} text
 * @param {Reading | null} reading
 * @returns {Row}
 */
const row = (id, label, text, reading) => ({ id, label, text, reading })

/** @param {unknown} key */
const rowId = key => (key === null ? '' : `${typeof key} ${show(key, MAX_CELL)}`)

/** @param {FieldName} field */
const fieldId = ({ kind, name }) => `${kind} ${name}`
