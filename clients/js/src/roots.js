/** Roots: the plain Yjs types beside the lanes: texts, and what other Yjs programs keep in the same document. */

import * as Y from 'yjs'
import { onlyWriter } from './changes.js'
import { SchemaError } from './errors.js'

/** @typedef {'text' | 'plain-map' | 'plain-array' | 'xml'} RootKind */

/**
 * @typedef {object} RootChange
 * @property {RootKind} kind
 * @property {string} field
 * @property {string | null} key a map's key, or the path of what changed further in, or null
 * @property {unknown} old undefined where there was none, or where Yjs does not keep it
 * @property {unknown} value a delta for texts and arrays
 * @property {Set<number>} clients who inserted something in this change
 */

/** @typedef {{ kind: RootKind, type: any, guessed: boolean, stop: () => void }} Root */

/**
 * @typedef {object} RootListener
 * @property {() => boolean} listens whether anybody wants to know of changes
 * @property {(change: RootChange) => void} changed
 * @property {(name: string) => void} foundText told of each text once
 */

/** @type {Record<RootKind, any>} */
const CONSTRUCTORS = {
  text: Y.Text,
  'plain-map': Y.Map,
  'plain-array': Y.Array,
  xml: Y.XmlFragment
}

/**
 * Finds root types, and reports their changes. Yjs does not say what a root is until someone asks for it by type;
 * what it holds tells.
 */
export class Roots {
  /**
   * @param {Y.Doc} ydoc
   * @param {string} except the root that is none of ours
   * @param {RootListener} listener
   */
  constructor(ydoc, except, listener) {
    this.ydoc = ydoc
    this.except = except
    this.listener = listener
    /** @type {Map<string, Root>} */
    this.known = new Map()
    /** Roots that hold nothing that tells their kind. @type {Set<string>} */
    this.unclear = new Set()
    // Roots are never taken away, so that one walk that is never finished meets each of them once.
    this.walk = ydoc.share.keys()
    this.met = 0
    this.discover()
  }

  /**
   * Look for roots that have become known.
   *
   * @returns {RootChange[]} one for each
   */
  discover() {
    const { share } = this.ydoc
    for (; this.met < share.size; this.met++) this.unclear.add(String(this.walk.next().value))
    if (this.unclear.size === 0) return []
    this.unclear.delete(this.except)
    /** @type {RootChange[]} */
    const found = []
    for (const name of [...this.unclear]) {
      const type = /** @type {Y.AbstractType<any>} */ (share.get(name))
      if (this.known.has(name)) this.unclear.delete(name)
      else if (this.open(name, type)) found.push(this.first(name))
    }
    return found
  }

  /**
   * Return a root text, which becomes part of the document when it is first asked for.
   *
   * @param {string} name
   * @returns {Y.Text}
   * @throws {SchemaError} if the name is that of the lanes, or of a root of another type
   */
  text(name) {
    const known = this.known.get(name)
    if (known?.kind === 'text') return known.type
    if (known?.guessed) this.retract(name)
    else if (name === this.except || known !== undefined) {
      const what =
        name === this.except ? 'this root belongs to the typed cells' : `this root is a ${known?.kind}`
      throw new SchemaError(what, { subject: name, remedy: 'choose another name' })
    }
    const type = this.ydoc.getText(name)
    this.open(name, type)
    return type
  }

  /**
   * @param {string} name
   * @returns {RootChange} how the root came to be
   */
  first(name) {
    const { kind, type } = /** @type {Root} */ (this.known.get(name))
    const whole = this.value(name)
    const value = kind === 'text' || kind === 'plain-array' ? [{ insert: whole }] : whole
    return { kind, field: name, key: null, old: undefined, value, clients: clientsOf(type, () => true) }
  }

  /**
   * @param {string} name
   * @param {Y.AbstractType<any>} type
   * @returns {boolean} whether its kind is known
   */
  open(name, type) {
    const kind = kindOf(type)
    if (kind === null) return false
    const opened = this.ydoc.get(name, CONSTRUCTORS[kind])
    /** @param {Array<Y.YEvent<any>>} events */
    const onEvents = events => {
      if (!this.listener.listens()) return
      for (const event of events)
        for (const change of changesOf(kind, name, event)) this.listener.changed(change)
    }
    opened.observeDeep(onEvents)
    this.known.set(name, {
      kind,
      type: opened,
      guessed: opened !== type,
      stop: () => opened.unobserveDeep(onEvents)
    })
    this.unclear.delete(name)
    if (kind === 'text') this.listener.foundText(name)
    return true
  }

  /**
   * Make a root what it was before its content told its kind, so that it can be asked for by another.
   *
   * @param {string} name
   */
  retract(name) {
    const { type, stop } = /** @type {Root} */ (this.known.get(name))
    stop()
    this.known.delete(name)
    const bare = new Y.AbstractType()
    bare._map = type._map
    bare._start = type._start
    bare._length = type._length
    for (const [, first] of bare._map)
      for (let item = /** @type {Y.Item | null} */ (first); item !== null; item = item.left)
        item.parent = bare
    for (let item = bare._start; item !== null; item = item.right) item.parent = bare
    this.ydoc.share.set(name, bare)
    bare._integrate(this.ydoc, /** @type {any} */ (null))
  }

  /**
   * Return what a root holds, as plain data.
   *
   * @param {string} name
   * @returns {unknown} undefined if there is no such root
   */
  value(name) {
    const root = this.known.get(name)
    if (root === undefined) return undefined
    return root.kind === 'text' ? root.type.toString() : plain(root.type)
  }

  /** Stop observing the document. */
  destroy() {
    for (const { stop } of this.known.values()) stop()
    this.known.clear()
  }
}

/**
 * Tell what kind of root a type is, from its class or else from what it holds.
 *
 * @param {Y.AbstractType<any>} type
 * @returns {RootKind | null} null while nothing tells
 */
const kindOf = type => {
  for (const [kind, constructor] of Object.entries(CONSTRUCTORS)) {
    if (type instanceof constructor) return /** @type {RootKind} */ (kind)
  }
  for (let item = type._start; item !== null; item = item.right) {
    const kind = kindOfContent(item.content)
    if (kind !== null) return kind
  }
  return type._map.size > 0 ? 'plain-map' : null
}

/**
 * @param {import('yjs').Item['content']} content
 * @returns {RootKind | null}
 */
const kindOfContent = content => {
  if (content instanceof Y.ContentDeleted) return null
  if (content instanceof Y.ContentString || content instanceof Y.ContentFormat) return 'text'
  if (content instanceof Y.ContentEmbed) return 'text'
  const xml = content instanceof Y.ContentType && isXml(content.type)
  return xml ? 'xml' : 'plain-array'
}

/** @param {unknown} type */
const isXml = type => type instanceof Y.XmlFragment || type instanceof Y.XmlText || type instanceof Y.XmlHook

/**
 * @param {RootKind} kind
 * @param {string} field
 * @param {Y.YEvent<any>} event
 * @returns {Generator<RootChange>}
 */
function* changesOf(kind, field, event) {
  const writer = onlyWriter(event.transaction)
  const clients = writer === null ? clientsOf(event.target, item => event.adds(item)) : new Set([writer])
  const path = event.path.map(String)
  const where = path.length > 0 ? path.join('.') : null
  const delta = event.target instanceof Y.Map ? [] : event.delta
  if (delta.length > 0 || kind === 'xml') {
    yield { kind, field, key: where, old: undefined, value: plainDelta(delta), clients }
  }
  if (!(event.target instanceof Y.Map)) return
  for (const [name, { oldValue }] of event.changes.keys) {
    const key = [...path, name].join('.')
    yield { kind, field, key, old: plain(oldValue), value: plain(event.target.get(name)), clients }
  }
}

/**
 * @param {any} type
 * @param {(item: Y.Item) => boolean} wanted
 * @returns {Set<number>} who inserted the wanted items
 */
const clientsOf = (type, wanted) => {
  const clients = new Set()
  for (let item = type._start; item !== null; item = item.right) if (wanted(item)) clients.add(item.id.client)
  for (const item of type._map.values()) if (wanted(item)) clients.add(item.id.client)
  return clients
}

/**
 * @param {Array<{ insert?: any, delete?: number, retain?: number }>} delta
 */
const plainDelta = delta =>
  delta.map(step => (Array.isArray(step.insert) ? { insert: step.insert.map(plain) } : { ...step }))

/**
 * Return a Yjs value as plain data.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
const plain = value => (value instanceof Y.AbstractType ? value.toJSON() : value)
