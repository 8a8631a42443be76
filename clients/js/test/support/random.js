/**
 * Make a generator of numbers below 1 that are the same in each run.
 *
 * Source: mulberry32 of T. Ettinger (2017).
 *
 * @param {number} [seed]
 * @returns {() => number}
 */
export const seeded =
  (seed = 1) =>
  () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
