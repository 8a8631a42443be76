/** Rooms: one room's document in this program, usable at once, kept in step with a server whenever there is one. */

import { ObservableV2 } from 'lib0/observable'
import * as Y from 'yjs'
import { Connection } from './connection.js'
import { StateDocument } from './document.js'
import { ConnectionFailedError, ErasedError, errorFor, LineageError } from './failures.js'
import { Journal } from './journal.js'
import { merged } from './merge.js'
import { Milestone } from './milestone.js'

/** How long closing waits for the server to acknowledge what is still under way. */
const CLOSE_WITHIN_MS = 5_000

/** @typedef {import('./connection.js').Status} Status */
/** @typedef {import('./errors.js').ComityError} ComityError */
/** @typedef {import('./journal.js').Aside} Aside */
/** @typedef {import('./storage.js').Storage} Storage */
/** @typedef {import('./uplink.js').Rejection} Rejection */

/**
 * Edits that the server refused, or that could not be carried over to another document.
 *
 * @typedef {object} Unmerged
 * @property {Uint8Array} update the edits, as a Yjs update
 * @property {Y.Doc | null} doc the whole document that they belong to, if they were found when it was replaced
 * @property {ComityError} error why
 */

/**
 * How a room is opened.
 *
 * @typedef {object} RoomOptions
 * @property {string} [agent] the name that this session's edits bear
 * @property {Record<string, unknown> | null} [presence] what to announce about this session
 * @property {Storage | null} [storage] where to keep the document; nothing outlives the program without it
 */

/**
 * A replica of one room. Edit `doc`, or the typed state that `state` gives, at once; edits travel by themselves.
 *
 * If the server refuses an edit, or the room turns out to have another history, the server's document takes the place
 * of this one: `doc`, `awareness` and what `state` gives are other objects from then on, and `document` tells so. If the
 * room was erased, nothing of the old document is kept, neither here nor in the storage.
 *
 * Events: `status` (Status), `document` (the new Y.Doc and the old one), `pending` (how many local updates are not
 * acknowledged), `rejected` (Unmerged, which the server refused), `aside` (Unmerged, which could not be carried over),
 * `notice` (Notice), `error` (ComityError: the server will not have this client, or the storage failed), `closed`.
 *
 * @extends {ObservableV2<{
 *   status: (status: Status) => void,
 *   document: (doc: Y.Doc, old: Y.Doc) => void,
 *   pending: (pending: number) => void,
 *   rejected: (unmerged: Unmerged) => void,
 *   aside: (unmerged: Unmerged) => void,
 *   notice: (notice: import('./wire.js').Notice) => void,
 *   error: (error: ComityError) => void,
 *   closed: () => void
 * }>}
 */
export class Room extends ObservableV2 {
  /**
   * @param {string} url the room's address, ws:// or wss://
   * @param {string} name
   * @param {RoomOptions & import('./link.js').LinkOptions} [options]
   */
  constructor(url, name, options = {}) {
    super()
    const { agent = '', storage = null } = options
    const presence = options.presence === undefined ? { agent, kind: 'agent' } : options.presence
    this.name = name
    this.agent = agent
    /** Why the server will not have this client, or why nothing more is done. @type {ComityError | null} */
    this.error = null
    /** Edits that the server refused, or that could not be carried over. @type {Unmerged[]} */
    this.unmerged = []
    this.durableTo = new Milestone()
    /** Refusals that nobody who waits was told of yet. @type {ComityError[]} */
    this.untold = []
    /** Those who wait for the first synchronisation. @type {Array<{ resolve: () => void, reject: (error: Error) => void }>} */
    this.syncing = []
    this.acknowledges = true
    this.absences = 0
    /** @type {Array<{ update: Uint8Array, isLocal: boolean }>} */
    this.turn = []
    /** @type {StateDocument | null} */
    this.typed = null
    /** @type {Promise<void> | null} */
    this.closing = null
    /** What kept the storage from being used. @type {ComityError | null} */
    this.storageError = null
    this.isLoaded = this.isLeft = false
    const isLocal = (/** @type {unknown} */ origin) => !(origin instanceof Journal)
    this.connection = new Connection(url, { ...options, presence, edits: true, isLocal, paused: true })
    this.uplink = /** @type {import('./uplink.js').Uplink} */ (this.connection.uplink)
    this.onUpdate = this.onUpdate.bind(this)
    this.doc.on('update', this.onUpdate)
    this.journal = storage === null ? null : new Journal(storage, name, this.doc)
    this.listen(this.connection)
    /** Resolves when what was kept is in the document. */
    this.loaded = this.start()
  }

  /** The document; another one after `document`. @returns {Y.Doc} */
  get doc() {
    return this.connection.doc
  }

  /** Who is here, and what they say about themselves. */
  get awareness() {
    return this.connection.awareness
  }

  /** `offline` without a connection, `syncing` until both sides have what the other had, then `live`. */
  get status() {
    return this.connection.status
  }

  /** The room's history that the document belongs to; null before it has met one. */
  get lineage() {
    return this.connection.hasMet ? this.connection.lineage : null
  }

  /** How many local updates the server has not acknowledged. */
  get pending() {
    return this.uplink.pending
  }

  /** The typed state in the document; another one after `document`. @returns {StateDocument} */
  get document() {
    this.typed ??= new StateDocument(this.doc, { agent: this.agent })
    return this.typed
  }

  /**
   * Give the document as the typed state of a schema; bind it anew after `document`.
   *
   * @template T
   * @param {{ bind: (document: StateDocument) => T }} schema
   * @returns {T}
   */
  state(schema) {
    return schema.bind(this.document)
  }

  /**
   * Wait until everything that the server had is here.
   *
   * @returns {Promise<void>} rejects if the server refused this client for good, or the room was closed
   */
  async synced() {
    if (this.error !== null) throw this.error
    if (this.status === 'live') return
    await new Promise((resolve, reject) => this.syncing.push({ resolve: () => resolve(undefined), reject }))
  }

  /**
   * Wait until every edit so far is on the server's disk; offline, until the server is back.
   *
   * @returns {Promise<void>} rejects if the server refused this client for good, or one of the edits (once for each
   *   refusal), or acknowledges nothing, or the room was closed
   */
  async durable() {
    await this.loaded
    const refusal = this.untold.shift()
    if (refusal !== undefined) throw refusal
    if (this.pending === 0) return
    if (this.error !== null) throw this.error
    if (!this.acknowledges) throw this.noAcknowledgements()
    await this.durableTo.reached(this.uplink.number)
  }

  /**
   * Wait until every edit so far is in the storage; at once if there is none.
   *
   * @returns {Promise<void>} rejects with a StorageError if it cannot be written
   */
  async saved() {
    await this.loaded
    this.flush()
    await this.journal?.written
    if (this.storageError !== null) throw this.storageError
  }

  /**
   * Work without the server until what this returns is called, or the last of several.
   *
   * @returns {() => void}
   */
  offline() {
    let isOver = false
    this.absences++
    this.connection.pause()
    return () => {
      if (isOver) return
      isOver = true
      this.absences--
      this.goOnline()
    }
  }

  /**
   * List the documents that were set aside in the storage, because the room turned out to have another history.
   *
   * @returns {Promise<Aside[]>}
   */
  async asides() {
    return (await this.journal?.asides()) ?? []
  }

  /**
   * Delete a document that was set aside in the storage.
   *
   * @param {number} id
   */
  async discard(id) {
    await this.journal?.discard(id)
  }

  /**
   * Leave the room, having given what is under way a moment to arrive. The document stays readable.
   *
   * @returns {Promise<void>}
   */
  close() {
    this.closing ??= this.finish().finally(() => this.leave())
    return this.closing
  }

  async start() {
    try {
      const kept = await this.journal?.load()
      if (kept !== undefined) this.restore(kept)
    } catch (error) {
      this.onStorageFailed(/** @type {ComityError} */ (error))
    }
    this.isLoaded = true
    this.flush()
    this.goOnline()
  }

  /** @param {import('./journal.js').Kept} kept */
  restore({ update, lineage, refused, pending }) {
    const { connection } = this
    if (update !== null) Y.applyUpdate(this.doc, update, this.journal)
    connection.lineage = lineage
    connection.hasMet = lineage !== null
    connection.mustReset = refused
    this.uplink.inherit(pending)
    if (pending > 0) this.emit('pending', [this.pending])
  }

  goOnline() {
    if (this.absences > 0 || !this.isLoaded || this.isLeft) return
    try {
      this.connection.resume()
    } catch (error) {
      this.fail(new ConnectionFailedError(String(error), { subject: this.connection.url }))
    }
  }

  /** @param {Connection} connection */
  listen(connection) {
    connection.on('status', status => this.onStatus(status))
    connection.on('document', (doc, old) => this.onDocument(doc, old))
    connection.on('acknowledged', number => this.onAcknowledged(number))
    connection.on('rejected', rejection => this.onRejected(rejection))
    connection.on('met', lineage => this.keep(journal => journal.adopt(lineage)))
    connection.on('notice', notice => this.emit('notice', [notice]))
    connection.on('refused', ({ code, reason }) => {
      const error = errorFor(code, reason, `room '${this.name}'`)
      this.fail(error)
      this.tell('error', error)
    })
  }

  /**
   * @param {Uint8Array} update
   * @param {unknown} origin
   */
  onUpdate(update, origin) {
    const isLocal = origin !== this.connection
    if (origin === this.journal) return
    if (isLocal) this.emit('pending', [this.pending])
    if (this.journal === null) return
    this.turn.push({ update, isLocal })
    if (this.turn.length === 1) queueMicrotask(() => this.flush())
  }

  /** Write the updates of this turn to the storage. */
  flush() {
    if (!this.isLoaded || this.turn.length === 0) return
    const turn = this.turn.splice(0)
    const updates = turn.map(({ update }) => update)
    const { number, pending } = this.uplink
    const owed = turn.some(({ isLocal }) => isLocal) ? { pending, number } : null
    this.keep(journal => journal.append(merged(updates), owed))
  }

  /**
   * Have the journal do something, if there is one; a failure ends it.
   *
   * @param {(journal: Journal) => Promise<void>} work
   */
  keep(work) {
    if (this.journal !== null) work(this.journal).catch(error => this.onStorageFailed(error))
  }

  /** @param {ComityError} error */
  onStorageFailed(error) {
    if (this.journal === null) return
    this.journal = null
    this.turn = []
    this.storageError = error
    this.tell('error', error)
  }

  /** @param {Status} status */
  onStatus(status) {
    if (status === 'live') this.onLive()
    this.emit('status', [status])
  }

  onLive() {
    this.acknowledges = this.uplink.acknowledges
    if (!this.acknowledges) this.durableTo.fail(this.noAcknowledgements())
    const { redactions } = this.connection
    if (redactions > 0) this.keep(journal => journal.redact(redactions))
    for (const waiter of this.syncing.splice(0)) waiter.resolve()
  }

  /** @param {number} number */
  onAcknowledged(number) {
    this.durableTo.advance(number)
    if (this.pending === 0) this.keep(journal => journal.settle())
    this.emit('pending', [this.pending])
  }

  /** @param {Rejection} rejection */
  onRejected({ after, update, error }) {
    const unmerged = { update, doc: null, error }
    this.unmerged.push(unmerged)
    this.tellWaiters(error, after)
    this.durableTo.advance(this.uplink.acknowledged)
    this.flush()
    this.keep(journal => journal.refuse())
    this.tell('rejected', unmerged)
  }

  /**
   * The server's document has taken the place of the old one.
   *
   * @param {Y.Doc} doc
   * @param {Y.Doc} old
   */
  onDocument(doc, old) {
    const { isErased, isOther, hasMet, lineage, redactions } = this.connection
    if (isErased) {
      this.onErased(doc, old)
      return
    }
    const isOwed = this.uplink.owes
    this.flush()
    doc.on('update', this.onUpdate)
    this.typed?.destroy()
    this.typed = null
    const origin = { lineage: hasMet ? lineage : null, redactions }
    this.keep(journal => journal.replace(doc, origin, isOther || isOwed))
    const unmerged = isOther || isOwed ? leftBehind(old, isOther ? null : doc, this.name) : null
    if (unmerged !== null && isOwed) {
      this.uplink.refused = this.uplink.number
      this.unmerged.push(unmerged)
      this.tellWaiters(unmerged.error, 0)
    }
    this.emit('document', [doc, old])
    if (unmerged !== null) this.tell('aside', unmerged)
  }

  /**
   * Another document has taken the place of one whose room was erased.
   *
   * @param {Y.Doc} doc
   * @param {Y.Doc} old
   */
  onErased(doc, old) {
    const { hasMet, lineage, redactions } = this.connection
    this.turn = []
    doc.on('update', this.onUpdate)
    this.typed?.destroy()
    this.typed = null
    this.keep(journal => journal.erase(doc, { lineage: hasMet ? lineage : null, redactions }))
    this.unmerged = []
    if (this.uplink.owes) {
      const what = 'the room was erased, and what was here of it'
      this.tellWaiters(new ErasedError(what, { subject: `room '${this.name}'` }), 0)
    }
    this.uplink.giveUp()
    this.durableTo.advance(this.uplink.number)
    this.emit('pending', [this.pending])
    this.emit('document', [doc, old])
  }

  /**
   * Tell those who wait for edits after one number, or whoever waits next, what became of them.
   *
   * @param {ComityError} error
   * @param {number} after
   */
  tellWaiters(error, after) {
    if (this.durableTo.fail(error, after) === 0) this.untold.push(error)
  }

  /**
   * Tell those who listen; what nobody listens to goes to the console, since edits or their safety are at stake.
   *
   * @param {'error' | 'rejected' | 'aside'} name
   * @param {any} what
   */
  tell(name, what) {
    if (this._observers.has(name)) this.emit(name, [what])
    else console.error(`Comity: room '${this.name}': ${name}`, what instanceof Error ? what : what.error)
  }

  /**
   * End it for everyone who waits.
   *
   * @param {ComityError} error
   */
  fail(error) {
    this.error = error
    this.durableTo.fail(error)
    for (const waiter of this.syncing.splice(0)) waiter.reject(error)
  }

  noAcknowledgements() {
    return new ConnectionFailedError('the server acknowledges no edits', {
      subject: this.connection.url,
      remedy: 'durable() needs a Comity server'
    })
  }

  /** Give what is under way a moment to arrive. */
  async finish() {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer
    const late = new Promise(resolve => {
      timer = setTimeout(resolve, CLOSE_WITHIN_MS)
    })
    await Promise.race([this.arrived().catch(() => undefined), late])
    clearTimeout(timer)
  }

  async arrived() {
    await this.saved().catch(() => undefined)
    if (this.connection.socket !== null && this.acknowledges) {
      const broken = new Promise(resolve => this.connection.once('closed', () => resolve(undefined)))
      await Promise.race([this.durable(), broken])
    }
    await this.saved()
  }

  leave() {
    this.isLeft = true
    if (this.pending > 0 && this.acknowledges && this.journal === null) {
      console.warn(
        `Comity: room '${this.name}': closed with ${this.pending} local updates that the server has not ` +
          'acknowledged; give connect() a storage to keep such edits'
      )
    }
    this.doc.off('update', this.onUpdate)
    this.typed?.destroy()
    this.connection.destroy()
    this.fail(
      this.error ?? new ConnectionFailedError('the room was closed', { subject: `room '${this.name}'` })
    )
    this.emit('closed', [])
    this.destroy()
  }
}

/**
 * @param {Y.Doc} old
 * @param {Y.Doc | null} doc the document of the same history that took its place, or null if it is of another
 * @param {string} name
 * @returns {Unmerged}
 */
const leftBehind = (old, doc, name) => {
  const what = doc === null ? 'the room has another history now' : 'some edits build on one that was refused'
  const error = new LineageError(what, {
    subject: `room '${name}'`,
    remedy: 'make what is missing again, from the document that was set aside'
  })
  const vector = doc === null ? undefined : Y.encodeStateVector(doc)
  return { update: Y.encodeStateAsUpdate(old, vector), doc: old, error }
}
