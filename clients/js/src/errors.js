/**
 * The errors that Comity raises on purpose, named as in Python.
 *
 *     ComityError
 *     |- StateError                a typed edit or a schema that cannot be
 *     |  |- SchemaError            a schema that is not well formed
 *     |  |- InvalidValueError      a value that does not fit its field
 *     |  `- TransactionError       an edit in the wrong place, such as inside a Yjs observer
 *     `- RoomError
 *        `- TooLargeError          a value, name or document over its limit
 */

/** Any error that Comity raises on purpose. */
export class ComityError extends Error {
  /**
   * @param {string} what what happened, one clause
   * @param {{ subject?: string, remedy?: string }} [about] the thing it happened to, and what can be done about it
   */
  constructor(what, { subject = '', remedy = '' } = {}) {
    const head = subject === '' ? what : `${subject}: ${what}`
    super(remedy === '' ? head : `${head}; ${remedy}`)
    this.name = new.target.name
    this.what = what
    this.subject = subject
    this.remedy = remedy
  }
}

/** A typed edit or a schema that cannot be. */
export class StateError extends ComityError {}

/** A schema that is not well formed. */
export class SchemaError extends StateError {}

/** A value that does not fit its field; nothing was written. */
export class InvalidValueError extends StateError {}

/** An edit in the wrong place, such as inside a Yjs observer. */
export class TransactionError extends StateError {}

/** A room that cannot serve this request. */
export class RoomError extends ComityError {}

/** A value, name or document over its limit. */
export class TooLargeError extends RoomError {}
