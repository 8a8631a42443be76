/** The list of rooms, as the server tells them. */

import { arrange, element, part, setText } from './dom.js'
import { showAge } from './format.js'

/** How often the list is asked for; a change in the room on show asks sooner. */
const REFRESH_MS = 4_000
/** Changes come in bursts; one question answers for all of a burst. */
const AFTER_CHANGE_MS = 600
/** More rooms than this are counted, and not listed. */
const MAX_ROOMS = 300

/**
 * @typedef {object} Room
 * @property {string} name
 * @property {string} lineage
 * @property {boolean} live
 * @property {number} connections
 * @property {number} seq
 * @property {number | null} updated milliseconds since the Unix epoch
 */

/** Keeps the list current for as long as the page is open. */
export class RoomList {
  /** @param {(rooms: Room[]) => void} listener told after every refresh */
  constructor(listener) {
    this.listener = listener
    this.list = part('rooms')
    this.note = part('rooms-note')
    this.selected = ''
    /** @type {Room[]} */
    this.rooms = []
    /** @type {Map<string, HTMLElement>} */
    this.items = new Map()
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined
    this.soon = false
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) void this.refresh()
    })
  }

  /** @param {string} name */
  select(name) {
    this.selected = name
    this.render()
  }

  /** Ask again shortly: something has changed. */
  refreshSoon() {
    if (this.soon) return
    this.soon = true
    this.schedule(AFTER_CHANGE_MS)
  }

  /** @param {number} pause */
  schedule(pause) {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.refresh(), pause)
  }

  async refresh() {
    this.soon = false
    if (!document.hidden) {
      try {
        this.rooms = await fetchRooms()
        setText(this.note, this.rooms.length > MAX_ROOMS ? `and ${this.rooms.length - MAX_ROOMS} more` : '')
        this.listener(this.rooms)
      } catch {
        setText(this.note, 'The server does not answer. Trying again.')
      }
      this.render()
    }
    this.schedule(REFRESH_MS)
  }

  render() {
    const names = this.rooms.slice(0, MAX_ROOMS)
    const missing = this.selected !== '' && !names.some(({ name }) => name === this.selected)
    const shown = missing ? [this.notYet(), ...names] : names
    for (const name of this.items.keys()) {
      if (!shown.some(room => room.name === name)) this.items.delete(name)
    }
    arrange(
      this.list,
      shown.map(room => this.item(room))
    )
  }

  /** @returns {Room} the selected room, which the server does not list (yet) */
  notYet() {
    const known = this.rooms.find(({ name }) => name === this.selected)
    return (
      known ?? {
        name: this.selected,
        lineage: '',
        live: false,
        connections: 0,
        seq: -1,
        updated: null
      }
    )
  }

  /**
   * @param {Room} room
   * @returns {HTMLElement}
   */
  item(room) {
    const item = this.items.get(room.name) ?? newItem(room.name)
    this.items.set(room.name, item)
    const link = /** @type {HTMLElement} */ (item.firstElementChild)
    if (room.name === this.selected) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
    item.dataset.live = String(room.live)
    setText(/** @type {Element} */ (link.lastElementChild), aboutRoom(room))
    return item
  }
}

/**
 * @returns {Promise<Room[]>}
 */
const fetchRooms = async () => {
  const response = await fetch('api/rooms', {
    headers: { accept: 'application/json' }
  })
  if (!response.ok) throw new Error(`the server answered ${response.status}`)
  return (await response.json()).rooms
}

/** @param {string} name */
const newItem = name => {
  const label = element('span', { class: 'name' }, name)
  const about = element('span', { class: 'quiet' })
  return element('li', { 'data-room': name }, element('a', { href: roomLink(name) }, label, about))
}

/**
 * Return the address of a room on this page.
 *
 * @param {string} name
 * @returns {string}
 */
export const roomLink = name => `#room=${encodeURIComponent(name).replaceAll('%2F', '/')}`

/** @param {Room} room */
const aboutRoom = ({ connections, seq, updated }) => {
  const edited = updated === null ? (seq === 0 ? 'nothing in it yet' : '') : showAge(updated)
  const here = connections === 0 ? '' : `${connections} connected`
  return [here, edited].filter(text => text !== '').join(' · ')
}
