/**
 * Lanes: a mirror of a document's live entries, fed by what each transaction did to them, and where this session
 * writes its own (docs/state-format.md).
 */

import * as Y from 'yjs'
import { byPrecedence, HEADER, headerEntry, OPAQUE, readEntry } from './entry.js'

/** The root under which the lanes lie. */
export const ROOT = 'lanes'
/**
 * Live entries in a segment. Bounds the cost of a position: neighbouring deleted ones melt into one, so that a
 * segment is at most twice as long as it is live.
 */
const SEGMENT_SIZE = 256

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {Array<{ retain?: number, delete?: number, insert?: any }>} Delta */

/**
 * Learns of entries as they become live and as they go, headers and what is not understood left out.
 *
 * @typedef {object} LaneListener
 * @property {(entry: Entry) => void} added
 * @property {(entry: Entry) => void} removed
 * @property {(transaction: Y.Transaction) => boolean} isKnown whether what a transaction does needs not be followed
 */

/**
 * What a transaction deletes and appends.
 *
 * @typedef {object} Writing
 * @property {Iterable<Entry>} doomed
 * @property {Iterable<Entry>} fresh
 * @property {boolean} signs whether to append the header anew, because nothing else would name the author
 */

/** The mirror of one segment. */
export class Segment {
  /**
   * @param {number} client
   * @param {Lanes} lanes
   * @param {Y.Array<unknown>} type
   */
  constructor(client, lanes, type) {
    this.client = client
    this.lanes = lanes
    this.type = type
    /** @type {Entry[]} */
    this.entries = []
  }

  /**
   * @param {number} at
   * @param {unknown[]} values
   */
  insert(at, values) {
    const entries = values.map(value => readEntry(value, this.client))
    splice(this.entries, at, entries)
    for (const entry of entries) {
      entry.segment = this
      this.lanes.added(entry)
    }
  }

  /**
   * @param {number} at
   * @param {number} count
   */
  delete(at, count) {
    for (const entry of this.entries.splice(at, count)) {
      entry.segment = null
      this.lanes.removed(entry)
    }
    if (this.entries.length === 0) this.lanes.spend(this)
  }
}

/** The mirror of one writer session's lane. */
class Lane {
  /**
   * @param {number} client
   * @param {Lanes} lanes
   * @param {Y.Array<unknown>} type
   */
  constructor(client, lanes, type) {
    this.client = client
    this.lanes = lanes
    this.type = type
    /** @type {Array<{ type: any, segment: Segment | null }>} */
    this.places = []
  }

  /**
   * @param {number} at
   * @param {unknown[]} types
   */
  insert(at, types) {
    const places = types.map(type => ({ type, segment: this.lanes.openSegment(type, this.client) }))
    splice(this.places, at, places)
    for (const { type, segment } of places) {
      if (segment !== null) segment.insert(0, /** @type {Y.Array<unknown>} */ (type).toArray())
    }
  }

  /**
   * @param {number} at
   * @param {number} count
   */
  delete(at, count) {
    for (const { type, segment } of this.places.splice(at, count)) {
      this.lanes.mirrors.delete(type)
      segment?.delete(0, segment.entries.length)
    }
  }
}

/**
 * The lanes of a document. Every entry is read once, when it becomes live; what is not a lane, a segment or an
 * entry is passed over.
 */
export class Lanes {
  /**
   * @param {Y.Doc} ydoc
   * @param {LaneListener} listener called for what is there already, too
   */
  constructor(ydoc, listener) {
    this.ydoc = ydoc
    this.listener = listener
    /** Agents by the client id of their session, as the headers name them. @type {Map<number, string>} */
    this.authors = new Map()
    /** The live headers of each lane, the one that is read first. @type {Map<number, Entry[]>} */
    this.headers = new Map()
    /** The mirror of every lane and segment. @type {Map<Y.Array<unknown>, Lane | Segment>} */
    this.mirrors = new Map()
    /** The lanes by their keys. @type {Map<string, Y.Array<unknown>>} */
    this.types = new Map()
    /** Segments that became empty: those of this session are to be deleted. @type {Set<Segment>} */
    this.spent = new Set()
    this.root = /** @type {Y.Map<unknown>} */ (ydoc.getMap(ROOT))
    this.onEvent = this.onEvent.bind(this)
    this.root.observe(this.onEvent)
    this.readAll()
  }

  /** Stop observing the document. */
  destroy() {
    this.root.unobserve(this.onEvent)
    for (const type of this.mirrors.keys()) type.unobserve(this.onEvent)
  }

  /** Read every lane anew, into an index that is empty. */
  readAll() {
    for (const type of this.mirrors.keys()) type.unobserve(this.onEvent)
    const { authors, headers, mirrors, types, spent } = this
    for (const forgotten of [authors, headers, mirrors, types, spent]) forgotten.clear()
    for (const key of this.root.keys()) this.openLane(key)
  }

  /**
   * Follow what happened to one type. Each is observed by itself, because Yjs works out the paths of all events for
   * those who observe deeply; in which order they come does not matter.
   *
   * @param {Y.YEvent<any>} event
   * @param {Y.Transaction} transaction
   */
  onEvent(event, transaction) {
    if (this.listener.isKnown(transaction)) return
    if (event.target === this.root) this.replaceLanes(event.changes.keys.keys())
    else this.integrate(event)
  }

  /** @param {Iterable<string>} keys */
  replaceLanes(keys) {
    for (const key of keys) {
      this.closeLane(key)
      this.openLane(key)
    }
  }

  /** @param {Y.YEvent<any>} event */
  integrate(event) {
    const mirror = this.mirrors.get(event.target)
    if (mirror === undefined) return
    let at = 0
    for (const step of deltaOf(event)) {
      at += step.retain ?? 0
      if (step.delete) mirror.delete(at, step.delete)
      if (step.insert) {
        mirror.insert(at, step.insert)
        at += step.insert.length
      }
    }
  }

  /** @param {string} key */
  openLane(key) {
    const type = this.root.get(key)
    const client = Number(key)
    if (!(type instanceof Y.Array) || !isClient(client, key)) return
    const lane = new Lane(client, this, type)
    this.mirror(type, lane)
    this.types.set(key, type)
    lane.insert(0, type.toArray())
  }

  /** @param {string} key */
  closeLane(key) {
    const type = this.types.get(key)
    const lane = type === undefined ? undefined : this.mirrors.get(type)
    if (type === undefined || !(lane instanceof Lane)) return
    this.types.delete(key)
    this.mirrors.delete(type)
    lane.delete(0, lane.places.length)
  }

  /**
   * @param {Y.Array<unknown>} type
   * @param {Lane | Segment} mirror
   */
  mirror(type, mirror) {
    this.mirrors.set(type, mirror)
    type.observe(this.onEvent)
  }

  /**
   * @param {unknown} type
   * @param {number} client
   * @returns {Segment | null} null if there is no segment in this place
   */
  openSegment(type, client) {
    if (!(type instanceof Y.Array)) return null
    const segment = new Segment(client, this, type)
    this.mirror(type, segment)
    return segment
  }

  /** @param {Entry} entry */
  added(entry) {
    if (entry.kind === HEADER) this.putHeaders(entry.client, [...this.headersOf(entry), entry])
    else if (entry.kind !== OPAQUE) this.listener.added(entry)
  }

  /** @param {Entry} entry */
  removed(entry) {
    if (entry.kind === HEADER) {
      this.putHeaders(
        entry.client,
        this.headersOf(entry).filter(other => other !== entry)
      )
    } else if (entry.kind !== OPAQUE) this.listener.removed(entry)
  }

  /** @param {Entry} entry */
  headersOf({ client }) {
    return this.headers.get(client) ?? []
  }

  /**
   * @param {number} client
   * @param {Entry[]} headers
   */
  putHeaders(client, headers) {
    const [first] = headers.sort(byPrecedence)
    if (first === undefined) {
      this.headers.delete(client)
      this.authors.delete(client)
    } else {
      this.headers.set(client, headers)
      this.authors.set(client, /** @type {string} */ (first.value))
    }
  }

  // Writing

  /**
   * Delete and append entries, inside a Yjs transaction; the index has them already, since the edits were seen when
   * they were made.
   *
   * @param {number} client this session's client id
   * @param {string} agent the name that its lane's header shall bear
   * @param {Writing} writing
   */
  write(client, agent, { doomed, fresh, signs }) {
    const before = this.headers.get(client)?.[0]
    const lane = this.own(client)
    if (before === undefined) this.appendHeader(lane, agent)
    for (const entry of doomed) this.delete(entry)
    for (const entry of fresh) this.append(lane, entry)
    if (signs && before !== undefined) {
      this.removed(before)
      this.delete(before)
      this.appendHeader(lane, agent)
    }
    if (this.spent.size > 0) this.retire(lane)
  }

  /**
   * Return this session's lane, which somebody may have deleted.
   *
   * @param {number} client
   * @returns {Lane}
   */
  own(client) {
    const key = String(client)
    const opened = this.types.get(key)
    const known = opened === undefined ? undefined : this.mirrors.get(opened)
    if (known instanceof Lane) return known
    const type = this.root.set(key, new Y.Array())
    const lane = new Lane(client, this, type)
    this.mirror(type, lane)
    this.types.set(key, type)
    return lane
  }

  /**
   * @param {Lane} lane
   * @param {string} agent
   */
  appendHeader(lane, agent) {
    const header = headerEntry(agent, lane.client)
    this.append(lane, header)
    this.added(header)
  }

  /**
   * @param {Lane} lane
   * @param {Entry} entry
   */
  append(lane, entry) {
    let segment = lane.places.at(-1)?.segment
    if (!segment || segment.entries.length >= SEGMENT_SIZE) segment = this.appendSegment(lane)
    segment.type.push([entry.raw])
    segment.entries.push(entry)
    entry.segment = segment
  }

  /** @param {Lane} lane */
  appendSegment(lane) {
    /** @type {Y.Array<unknown>} */
    const type = new Y.Array()
    lane.type.push([type])
    const segment = /** @type {Segment} */ (this.openSegment(type, lane.client))
    lane.places.push({ type, segment })
    return segment
  }

  /** @param {Entry} entry */
  delete(entry) {
    const segment = /** @type {Segment} */ (entry.segment)
    const at = segment.entries.indexOf(entry)
    segment.type.delete(at, 1)
    segment.entries.splice(at, 1)
    entry.segment = null
    if (segment.entries.length === 0) this.spend(segment)
  }

  /** @param {Segment} segment one that is empty */
  spend(segment) {
    if (segment.client === this.ydoc.clientID) this.spent.add(segment)
  }

  /**
   * Delete this session's segments that are empty, but for the last; nobody else may, it could be appending to it.
   *
   * @param {Lane} lane
   */
  retire(lane) {
    for (const segment of this.spent) {
      const at = lane.places.findIndex(place => place.segment === segment)
      if (segment.entries.length > 0 || at < 0 || at === lane.places.length - 1) continue
      lane.type.delete(at, 1)
      lane.places.splice(at, 1)
      this.mirrors.delete(segment.type)
    }
    this.spent.clear()
  }
}

/**
 * Return what happened to an array. Yjs's own delta counts what no position counts, such as a text's formatting that
 * a broken program put there.
 *
 * @param {Y.YEvent<any>} event
 * @returns {Delta}
 */
const deltaOf = event => {
  /** @type {Delta} */
  const delta = []
  for (let item = event.target._start; item !== null; item = item.right) {
    if (!item.countable) continue
    const isNew = event.adds(item)
    if (!item.deleted) delta.push(isNew ? { insert: item.content.getContent() } : { retain: item.length })
    else if (!isNew && event.deletes(item)) delta.push({ delete: item.length })
  }
  return delta
}

/**
 * Tell whether a key states a client id, in the one way there is to write it.
 *
 * @param {number} client what the key reads as
 * @param {string} key
 */
const isClient = (client, key) => Number.isSafeInteger(client) && client >= 0 && String(client) === key

/**
 * Insert items at a position; not as arguments of one call, of which there may be only so many.
 *
 * @template T
 * @param {T[]} list
 * @param {number} at
 * @param {T[]} added
 */
const splice = (list, at, added) => {
  const tail = list.splice(at)
  for (const item of added) list.push(item)
  for (const item of tail) list.push(item)
}
