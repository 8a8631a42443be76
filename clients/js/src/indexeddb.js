/** IndexedDB as storage: what a browser keeps of an origin, shared by its tabs, after they are closed. */

/** @typedef {import('./storage.js').Key} Key */
/** @typedef {import('./storage.js').Storage} Storage */
/** @typedef {import('./storage.js').Transaction} Transaction */

/** The layout of the database; a later one would carry what is there over. */
const VERSION = 1
const STORE = 'records'

/**
 * Keep things in a database of the browser.
 *
 * @param {string} [name] the database's; two servers on one origin should have one each
 * @returns {Storage}
 */
export const indexedDBStorage = (name = 'comity') => {
  /** @type {Promise<IDBDatabase> | null} */
  let opened = null
  const forget = () => {
    opened = null
  }
  const database = () => {
    opened ??= open(name, forget)
    opened.catch(forget)
    return opened
  }
  return {
    transact: async work => transactIn(await database(), work),
    write: async changes => write(await database(), changes),
    close: async () => {
      const closing = opened
      forget()
      ;(await closing?.catch(() => undefined))?.close()
    }
  }
}

/**
 * @param {string} name
 * @param {() => void} onGone told when the database must be opened anew: somebody deletes it, or the browser took it away
 * @returns {Promise<IDBDatabase>}
 */
const open = (name, onGone) =>
  new Promise((resolve, reject) => {
    const request = globalThis.indexedDB.open(name, VERSION)
    request.onupgradeneeded = () => request.result.createObjectStore(STORE)
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const database = request.result
      database.onclose = onGone
      database.onversionchange = () => {
        onGone()
        database.close()
      }
      resolve(database)
    }
  })

/**
 * @template T
 * @param {IDBDatabase} database
 * @param {(transaction: Transaction) => Promise<T>} work
 * @returns {Promise<T>}
 */
const transactIn = (database, work) =>
  new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, 'readwrite')
    /** @type {T} */
    let result
    /** @type {unknown} */
    let failure
    transaction.oncomplete = () => resolve(result)
    transaction.onabort = () => reject(failure ?? transaction.error)
    const store = transaction.objectStore(STORE)
    // The first answer comes when it is this transaction's turn; nothing of `work` may run before.
    const begun = answer(store.getKey(['']))
    begun
      .then(() => work(methods(store)))
      .then(
        value => {
          result = value
          commit(transaction)
        },
        error => {
          failure = error
          abort(transaction)
        }
      )
  })

/**
 * Put without a look at what is there: the browser has it all at once, and writes it even if the page is closed now.
 *
 * @param {IDBDatabase} database
 * @param {Array<[Key, unknown]>} changes
 * @returns {Promise<void>}
 */
const write = (database, changes) =>
  new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, 'readwrite')
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error)
    const store = transaction.objectStore(STORE)
    for (const [key, value] of changes) store.put(value, key)
    commit(transaction)
  })

/**
 * @param {IDBObjectStore} store
 * @returns {Transaction}
 */
const methods = store => ({
  get: key => answer(store.get(key)),
  list: async prefix => {
    const range = under(prefix)
    const keys = answer(store.getAllKeys(range))
    const values = await answer(store.getAll(range))
    return (await keys).map((key, at) => [/** @type {Key} */ (key), values[at]])
  },
  put: (key, value) => void store.put(value, key),
  delete: key => void store.delete(key)
})

/**
 * Return the range of all longer keys that begin with a prefix: an array sorts behind every string and number.
 *
 * @param {Key} prefix
 */
const under = prefix => IDBKeyRange.bound(prefix, [...prefix, []], true, true)

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const answer = request =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/**
 * Have what was put written now.
 *
 * @param {IDBTransaction} transaction
 */
const commit = transaction => {
  try {
    transaction.commit()
  } catch {
    // It has ended by itself.
  }
}

/** @param {IDBTransaction} transaction */
const abort = transaction => {
  try {
    transaction.abort()
  } catch {
    // It has ended by itself.
  }
}
