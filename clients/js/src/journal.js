/** Journals: what a replica keeps of its room, so that it outlives the page, in storage that several tabs share. */

import { uuidv4 } from 'lib0/random'
import * as Y from 'yjs'
import { StorageError } from './failures.js'
import { merged } from './merge.js'

/** Rows of updates after which they are folded into fewer: some milliseconds' work, and as little to read back. */
const FOLD_AFTER = 256

/** @typedef {import('./storage.js').Key} Key */
/** @typedef {import('./storage.js').Storage} Storage */
/** @typedef {import('./storage.js').Transaction} Transaction */

/**
 * Which history of a room is the present one: each has a number, and a lineage once it has met a server's.
 *
 * Of that the server says how often something was taken out of it; what is kept is without that if it knows as many.
 *
 * @typedef {{ history: number, lineage: string | null, refused: boolean, redactions?: number }} Head
 */

/**
 * Where a document comes from: a lineage, null for a room that was not met yet, and how often something had been taken
 * out of its history.
 *
 * @typedef {{ lineage: string | null, redactions: number }} Origin
 */

/**
 * What was kept.
 *
 * @typedef {object} Kept
 * @property {Uint8Array | null} update the document
 * @property {string | null} lineage
 * @property {boolean} refused whether the server refused some of it, so that it must be replaced by the server's
 * @property {number} pending how many local updates of earlier sessions the server has not acknowledged
 */

/** What a session has not had acknowledged, of how many local updates. @typedef {{ pending: number, number: number }} Owed */

/**
 * A document that was set aside, because the room turned out to have another history.
 *
 * @typedef {{ id: number, lineage: string | null, at: number, update: Uint8Array }} Aside
 */

/**
 * Keeps the document of one room as rows of updates. A document that takes the place of another begins a new history;
 * the rows of the old one stay what they were, as a document set aside, so that two tabs that are in different
 * histories never mix them.
 */
export class Journal {
  /**
   * @param {Storage} storage
   * @param {string} room
   * @param {Y.Doc} doc the document
   */
  constructor(storage, room, doc) {
    this.storage = storage
    this.room = room
    this.doc = doc
    this.session = uuidv4()
    this.history = 1
    /** @type {string | null} */
    this.lineage = null
    this.rows = 0
    this.count = 0
    /** What this session has not had acknowledged. @type {Owed | null} */
    this.owed = null
    this.isTidying = false
    /** How many replacements are on their way. */
    this.moves = 0
    /** What earlier sessions, or other tabs, had not had acknowledged. @type {Array<[Key, Owed]>} */
    this.inherited = []
    /** Settles when everything so far is written. @type {Promise<unknown>} */
    this.written = Promise.resolve()
  }

  /**
   * Read back what was kept.
   *
   * @returns {Promise<Kept>}
   * @throws {StorageError} as do all others here
   */
  load() {
    return this.transact(async tx => {
      const { history, lineage, refused } = (await this.head(tx)) ?? {
        history: 1,
        lineage: null,
        refused: false
      }
      this.history = history
      this.lineage = lineage
      const rows = await tx.list(this.key('update', history))
      this.inherited = await tx.list(this.key('pending', history))
      this.rows = rows.length
      const update = rows.length === 0 ? null : merged(rows.map(([, bytes]) => bytes))
      const pending = this.inherited.reduce((sum, [, owed]) => sum + owed.pending, 0)
      return { update, lineage, refused, pending }
    })
  }

  /**
   * Write an update; not before what was kept is loaded.
   *
   * @param {Uint8Array} update
   * @param {Owed | null} owed what this session has not had acknowledged, if that has changed
   * @returns {Promise<void>}
   */
  append(update, owed) {
    const done =
      this.moves === 0
        ? this.noted(this.storage.write(this.changesFor(update, owed)))
        : this.transact(async tx => {
            for (const [key, value] of this.changesFor(update, owed)) tx.put(key, value)
          })
    if (this.isTidying) return done
    return Promise.all([done, this.tidy()]).then(() => undefined)
  }

  /**
   * @param {Uint8Array} update
   * @param {Owed | null} owed
   * @returns {Array<[Key, unknown]>}
   */
  changesFor(update, owed) {
    /** @type {Array<[Key, unknown]>} */
    const changes = [[this.rowKey(), update]]
    if (owed !== null) {
      this.owed = owed
      changes.push([this.key('pending', this.history, this.session), owed])
    }
    return changes
  }

  /**
   * Look whether this is still where to write, and fold what has become many rows.
   *
   * @returns {Promise<void>}
   */
  tidy() {
    const { doc } = this
    this.isTidying = true
    return this.transact(async tx => {
      this.isTidying = false
      await this.place(tx, doc)
      if (this.rows > FOLD_AFTER) await this.fold(tx)
    })
  }

  /**
   * Note that the server has everything that was local.
   *
   * @returns {Promise<void>}
   */
  settle() {
    return this.transact(tx => this.forgetOwed(tx, this.history))
  }

  /**
   * Note the lineage of the room, with which the document has something in common now.
   *
   * @param {string} lineage
   * @returns {Promise<void>}
   */
  adopt(lineage) {
    const { doc } = this
    return this.transact(async tx => {
      const head = await this.place(tx, doc)
      if (head.lineage !== null && head.lineage !== lineage) {
        this.begin(tx, doc, head.history + 1, lineage)
        return
      }
      if (head.history !== this.history) this.join(tx, doc, head)
      this.lineage = lineage
      tx.put(this.key('head'), { ...head, lineage })
    })
  }

  /**
   * Note that the server refused some of what is kept, and that nothing is owed.
   *
   * @returns {Promise<void>}
   */
  refuse() {
    const { doc } = this
    return this.transact(async tx => {
      const head = await this.place(tx, doc)
      if (head.history === this.history) tx.put(this.key('head'), { ...head, refused: true })
      await this.forgetOwed(tx, this.history)
    })
  }

  /**
   * Keep another document from now on, in place of the one before.
   *
   * @param {Y.Doc} doc
   * @param {Origin} origin
   * @param {boolean} isKept whether the old one is worth keeping
   * @returns {Promise<void>}
   */
  replace(doc, origin, isKept) {
    const { lineage } = origin
    this.doc = doc
    this.moves++
    return this.transact(async tx => {
      const [old, oldLineage] = [this.history, this.lineage]
      const head = (await this.head(tx)) ?? { history: old, lineage, refused: false }
      await this.forgetOwed(tx, old)
      const isThere = head.history !== old && head.lineage === lineage && !head.refused
      if (isThere) this.join(tx, doc, head)
      else {
        // What was set aside of this lineage is still to be cleaned of what was taken out of it since.
        const redactions = lineage === oldLineage ? head.redactions : origin.redactions
        this.begin(tx, doc, Math.max(head.history, old) + 1, lineage, redactions)
      }
      this.moves--
      await this.leave(tx, old, oldLineage, isKept)
    })
  }

  /**
   * Keep another document from now on, and nothing of the one before, whose room was erased, or of what was set aside.
   *
   * @param {Y.Doc} doc
   * @param {Origin} origin
   * @returns {Promise<void>}
   */
  erase(doc, { lineage, redactions }) {
    this.doc = doc
    this.moves++
    return this.transact(async tx => {
      const head = await this.head(tx)
      const old = this.history
      // Another tab may have been told before.
      const isOver = head !== undefined && head.history !== old && head.lineage !== this.lineage
      await this.clear(tx, isOver ? head.history : null)
      this.owed = null
      this.inherited = []
      if (!isOver) this.begin(tx, doc, Math.max(head?.history ?? 0, old) + 1, lineage, redactions)
      else if (head.lineage === lineage) this.join(tx, doc, head)
      this.moves--
    })
  }

  /**
   * Delete everything but one history.
   *
   * @param {Transaction} tx
   * @param {number | null} history
   */
  async clear(tx, history) {
    for (const [key] of await tx.list(this.key())) {
      const isOfIt = key[1] === 'head' || (key[1] !== 'aside' && key[2] === history)
      if (history === null || !isOfIt) tx.delete(key)
    }
  }

  /**
   * Keep nothing of what was taken out of the room's history, and out of the document with it.
   *
   * @param {number} redactions how often that was, until now
   * @returns {Promise<void>}
   */
  redact(redactions) {
    const { doc } = this
    return this.transact(async tx => {
      const head = await this.place(tx, doc)
      if (head.history !== this.history || (head.redactions ?? 0) >= redactions) return
      const rows = await tx.list(this.key('update', this.history))
      for (const [key] of rows) tx.delete(key)
      await this.clear(tx, this.history)
      this.rows = 0
      this.putRow(tx, compacted([...rows.map(([, bytes]) => bytes), Y.encodeStateAsUpdate(doc)]))
      tx.put(this.key('head'), { ...head, redactions })
    })
  }

  /**
   * Set a history aside, or delete it if it is worth nothing.
   *
   * @param {Transaction} tx
   * @param {number} history
   * @param {string | null} lineage
   * @param {boolean} isKept
   */
  async leave(tx, history, lineage, isKept) {
    // Another tab may have left edits there that are nowhere else.
    const others = await tx.list(this.key('pending', history))
    const rows = await tx.list(this.key('update', history))
    if (rows.length === 0) return
    if (isKept || others.length > 0) tx.put(this.key('aside', history), { lineage, at: Date.now() })
    else for (const [key] of rows) tx.delete(key)
  }

  /**
   * List the documents that were set aside.
   *
   * @returns {Promise<Aside[]>}
   */
  asides() {
    return this.transact(async tx => {
      /** @type {Aside[]} */
      const found = []
      for (const [key, { lineage, at }] of await tx.list(this.key('aside'))) {
        const id = Number(key.at(-1))
        const rows = await tx.list(this.key('update', id))
        if (rows.length > 0) found.push({ id, lineage, at, update: merged(rows.map(([, bytes]) => bytes)) })
      }
      return found
    })
  }

  /**
   * Delete a document that was set aside.
   *
   * @param {number} id
   * @returns {Promise<void>}
   */
  discard(id) {
    return this.transact(async tx => {
      tx.delete(this.key('aside', id))
      const parts = [...(await tx.list(this.key('update', id))), ...(await tx.list(this.key('pending', id)))]
      for (const [key] of parts) tx.delete(key)
    })
  }

  /**
   * @param {...(string | number)} parts
   * @returns {Key}
   */
  key(...parts) {
    return [this.room, ...parts]
  }

  /**
   * @param {Transaction} tx
   * @returns {Promise<Head | undefined>}
   */
  head(tx) {
    return tx.get(this.key('head'))
  }

  /**
   * Find the history to write to: another tab may have begun a new one, or deleted all. If it is one of the same
   * lineage, this document belongs there too; if not, the old one is where it stays.
   *
   * @param {Transaction} tx
   * @param {Y.Doc} doc
   * @returns {Promise<Head>} the present one
   */
  async place(tx, doc) {
    const head = await this.head(tx)
    if (head === undefined) return this.found(tx, doc)
    if (head.history === this.history) return head
    if (head.lineage === this.lineage) this.join(tx, doc, head)
    else tx.put(this.key('aside', this.history), { lineage: this.lineage, at: Date.now() })
    return head
  }

  /**
   * Take the place of a room of which nothing is kept, or nothing but what this session has just written.
   *
   * @param {Transaction} tx
   * @param {Y.Doc} doc
   * @returns {Promise<Head>}
   */
  async found(tx, doc) {
    const { history, lineage } = this
    const head = { history, lineage, refused: false }
    const first = await tx.get(this.key('update', history, this.session, 0))
    if (first === undefined) this.begin(tx, doc, history, lineage)
    else tx.put(this.key('head'), head)
    return head
  }

  /**
   * Begin a history with the document as it is.
   *
   * @param {Transaction} tx
   * @param {Y.Doc} doc
   * @param {number} history
   * @param {string | null} lineage
   * @param {number} [redactions]
   */
  begin(tx, doc, history, lineage, redactions = 0) {
    tx.put(this.key('head'), { history, lineage, refused: false, redactions })
    this.join(tx, doc, { history, lineage })
  }

  /**
   * Write the document to a history, and what follows too.
   *
   * @param {Transaction} tx
   * @param {Y.Doc} doc
   * @param {Pick<Head, 'history' | 'lineage'>} head
   */
  join(tx, doc, { history, lineage }) {
    tx.delete(this.key('pending', this.history, this.session))
    this.history = history
    if (this.owed !== null) tx.put(this.key('pending', history, this.session), this.owed)
    this.lineage = lineage
    this.rows = 0
    this.putRow(tx, Y.encodeStateAsUpdate(doc))
  }

  /**
   * @param {Transaction} tx
   * @param {Uint8Array} update
   */
  putRow(tx, update) {
    tx.put(this.rowKey(), update)
  }

  /** The key of another row. @returns {Key} */
  rowKey() {
    this.rows++
    return this.key('update', this.history, this.session, this.count++)
  }

  /**
   * Forget what this session owed, and what it took over, unless a tab that lives has added to it.
   *
   * @param {Transaction} tx
   * @param {number} history
   */
  async forgetOwed(tx, history) {
    this.owed = null
    tx.delete(this.key('pending', history, this.session))
    const inherited = this.inherited
    this.inherited = []
    for (const [key, owed] of inherited) {
      const now = await tx.get(key)
      if (now?.number === owed.number) tx.delete(key)
    }
  }

  /**
   * Make fewer rows of many: all of them, without what was deleted since, once the others are as large as the largest;
   * before that, the others. So each byte is rewritten a few times only.
   *
   * @param {Transaction} tx
   */
  async fold(tx) {
    const rows = await tx.list(this.key('update', this.history))
    rows.sort(([, a], [, b]) => a.length - b.length)
    const [largest] = rows.splice(-1)
    const size = rows.reduce((sum, [, bytes]) => sum + bytes.length, 0)
    const isWhole = size >= largest[1].length
    const folded = isWhole ? [...rows, largest] : rows
    if (folded.length < 2) return // the others are on their way
    const updates = folded.map(([, bytes]) => bytes)
    for (const [key] of folded) tx.delete(key)
    this.rows = Math.max(0, this.rows - folded.length)
    this.putRow(tx, isWhole ? compacted(updates) : merged(updates))
  }

  /**
   * @template T
   * @param {(tx: Transaction) => Promise<T>} work
   * @returns {Promise<T>}
   */
  transact(work) {
    return this.noted(this.storage.transact(work))
  }

  /**
   * @template T
   * @param {Promise<T>} work
   * @returns {Promise<T>}
   */
  noted(work) {
    const done = explained(this.room, work)
    const before = this.written
    this.written = Promise.all([before, done])
    this.written.catch(() => undefined)
    return done
  }
}

/**
 * Delete everything that is kept of a room.
 *
 * @param {Storage} storage
 * @param {string} room
 * @returns {Promise<void>}
 * @throws {StorageError}
 */
export const clear = (storage, room) =>
  explained(
    room,
    storage.transact(async tx => {
      for (const [key] of await tx.list([room])) tx.delete(key)
    })
  )

/**
 * @template T
 * @param {string} room
 * @param {Promise<T>} work
 * @returns {Promise<T>}
 */
const explained = (room, work) =>
  work.catch(error => {
    throw new StorageError(describe(error), {
      subject: `what is kept of room '${room}'`,
      remedy: 'check that this site may store data, and that there is space for it'
    })
  })

/**
 * @param {unknown} error
 * @returns {string}
 */
const describe = error =>
  error instanceof Error || error instanceof DOMException ? `${error.name}: ${error.message}` : String(error)

/**
 * Merge updates without the content of what was deleted since, which only a document knows.
 *
 * @param {Uint8Array[]} updates
 * @returns {Uint8Array}
 */
const compacted = updates => {
  const doc = new Y.Doc()
  doc.transact(() => {
    for (const update of updates) Y.applyUpdate(doc, update)
  })
  return Y.encodeStateAsUpdate(doc)
}
