/** State documents: the typed state that lies in a Yjs document, read, observed and edited. */

import { EditableDocument } from './editing.js'
import { openTicket, openTickets, settleUndeclared } from './tickets.js'

/** @typedef {import('./cells.js').Cells} Cells */
/** @typedef {import('./liveindex.js').Place} Place */
/** @typedef {import('./livedocument.js').Listener} Listener */
/** @typedef {import('./reading.js').Conflict} Conflict */
/** @typedef {import('./reading.js').Reading} Reading */
/** @typedef {import('./reading.js').Rival} Rival */
/** @typedef {import('./tickets.js').Ticket} Ticket */

/**
 * The typed state in a Yjs document. Reads come from an index that every transaction's events keep up to date; the
 * document itself is read once. Edits become Yjs updates, one for each edit or `transaction`.
 */
export class StateDocument extends EditableDocument {
  /** Fields whose conflicts become tickets, with the note on these. @type {Map<Cells, string>} */
  watched = new Map()

  /**
   * List the disputes that wait for somebody's decision.
   *
   * @returns {Ticket[]} by the paths of their cells
   */
  tickets() {
    return openTickets(this, (ticket, value) => settleUndeclared(this, ticket, value))
  }

  /**
   * From now on open a ticket for every conflict of a field of which one rival is this agent's.
   *
   * @param {Cells} cells
   * @param {string} note
   */
  watchDisputes(cells, note) {
    if (this.watched.size === 0) this.disputeListeners.add(places => this.openTickets(places))
    this.watched.set(cells, note)
  }

  /** @param {Place[]} places */
  openTickets(places) {
    this.transaction(() => {
      for (const { cells, key } of places) {
        const note = this.watched.get(cells)
        const conflict = note === undefined ? null : this.conflictOf(cells, key)
        if (conflict?.rivals.some(rival => this.isMine(rival))) openTicket(this, conflict, note ?? '')
      }
    })
  }

  /** @param {Rival} rival */
  isMine({ client, author }) {
    return client === this.client || (author !== '' && author === this.agent)
  }
}
