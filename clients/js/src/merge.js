/** Merging of updates, in time that grows with their number and not with its square. */

import * as Y from 'yjs'

/** Yjs looks at all the updates for each piece that it takes from one of them; few at a time cost it little. */
const AT_ONCE = 16

/**
 * Merge updates into one.
 *
 * @param {Uint8Array[]} updates at least one
 * @returns {Uint8Array}
 */
export const merged = updates => {
  let all = updates
  while (all.length > 1) {
    /** @type {Uint8Array[]} */
    const fewer = []
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const some = all.slice(at, at + AT_ONCE)
      fewer.push(some.length === 1 ? some[0] : Y.mergeUpdates(some))
    }
    all = fewer
  }
  return all[0]
}
