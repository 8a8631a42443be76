/** States: the typed fields of a document, as a schema declares them. */

import { StateDocument } from './document.js'
import { InvalidValueError, SchemaError } from './errors.js'
import { ROOT } from './lanes.js'
import { child } from './path.js'
import { openTickets, settleUndeclared } from './tickets.js'

/** @typedef {import('./changes.js').Change} Change */
/** @typedef {import('./document.js').Conflict} Conflict */
/** @typedef {import('./field.js').Violation} Violation */
/** @typedef {import('./resolution.js').Strategy} Strategy */
/** @typedef {import('./tickets.js').Ticket} Ticket */

/**
 * What becomes a field, or a state within the state.
 *
 * @template F
 * @typedef {{ bind: (document: StateDocument, path: string, touch?: () => void) => F }} Bindable
 */

/** @typedef {Record<string, Bindable<any>>} Declarations */

/**
 * The fields that declarations become.
 *
 * @template {Declarations} D
 * @typedef {{ readonly [N in keyof D]: D[N] extends Bindable<infer F> ? F : never }} Fields
 */

/** Typed state over one document, or one part of it. Its fields are properties of it, under their names. */
export class State {
  /**
   * @param {StateDocument} document
   * @param {string} path where it lies, "" for the root
   * @param {Record<string, any>} fields
   */
  constructor(document, path, fields) {
    this.document = document
    this.path = path
    this.fields = fields
    for (const [name, field] of Object.entries(fields)) {
      Object.defineProperty(this, name, { value: field, enumerable: true })
    }
  }

  /**
   * Group edits into one update: all of them, or none if the function throws; reads inside see them at once.
   *
   * @template T
   * @param {() => T} edits must not be asynchronous
   * @returns {T}
   */
  transaction(edits) {
    return this.document.transaction(edits)
  }

  /**
   * Listen to the changes of this state: all those of one transaction at once.
   *
   * @param {(changes: Change[]) => void} listener
   * @returns {() => void} stops listening
   */
  observe(listener) {
    return this.document.observe(changes => {
      const own =
        this.path === '' ? changes : changes.filter(({ field }) => field.startsWith(`${this.path}/`))
      if (own.length > 0) listener(own)
    })
  }

  /**
   * Make fields hold values, with as few edits as it takes, in one transaction; others stay as they are.
   *
   * @param {Record<string, any>} values by field
   * @throws {InvalidValueError} if a field is not known, or a value does not fit; nothing is written then
   */
  assign(values) {
    const unknown = Object.keys(values).find(name => !Object.hasOwn(this.fields, name))
    if (unknown !== undefined) {
      throw new InvalidValueError(`there is no field ${unknown}`, { subject: this.path || 'state' })
    }
    this.transaction(() => {
      for (const [name, value] of Object.entries(values)) this.fields[name].assign(value)
    })
  }

  /**
   * Delete what the fields hold, in one transaction.
   *
   * @param {(name: string) => boolean} [which] all of them, if nothing is given
   */
  clear(which = () => true) {
    const { document } = this
    this.transaction(() => {
      for (const name of Object.keys(this.fields).filter(which)) {
        document.deleteAt(child(this.path, name))
      }
    })
  }

  /** List the cells that are in conflict. @returns {Conflict[]} */
  conflicts() {
    return Object.values(this.fields).flatMap(field => field.conflicts())
  }

  /**
   * Settle the conflicts of all fields, in one transaction.
   *
   * @param {Strategy} [strategy] the last writer holds, if nothing is given
   * @returns {Conflict[]} as they were
   */
  resolve(strategy) {
    return this.transaction(() =>
      Object.values(this.fields).flatMap(field => field.resolve?.(strategy) ?? [])
    )
  }

  /** List the stored values that do not fit their fields, with their authors. @returns {Violation[]} */
  violations() {
    return Object.values(this.fields).flatMap(field => field.violations())
  }

  /** List the disputes about this state that wait for somebody's decision. @returns {Ticket[]} */
  tickets() {
    const tickets = openTickets(this.document, (ticket, value) => this.decide(ticket, value))
    return this.path === '' ? tickets : tickets.filter(({ field }) => field.startsWith(`${this.path}/`))
  }

  /**
   * @param {Ticket} ticket
   * @param {unknown} value
   */
  decide(ticket, value) {
    const field = this.fieldAt(ticket.field)
    if (typeof field?.settleOn === 'function') field.settleOn(ticket.key ?? '', value)
    else settleUndeclared(this.document, ticket, value)
  }

  /**
   * Return the field of a path.
   *
   * @param {string} path from the root of the document
   * @returns {any} undefined if the schema declares none
   */
  fieldAt(path) {
    for (const [name, field] of Object.entries(this.fields)) {
      const at = child(this.path, name)
      if (path === at) return field
      if (path.startsWith(`${at}/`)) return field.fieldAt?.(path)
    }
    return undefined
  }

  /** The values of all fields, as plain data. @returns {Record<string, any>} */
  toJSON() {
    return Object.fromEntries(Object.entries(this.fields).map(([name, field]) => [name, field.toJSON()]))
  }
}

/** Names that a State has for itself. */
const RESERVED = new Set([
  ...Object.getOwnPropertyNames(State.prototype),
  ...['document', 'path', 'fields', 'then', '__proto__', ROOT]
])

/**
 * What the fields of a state are called and what they hold.
 *
 * @template {Declarations} D
 */
export class Schema {
  /** @param {D} declarations */
  constructor(declarations) {
    for (const name of Object.keys(declarations)) {
      if (!RESERVED.has(name) && !name.startsWith('_') && !name.startsWith('$')) continue
      throw new SchemaError('a field may not bear this name', { subject: name, remedy: 'choose another' })
    }
    this.declarations = declarations
  }

  /**
   * Return the state of a document.
   *
   * @param {StateDocument | import('yjs').Doc} document a Yjs document gets a StateDocument without an agent's name
   * @param {string} [path] where it lies, "" for the root
   * @param {() => void} [touch] to be called in transactions that edit what would not show that the state is there
   * @returns {State & Fields<D>}
   */
  bind(document, path = '', touch = undefined) {
    const typed = document instanceof StateDocument ? document : new StateDocument(document)
    /** @type {Record<string, any>} */
    const fields = {}
    for (const [name, declaration] of Object.entries(this.declarations)) {
      fields[name] = declaration.bind(typed, child(path, name), touch)
    }
    return /** @type {State & Fields<D>} */ (new State(typed, path, fields))
  }
}

/**
 * Declare a state: its fields by name.
 *
 * @template {Declarations} D
 * @param {D} declarations fields, or other schemas for states within the state
 * @returns {Schema<D>}
 */
export const schema = declarations => new Schema(declarations)
