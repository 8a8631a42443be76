/** The live page: rooms on the left, the state of one of them, and what happens to it. */

import { Connection, StateDocument } from './comity.js'
import { part, setText } from './dom.js'
import { Feed } from './feed.js'
import { nameIn, PAGE, showPresence } from './presence.js'
import { RoomList } from './rooms.js'
import { StateView } from './view.js'

/** @typedef {import('../../clients/js/src/changes.js').Change} Change */
/** @typedef {import('../../clients/js/src/changes.js').FieldName} FieldName */
/** @typedef {import('../../clients/js/src/connection.js').Status} Status */
/** @typedef {import('../../clients/js/src/connection.js').Refusal} Refusal */

/** Names of those who left, kept so that what they wrote stays theirs on the page. */
const MAX_NAMES = 5_000

/** @type {Record<Status | 'idle' | 'refused', string>} */
const STATUS_TEXT = {
  idle: '',
  offline: 'offline',
  syncing: 'syncing',
  live: 'live',
  refused: 'refused'
}

/** One room on show: its connection, its state, and the page's parts that follow them. */
class RoomPage {
  /**
   * @param {string} room
   * @param {() => void} onChange told when the room has changed
   */
  constructor(room, onChange) {
    this.room = room
    this.onChange = onChange
    /** Names by client id, from presence: for sessions that write no lane, such as editors. @type {Map<number, string>} */
    this.names = new Map()
    this.feed = new Feed()
    this.view = new StateView((client, name) => this.nameAuthor(client, name))
    this.following = false
    this.frame = 0
    this.connection = new Connection(socketAddress(room), {
      presence: { agent: 'page', kind: PAGE }
    })
    this.connection.on('status', status => this.onStatus(status))
    this.connection.on('refused', refusal => this.onRefused(refusal))
    this.connection.on('document', () => this.onNewHistory())
    this.state = new StateDocument(this.connection.doc)
    this.followPresence()
    this.onStatus('offline')
    this.feed.clear()
  }

  /** Leave the room. */
  close() {
    cancelAnimationFrame(this.frame)
    this.state.destroy()
    this.connection.destroy()
    this.connection.doc.destroy()
    this.view.show(null)
    this.feed.clear()
    showPresence(new Map())
  }

  /** @param {Status} status */
  onStatus(status) {
    showStatus(status)
    if (status === 'offline' && this.following) this.draw()
    if (status !== 'live') return
    showNotice('')
    if (!this.following) this.follow()
    this.draw()
  }

  /** Show the document, which has just become complete, and report what changes from here on. */
  follow() {
    this.following = true
    this.state.observe((changes, disputed) => this.onChanges(changes, disputed))
    this.view.show(this.state)
  }

  /**
   * @param {Change[]} changes
   * @param {FieldName[]} disputed
   */
  onChanges(changes, disputed) {
    for (const field of disputed) this.view.touched(field)
    for (const change of changes) {
      if (change.field.startsWith('$')) continue // Comity's own: marks of schemas, tickets
      this.view.changed(change)
      this.feed.add(change, change.client === null ? '' : this.nameAuthor(change.client, change.author ?? ''))
    }
    this.draw()
    this.onChange()
  }

  onNewHistory() {
    this.state.destroy()
    this.state = new StateDocument(this.connection.doc)
    this.following = false
    this.names.clear()
    this.feed.clear()
    this.view.show(null)
    this.followPresence()
  }

  /** @param {Refusal} refusal */
  onRefused({ code, reason }) {
    showStatus('refused')
    showNotice(`The server does not open this room to the page: ${reason || 'no reason given'} (${code}).`)
  }

  followPresence() {
    const { awareness } = this.connection
    awareness.on('change', () => {
      for (const [client, state] of awareness.getStates()) this.remember(client, nameIn(state))
      showPresence(awareness.getStates())
    })
    showPresence(awareness.getStates())
  }

  /**
   * @param {number} client
   * @param {string} name
   */
  remember(client, name) {
    if (name === '' || this.names.get(client) === name) return
    this.names.set(client, name)
    if (this.names.size <= MAX_NAMES) return
    const [oldest] = this.names.keys()
    this.names.delete(oldest)
  }

  /**
   * @param {number} client
   * @param {string} name what the document says
   * @returns {string}
   */
  nameAuthor(client, name) {
    return name || this.names.get(client) || ''
  }

  /** Draw with the next frame, once however much changes until then. */
  draw() {
    if (this.frame !== 0) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      this.feed.render()
      const fields = this.following ? this.view.render() : 0
      showWelcome(this.following && fields === 0 ? 'empty' : 'none', this.room)
    })
  }
}

/** @param {string} room */
const socketAddress = room => {
  const path = room.split('/').map(encodeURIComponent).join('/')
  const address = new URL(`ws/${path}?agent=page`, document.baseURI)
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  return address.href
}

/** @param {Status | 'idle' | 'refused'} status */
const showStatus = status => {
  const badge = part('status')
  badge.dataset.status = status
  setText(badge, STATUS_TEXT[status])
}

/** @param {string} text */
const showNotice = text => {
  const notice = part('notice')
  notice.hidden = text === ''
  setText(notice, text)
}

/**
 * @param {'none' | 'choose' | 'start' | 'empty'} which
 * @param {string} [room]
 */
const showWelcome = (which, room = 'shared/demo') => {
  part('welcome').hidden = which === 'none'
  if (which === 'none') return
  const texts = {
    choose: [
      'Choose a room',
      'Its state, and every change to it, will show here. To open a new one from Python:'
    ],
    start: ['No rooms yet', 'A room begins with its first edit. Run this, and watch it appear on the left:'],
    empty: ['Nothing in this room yet', 'What agents write to it will show here at once. From Python:']
  }
  setText(part('welcome-title'), texts[which][0])
  setText(part('welcome-text'), texts[which][1])
  setText(part('welcome-code'), example(room))
}

/**
 * @param {string} room
 * @returns {string} a Python program that works as printed
 */
const example = room => {
  const server = new URL('.', document.baseURI)
  server.protocol = server.protocol === 'https:' ? 'wss:' : 'ws:'
  return `import asyncio
import comity
from comity import Counter, Register, State

class Mission(State):
    goal: Register[str]
    spent: Counter

async def main() -> None:
    async with comity.connect(${JSON.stringify(server.href.replace(/\/$/, ''))}, agent="planner") as client:
        async with client.open(${JSON.stringify(room)}, Mission) as mission:
            mission.goal.set("ship it")
            mission.spent.add(120)
            await mission.durable()

asyncio.run(main())`
}

/** @returns {string} the room that the address names, "" for none */
const roomInAddress = () =>
  new URLSearchParams(location.hash.slice(1).replaceAll('+', '%2B')).get('room') ?? ''

/** @type {RoomPage | null} */
let open = null

const rooms = new RoomList(list => {
  if (open === null) showWelcome(list.length === 0 ? 'start' : 'choose')
})

const openAddressed = () => {
  const room = roomInAddress()
  if (open?.room === room) return
  open?.close()
  open = null
  showNotice('')
  rooms.select(room)
  setText(part('room-name'), room)
  document.title = room === '' ? 'Comity' : `${room} · Comity`
  if (room === '') {
    showStatus('idle')
    showWelcome(rooms.rooms.length === 0 ? 'start' : 'choose')
  } else {
    showWelcome('none')
    open = new RoomPage(room, () => rooms.refreshSoon())
  }
}

addEventListener('hashchange', openAddressed)
openAddressed()
void rooms.refresh()
