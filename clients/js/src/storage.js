/** Storage: ordered bytes and small records under keys, in transactions; where replicas keep their documents. */

/** The parts of a key, which order it: all keys that begin with the same parts lie together. @typedef {Array<string | number>} Key */

/**
 * One transaction. Nothing but these methods may be awaited in it.
 *
 * @typedef {object} Transaction
 * @property {(key: Key) => Promise<any>} get undefined if there is nothing
 * @property {(prefix: Key) => Promise<Array<[Key, any]>>} list everything under longer keys that begin so
 * @property {(key: Key, value: unknown) => void} put bytes, or plain data
 * @property {(key: Key) => void} delete
 */

/**
 * A place to keep things. Transactions take place one after another, in the order of the calls, whichever tab or
 * process makes them, and each entirely or not at all.
 *
 * @typedef {object} Storage
 * @property {<T>(work: (transaction: Transaction) => Promise<T>) => Promise<T>} transact resolves once it is kept;
 *   rejects with what `work` threw, or with what kept it from being stored
 * @property {(changes: Array<[Key, unknown]>) => Promise<void>} write puts them all, or none, in the same order, but
 *   sooner where that is possible: this is what a page does before it is closed
 * @property {() => Promise<void>} close
 */

/**
 * Keep things in memory: they outlive the room that kept them, but not the process.
 *
 * @returns {Storage}
 */
export const memoryStorage = () => {
  /** @type {Map<string, unknown>} */
  const kept = new Map()
  /** @type {Promise<unknown>} */
  let last = Promise.resolve()
  /** @type {Storage['transact']} */
  const transact = work => {
    const done = last.then(() => transactIn(kept, work))
    last = done.catch(() => undefined)
    return done
  }
  return {
    transact,
    write: changes =>
      transact(async tx => {
        for (const [key, value] of changes) tx.put(key, value)
      }),
    close: () => Promise.resolve()
  }
}

/**
 * @template T
 * @param {Map<string, unknown>} kept
 * @param {(transaction: Transaction) => Promise<T>} work
 * @returns {Promise<T>}
 */
const transactIn = async (kept, work) => {
  /** What the transaction changes; undefined is deleted. @type {Map<string, unknown>} */
  const changed = new Map()
  const get = (/** @type {string} */ key) => (changed.has(key) ? changed.get(key) : kept.get(key))
  const result = await work({
    get: async key => get(JSON.stringify(key)),
    list: async prefix =>
      [...new Set([...kept.keys(), ...changed.keys()])]
        .filter(key => get(key) !== undefined)
        .map(key => /** @type {[Key, unknown]} */ ([JSON.parse(key), get(key)]))
        .filter(([key]) => isUnder(key, prefix)),
    put: (key, value) => void changed.set(JSON.stringify(key), value),
    delete: key => void changed.set(JSON.stringify(key), undefined)
  })
  for (const [key, value] of changed) {
    if (value === undefined) kept.delete(key)
    else kept.set(key, value)
  }
  return result
}

/**
 * @param {Key} key
 * @param {Key} prefix
 */
const isUnder = (key, prefix) => key.length > prefix.length && prefix.every((part, at) => part === key[at])
