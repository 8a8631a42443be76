import { encode } from '../src/msgpack.js'
import * as Y from 'yjs'

/** Writes lanes by hand, as the format lays them out, one writer session a doc. */
export class Writer {
  /**
   * @param {number} client
   * @param {string} agent
   */
  constructor(client, agent) {
    this.doc = new Y.Doc()
    this.doc.clientID = client
    this.segment = /** @type {Y.Array<any>} */ (new Y.Array())
    this.lane = /** @type {Y.Array<any>} */ (new Y.Array())
    this.agent = agent
    this.edit(() => {
      this.doc.getMap('lanes').set(String(client), this.lane)
      this.lane.push([this.segment])
      this.append([5, agent])
    })
  }

  /** @param {() => void} change */
  edit(change) {
    this.doc.transact(change)
  }

  /** @param {unknown[]} fields */
  append(fields) {
    this.appendRaw(encode(fields))
  }

  /** @param {unknown} value */
  appendRaw(value) {
    this.segment.push([value])
  }

  newSegment() {
    this.segment = new Y.Array()
    this.lane.push([this.segment])
  }

  /** Delete every live entry, of any lane, that is exactly one of these. @param {unknown[][]} entries */
  drop(...entries) {
    const wanted = new Set(entries.map(entry => String(encode(entry))))
    for (const lane of this.doc.getMap('lanes').values()) {
      if (!(lane instanceof Y.Array)) continue
      for (const segment of lane.toArray()) {
        if (!(segment instanceof Y.Array)) continue
        for (let at = segment.length - 1; at >= 0; at--) {
          if (wanted.has(String(segment.get(at)))) segment.delete(at)
        }
      }
    }
  }

  /** Take in everything of others. @param {...(Writer | { doc: Y.Doc })} others */
  pull(...others) {
    for (const { doc } of others) Y.applyUpdate(this.doc, Y.encodeStateAsUpdate(doc))
  }
}

/**
 * Bring a document up to date with others in one transaction.
 *
 * @param {Y.Doc} doc
 * @param {...Y.Doc} sources
 */
export const sync = (doc, ...sources) => {
  const vector = Y.encodeStateVector(doc)
  Y.applyUpdate(doc, Y.mergeUpdates(sources.map(source => Y.encodeStateAsUpdate(source, vector))))
}
