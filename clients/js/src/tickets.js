/** Tickets: disputes that wait in a document for somebody's decision. */

import { CELL, LISTED, REGISTER } from './entry.js'
import { Packed } from './pack.js'
import { child } from './path.js'

/** @typedef {import('./document.js').StateDocument} StateDocument */
/** @typedef {import('./document.js').Conflict} Conflict */
/** @typedef {import('./document.js').Rival} Rival */

/** The map in a document that holds the open ones. */
export const TICKETS = '$tickets'

/**
 * A rival as a ticket stores it; without a value it is a deletion.
 *
 * @typedef {{ value?: unknown, author: string, client: number, stamp: number }} StoredRival
 */

/** @typedef {{ field: string, key: string | null, rivals: StoredRival[], note: string, by: string }} StoredTicket */

/** A dispute that waits for somebody's decision. */
export class Ticket {
  /**
   * @param {string} id
   * @param {StoredTicket[]} stored
   * @param {(ticket: Ticket, value: unknown) => void} settle
   */
  constructor(id, stored, settle) {
    const [{ field, key, note, by }] = stored
    this.id = id
    /** The path of the field. */
    this.field = field
    /** The map's key or the list item's id, null for a register. */
    this.key = key
    /** What whoever opened it had to say. */
    this.note = note
    /** The agent that opened it. */
    this.by = by
    /** The values when the ticket was opened, the latest first. */
    this.rivals = rivalsOf(stored)
    this.settle = settle
  }

  /**
   * Write the value decided on, or delete the cell if it is undefined, and close the ticket.
   *
   * @param {unknown} value
   * @throws {import('./errors.js').InvalidValueError} if the value does not fit the field; the ticket stays open then
   */
  resolve(value) {
    this.settle(this, value)
  }
}

/**
 * Two that opened a ticket at once may each know a rival that the other did not.
 *
 * @param {StoredTicket[]} stored
 */
const rivalsOf = stored => {
  const known = new Map()
  for (const { rivals } of stored) {
    for (const rival of rivals) {
      known.set(nameOf(rival), { ...rival, value: rival.value, deleted: !('value' in rival) })
    }
  }
  return [...known.values()].sort((a, b) => b.stamp - a.stamp || b.client - a.client)
}

/** @param {{ stamp: number, client: number }} rival */
const nameOf = ({ stamp, client }) => `${stamp} ${client}`

/**
 * Write a ticket for a conflict, unless there is one with these rivals already.
 *
 * @param {StateDocument} document
 * @param {Conflict} conflict
 * @param {string} note
 */
export const openTicket = (document, { field, key, rivals }, note) => {
  const place = key === null ? field : child(field, key)
  if (storedTickets(document, place).some(ticket => covers(ticket, rivals))) return
  const stored = rivals.map(rival => storedRival(document, rival))
  document.setCell(TICKETS, place, { field, key, rivals: stored, note, by: document.agent })
}

/**
 * @param {StateDocument} document
 * @param {Rival} rival
 */
const storedRival = (document, rival) => {
  const { author, client, stamp } = rival
  const bytes = document.stored(rival)
  return { ...(bytes === undefined ? {} : { value: new Packed(bytes) }), author, client, stamp }
}

/**
 * @param {StoredTicket} ticket
 * @param {Rival[]} rivals
 */
const covers = (ticket, rivals) => {
  const known = new Set(ticket.rivals.map(nameOf))
  return rivals.every(rival => known.has(nameOf(rival)))
}

/**
 * @param {StateDocument} document
 * @param {string} place
 * @returns {StoredTicket[]}
 */
const storedTickets = (document, place) => {
  const entries = document.cells('map', TICKETS)?.at(place) ?? []
  return entries.map(({ value }) => value).filter(isTicket)
}

/**
 * List the open tickets of a document by the paths of their cells.
 *
 * @param {StateDocument} document
 * @param {(ticket: Ticket, value: unknown) => void} write writes the value that a ticket comes to
 * @returns {Ticket[]}
 */
export const openTickets = (document, write) => {
  const places = [...(document.cells('map', TICKETS)?.cells.keys() ?? [])].sort()
  /** @param {Ticket} ticket @param {unknown} value */
  const settle = (ticket, value) =>
    document.transaction(() => {
      write(ticket, value)
      document.deleteCell(TICKETS, ticket.id)
    })
  return places.flatMap(place => {
    const stored = storedTickets(document, place)
    return stored.length > 0 ? new Ticket(place, stored, settle) : []
  })
}

/**
 * Write the value that a ticket comes to, into a field that no schema declares.
 *
 * @param {StateDocument} document
 * @param {Ticket} ticket
 * @param {unknown} value undefined to delete the cell
 */
export const settleUndeclared = (document, { field, key }, value) => {
  const isItem = key !== null && document.cells('list', field)?.cells.has(key)
  const code = key === null ? REGISTER : isItem ? LISTED : CELL
  if (value !== undefined) document.write(code, field, key ?? '', value)
  else if (isItem) document.removeItem(field, key)
  else document.replace(document.index.cells(code, field), key ?? '', null)
}

/**
 * Tell whether a stored value is a ticket: anybody may have written anything.
 *
 * @param {any} value
 * @returns {value is StoredTicket}
 */
const isTicket = value =>
  typeof value === 'object' &&
  value !== null &&
  ['field', 'note', 'by'].every(name => typeof value[name] === 'string') &&
  (value.key === null || typeof value.key === 'string') &&
  Array.isArray(value.rivals) &&
  value.rivals.length > 0 &&
  value.rivals.every(isRival)

/** @param {any} value */
const isRival = value =>
  typeof value === 'object' &&
  value !== null &&
  typeof value.author === 'string' &&
  Number.isInteger(value.client) &&
  Number.isInteger(value.stamp)
