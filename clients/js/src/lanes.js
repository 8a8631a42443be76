/** Lanes: a mirror of a document's live entries, fed by what each transaction did to them. */

import * as Y from 'yjs'
import { byPrecedence, HEADER, OPAQUE, readEntry } from './entry.js'

/** The root under which the lanes lie. */
export const ROOT = 'lanes'

/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {Array<{ retain?: number, delete?: number, insert?: any }>} Delta */

/**
 * Learns of entries as they become live and as they go, headers and what is not understood left out.
 *
 * @typedef {object} LaneListener
 * @property {(entry: Entry) => void} added
 * @property {(entry: Entry) => void} removed
 */

/** The mirror of one segment. */
class Segment {
  /**
   * @param {number} client
   * @param {Lanes} lanes
   */
  constructor(client, lanes) {
    this.client = client
    this.lanes = lanes
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
    for (const entry of entries) this.lanes.added(entry)
  }

  /**
   * @param {number} at
   * @param {number} count
   */
  delete(at, count) {
    for (const entry of this.entries.splice(at, count)) this.lanes.removed(entry)
  }
}

/** The mirror of one writer session's lane. */
class Lane {
  /**
   * @param {number} client
   * @param {Lanes} lanes
   */
  constructor(client, lanes) {
    this.client = client
    this.lanes = lanes
    /** @type {Array<{ type: unknown, segment: Segment | null }>} */
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
    this.listener = listener
    /** Agents by the client id of their session, as the headers name them. @type {Map<number, string>} */
    this.authors = new Map()
    /** The live headers of each lane, the one that is read first. @type {Map<number, Entry[]>} */
    this.headers = new Map()
    /** The mirror of every lane and segment. @type {Map<unknown, Lane | Segment>} */
    this.mirrors = new Map()
    /** @type {Map<string, unknown>} */
    this.types = new Map()
    this.root = /** @type {Y.Map<unknown>} */ (ydoc.getMap(ROOT))
    this.onEvents = this.onEvents.bind(this)
    for (const key of this.root.keys()) this.openLane(key)
    this.root.observeDeep(this.onEvents)
  }

  /** Stop observing the document. */
  destroy() {
    this.root.unobserveDeep(this.onEvents)
  }

  /** @param {Array<Y.YEvent<any>>} events in order of depth, as Yjs delivers them */
  onEvents(events) {
    for (const event of events) {
      if (event.target === this.root) this.replaceLanes(event.changes.keys.keys())
      else this.follow(event)
    }
  }

  /** @param {Iterable<string>} keys */
  replaceLanes(keys) {
    for (const key of keys) {
      this.closeLane(key)
      this.openLane(key)
    }
  }

  /** @param {Y.YEvent<any>} event */
  follow(event) {
    const mirror = this.mirrors.get(event.target)
    if (mirror === undefined) return
    let at = 0
    for (const step of /** @type {Delta} */ (event.changes.delta)) {
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
    const lane = new Lane(client, this)
    this.mirrors.set(type, lane)
    this.types.set(key, type)
    lane.insert(0, type.toArray())
  }

  /** @param {string} key */
  closeLane(key) {
    const type = this.types.get(key)
    const lane = this.mirrors.get(type)
    if (!(lane instanceof Lane)) return
    this.types.delete(key)
    this.mirrors.delete(type)
    lane.delete(0, lane.places.length)
  }

  /**
   * @param {unknown} type
   * @param {number} client
   * @returns {Segment | null} null if there is no segment in this place
   */
  openSegment(type, client) {
    if (!(type instanceof Y.Array)) return null
    const segment = new Segment(client, this)
    this.mirrors.set(type, segment)
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
