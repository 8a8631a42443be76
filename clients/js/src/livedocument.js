/** A Yjs document with an index of its typed cells, kept in step in both directions. */

import { onlyWriter, rootChange, Teller } from './changes.js'
import { HybridClock, TICKS_PER_MS } from './clock.js'
import { TransactionError } from './errors.js'
import { Lanes, ROOT } from './lanes.js'
import { LIMITS } from './limits.js'
import { LiveIndex } from './liveindex.js'
import { Roots } from './roots.js'
import { Staged } from './staged.js'

/** @typedef {import('yjs').Doc} Doc */
/** @typedef {import('yjs').Transaction} Transaction */
/** @typedef {import('./entry.js').Entry} Entry */
/** @typedef {import('./changes.js').Change} Change */
/** @typedef {import('./changes.js').FieldName} FieldName */
/** @typedef {import('./limits.js').Limits} Limits */

/**
 * Told of a transaction: its changes, and the fields whose values stayed while a rival of one of them came or went.
 *
 * @typedef {(changes: Change[], disputed: FieldName[]) => void} Listener
 */

/** @typedef {import('./liveindex.js').Place} Place */
/** @typedef {{ changes: Change[], disputed: FieldName[], places: Place[] }} News */

/**
 * Told of the cells that came into conflict, or got another rival.
 *
 * @typedef {(places: Place[]) => void} DisputeListener
 */

/** @type {Omit<News, 'places'>} */
const NOTHING_TOLD = { changes: [], disputed: [] }

/**
 * @typedef {object} Options
 * @property {string} [agent] the name that this session's edits bear
 * @property {HybridClock} [clock] stamps the edits
 * @property {Partial<Limits>} [limits] what the document takes
 */

/** The transactions, events and listeners of a state document. */
export class LiveDocument {
  /**
   * @param {Doc} ydoc its client id is the session's: one that was never used before
   * @param {Options} [options]
   */
  constructor(
    ydoc,
    { agent = '', clock = new HybridClock(Date.now, ydoc.clientID % TICKS_PER_MS), limits = {} } = {}
  ) {
    this.ydoc = ydoc
    this.agent = agent
    this.clock = clock
    /** @type {Readonly<Limits>} */
    this.limits = { ...LIMITS, ...limits }
    this.index = new LiveIndex()
    /** @type {Set<Listener>} */
    this.listeners = new Set()
    /** @type {Set<DisputeListener>} */
    this.disputeListeners = new Set()
    /** The transaction under way. @type {Staged | null} */
    this.staged = null
    /** The Yjs document changed in the middle of a typed transaction. */
    this.stale = false
    this.isDestroyed = false
    /** @type {import('./roots.js').RootChange[]} */
    this.rootChanges = []
    /** @type {News[]} */
    this.news = []
    this.delivering = false
    this.lanes = new Lanes(ydoc, {
      added: entry => this.enter(entry),
      removed: entry => this.index.drop(entry),
      isKnown: transaction => transaction.origin === this || this.staged !== null || this.stale
    })
    this.roots = new Roots(ydoc, ROOT, {
      listens: () => this.listeners.size > 0,
      changed: change => this.rootChanges.push(change),
      foundText: name => this.noteText(name)
    })
    this.index.settle(
      () => null,
      () => 0
    )
    this.onTransaction = this.onTransaction.bind(this)
    this.beforeTransaction = () => this.listen()
    this.deliver = this.deliver.bind(this)
    ydoc.on('beforeTransaction', this.beforeTransaction)
    ydoc.on('afterTransaction', this.onTransaction)
    ydoc.on('afterAllTransactions', this.deliver)
  }

  /** Stop following the document. */
  destroy() {
    this.isDestroyed = true
    this.ydoc.off('beforeTransaction', this.beforeTransaction)
    this.ydoc.off('afterTransaction', this.onTransaction)
    this.ydoc.off('afterAllTransactions', this.deliver)
    this.lanes.destroy()
    this.roots.destroy()
    this.listeners.clear()
    this.disputeListeners.clear()
  }

  /** This session's Yjs client id. */
  get client() {
    return this.ydoc.clientID
  }

  /** The agents that wrote, by the client id of their session. @returns {ReadonlyMap<number, string>} */
  get authors() {
    return this.lanes.authors
  }

  /**
   * Listen to typed changes: all those of one transaction at once, after it. What the document holds already is
   * not reported. A listener may edit: its edits are a transaction of their own. One that throws is reported on the
   * console and hurts nobody.
   *
   * @param {Listener} listener
   * @returns {() => void} stops listening
   */
  observe(listener) {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  // Transactions

  /**
   * Group edits into one update: they are seen at once here, and go out together, or not at all if the function
   * throws. A transaction inside another joins it.
   *
   * @template T
   * @param {() => T} edits must not be asynchronous
   * @returns {T} what the function returns
   * @throws {TransactionError} inside a transaction or observer of the Yjs document itself, or if somebody wrote into
   *   the Yjs document itself meanwhile; nothing of this transaction is written then
   */
  transaction(edits) {
    if (this.staged !== null) return edits()
    const staged = this.begin()
    this.index.noting = true
    try {
      const result = edits()
      this.checkEnded(result)
      this.staged = null
      this.commit(staged)
      return result
    } catch (error) {
      if (this.staged !== null) this.rollBack()
      throw error
    }
  }

  /**
   * Stage an edit in the transaction under way, or make it one of its own. It must have checked everything before
   * it stages anything.
   *
   * @param {(staged: Staged) => void} stage
   */
  edit(stage) {
    if (this.staged !== null) {
      stage(this.staged)
      return
    }
    const staged = this.begin()
    this.index.noting = this.listeners.size > 0
    try {
      stage(staged)
    } finally {
      this.staged = null
    }
    this.commit(staged)
  }

  /** Note steps if anybody wants to hear of them. */
  listen() {
    if (this.staged === null) this.index.noting = this.listeners.size > 0
  }

  /** @returns {Staged} */
  begin() {
    if (this.isDestroyed) {
      throw new TransactionError('an edit of a document that was closed or replaced', {
        subject: 'document',
        remedy: 'bind the state anew; nothing was written'
      })
    }
    const { _transaction, _transactionCleanups } = this.ydoc
    if (_transaction !== null || _transactionCleanups.length > 0) {
      throw new TransactionError('an edit inside a Yjs transaction or observer', {
        subject: 'document',
        remedy: "edit outside of it, or use the state's own transaction() and observe()"
      })
    }
    this.staged = new Staged()
    return this.staged
  }

  /** @param {unknown} result */
  checkEnded(result) {
    if (result instanceof Promise) {
      result.catch(() => {})
      throw new TransactionError('an asynchronous function as a transaction', {
        subject: 'document',
        remedy: 'await first, then edit; nothing typed was written'
      })
    }
    if (this.stale) {
      throw new TransactionError('the Yjs document was written to inside a typed transaction', {
        subject: 'document',
        remedy: "edit its own types outside of the state's transaction(); nothing typed was written"
      })
    }
  }

  rollBack() {
    this.staged = null
    this.index.undo()
    if (this.stale) this.catchUp()
  }

  /** Read the document whole, in place of all that was read before; the difference counts as a change. */
  catchUp() {
    this.stale = false
    this.listen()
    this.index.forgetAll()
    this.lanes.readAll()
    this.settle(() => null, false)
    this.deliver()
  }

  /** @param {Staged} staged */
  commit(staged) {
    if (staged.isEmpty) {
      this.index.takeSteps()
      return
    }
    this.ydoc.transact(() => staged.write(this.lanes, this.client, this.agent), this)
  }

  // Events

  /** @param {Entry} entry */
  enter(entry) {
    this.clock.observe(entry.stamp)
    this.index.add(entry)
  }

  /** @param {string} name */
  noteText(name) {
    const branch = this.index.branch(name)
    if (branch !== null) branch.text = name
  }

  /** @param {Transaction} transaction */
  onTransaction(transaction) {
    for (const change of this.roots.discover()) if (this.listeners.size > 0) this.rootChanges.push(change)
    if (this.staged !== null || this.stale) this.stale ||= transaction.changed.size > 0
    else this.settle(() => onlyWriter(transaction), transaction.local)
  }

  /**
   * Note what a transaction came to, for those who listen.
   *
   * @param {() => number | null} writer whose the deletions are
   * @param {boolean} local
   */
  settle(writer, local) {
    const places = this.index.settle(writer, () => this.clock.tick())
    const steps = this.index.takeSteps()
    const { changes, disputed } = this.listeners.size > 0 ? this.told(steps, writer, local) : NOTHING_TOLD
    if (changes.length + disputed.length + places.length > 0) this.news.push({ changes, disputed, places })
  }

  /**
   * @param {import('./steps.js').Step[]} steps
   * @param {() => number | null} writer
   * @param {boolean} local
   * @returns {Omit<News, 'places'>}
   */
  told(steps, writer, local) {
    const { rootChanges } = this
    this.rootChanges = []
    const teller = new Teller(steps, writer)
    const told = [...teller.changes(), ...rootChanges.map(change => rootChange(change, writer))]
    const changes = told.map(change => ({ ...change, author: this.authorOf(change.client), local }))
    return { changes, disputed: [...teller.quiet].map(({ kind, name }) => ({ kind, name })) }
  }

  /** @param {number | null} client */
  authorOf(client) {
    return client === null ? null : (this.authors.get(client) ?? '')
  }

  /** Tell the listeners, in the order of the transactions, also when one of them makes another. */
  deliver() {
    if (this.delivering || this.staged !== null) return
    this.delivering = true
    for (let news = this.news.shift(); news !== undefined; news = this.news.shift()) {
      this.tell(news)
    }
    this.delivering = false
  }

  /** @param {News} news */
  tell({ changes, disputed, places }) {
    if (places.length > 0) for (const listener of [...this.disputeListeners]) safely(() => listener(places))
    if (changes.length + disputed.length === 0) return
    for (const listener of [...this.listeners]) safely(() => listener(changes, disputed))
  }
}

/** @param {() => void} call */
const safely = call => {
  try {
    call()
  } catch (error) {
    console.error('comity: a listener failed', error)
  }
}
