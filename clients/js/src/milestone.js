/** Milestones: a number that rises, and those who wait for it. */

/** @typedef {{ value: number, resolve: () => void, reject: (error: Error) => void }} Waiter */

/** A count that only rises, and promises that settle when it has reached what they need. */
export class Milestone {
  constructor() {
    this.value = 0
    /** @type {Waiter[]} */
    this.waiters = []
  }

  /**
   * Wait until the count is at least a value.
   *
   * @param {number} value
   * @returns {Promise<void>} rejects with what `fail` was called with meanwhile
   */
  reached(value) {
    if (this.value >= value) return Promise.resolve()
    return new Promise((resolve, reject) => this.waiters.push({ value, resolve, reject }))
  }

  /**
   * Raise the count to a value, if it is below, and tell those who waited for it.
   *
   * @param {number} value
   */
  advance(value) {
    if (value <= this.value) return
    this.value = value
    const done = this.waiters.filter(waiter => waiter.value <= value)
    this.waiters = this.waiters.filter(waiter => waiter.value > value)
    for (const waiter of done) waiter.resolve()
  }

  /**
   * Reject those who wait for more than a value.
   *
   * @param {Error} error
   * @param {number} [after]
   * @returns {number} how many they were
   */
  fail(error, after = 0) {
    const failed = this.waiters.filter(waiter => waiter.value > after)
    this.waiters = this.waiters.filter(waiter => waiter.value <= after)
    for (const waiter of failed) waiter.reject(error)
    return failed.length
  }
}
