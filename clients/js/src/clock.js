/**
 * A hybrid logical clock in one integer.
 *
 * Source: S. Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed Databases"
 * (2014). Wall time and logical counter share one integer below 2^53.
 */

/** 2020-01-01T00:00:00Z, in milliseconds since the Unix epoch. */
export const EPOCH_MS = 1_577_836_800_000
/** More edits a millisecond than one writer makes; leaves 41 bits of time, until 2089. */
export const TICKS_PER_MS = 4096
/** Clocks without time synchronisation drift minutes, not hours. */
export const MAX_AHEAD_MS = 5 * 60 * 1000

/**
 * Return the wall time of a stamp, in milliseconds since the Unix epoch.
 *
 * @param {number} stamp
 * @returns {number}
 */
export const stampMs = stamp => Math.floor(stamp / TICKS_PER_MS) + EPOCH_MS

/** Makes stamps that rise strictly, follow the wall clock and pass every stamp seen. */
export class HybridClock {
  /**
   * @param {() => number} [now] the wall clock, in milliseconds since the Unix epoch
   * @param {number} [offset] where the counter of each millisecond begins, from 0 to 4,095: with one of its own a
   *   session rarely makes a stamp that another one makes, too
   */
  constructor(now = Date.now, offset = 0) {
    this.now = now
    this.offset = offset
    this.last = 0
  }

  /** Return a stamp greater than every stamp made or seen. */
  tick() {
    const stamp = (Math.floor(this.now()) - EPOCH_MS) * TICKS_PER_MS + this.offset
    this.last = stamp > this.last ? stamp : this.last + 1
    return this.last
  }

  /**
   * Move past a stamp that somebody else made. One that lies more than MAX_AHEAD_MS ahead of the wall clock is not
   * followed: a single broken clock would otherwise drag everybody's along.
   *
   * @param {number} stamp
   */
  observe(stamp) {
    if (stamp > this.last && stampMs(stamp) <= this.now() + MAX_AHEAD_MS) this.last = stamp
  }
}
