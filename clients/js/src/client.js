/** The client: opens rooms of one server. */

import { ConnectionFailedError, RoomNotFoundError } from './failures.js'
import { clear } from './journal.js'
import { Room } from './room.js'

/** @typedef {import('./link.js').LinkOptions} LinkOptions */
/** @typedef {import('./room.js').RoomOptions} RoomOptions */

const SCHEMES = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }

/** Opens the rooms of one server; it holds no connection of its own, each open room has one. */
export class Client {
  /**
   * @param {string} url
   * @param {RoomOptions & LinkOptions} [options]
   */
  constructor(url, options = {}) {
    this.url = url
    this.options = options
    /** @type {Set<Room>} */
    this.rooms = new Set()
  }

  /**
   * Open a room, usable at once whether the server is there or not.
   *
   * @param {string} name such as `shared/mission-1`
   * @param {RoomOptions & LinkOptions} [options] in place of those of the client
   * @returns {Room}
   * @throws {RoomNotFoundError} if that is no name of a room
   * @throws {ConnectionFailedError} if the server's address is not one, or there is no WebSocket
   */
  open(name, options = {}) {
    checkName(name)
    const chosen = { ...this.options, ...options }
    const room = new Room(roomUrl(this.url, name, chosen.agent ?? ''), name, chosen)
    this.rooms.add(room)
    room.on('closed', () => this.rooms.delete(room))
    return room
  }

  /**
   * Delete what the storage keeps of a room, which must not be open: unacknowledged edits too.
   *
   * @param {string} name
   */
  async forget(name) {
    const { storage } = this.options
    if (storage) await clear(storage, name)
  }

  /**
   * Close every room that is open.
   *
   * @returns {Promise<void>}
   */
  async close() {
    await Promise.all([...this.rooms].map(room => room.close()))
  }
}

/**
 * Return a client of the server at an address.
 *
 * @param {string} url `ws://host:port`
 * @param {RoomOptions & LinkOptions} [options]
 * @returns {Client}
 */
export const connect = (url, options = {}) => new Client(url, options)

/** @param {unknown} name */
const checkName = name => {
  if (typeof name === 'string' && name !== '') return
  throw new RoomNotFoundError('not a room name', {
    subject: String(name),
    remedy: "give a string such as 'shared/plan'"
  })
}

/**
 * Return the address of a room's WebSocket.
 *
 * @param {string} url
 * @param {string} name
 * @param {string} agent
 * @returns {string}
 * @throws {ConnectionFailedError} if the server's address is not one
 */
export const roomUrl = (url, name, agent) => {
  const parts = parsed(url)
  const base = parts.pathname.replace(/\/+$/, '').replace(/\/ws$/, '') // which stock providers are given with the address
  const path = name.split('/').map(encodeURIComponent).join('/')
  return `${parts.protocol}//${parts.host}${base}/ws/${path}?${new URLSearchParams({ agent })}`
}

/** @param {string} url */
const parsed = url => {
  const wrong = new ConnectionFailedError("not a server's address", {
    subject: url,
    remedy: 'write ws://host:port'
  })
  /** @type {URL} */
  let parts
  try {
    parts = new URL(url)
  } catch {
    throw wrong
  }
  const protocol = /** @type {Record<string, string | undefined>} */ (SCHEMES)[parts.protocol]
  if (protocol === undefined || parts.host === '') throw wrong
  return { protocol, host: parts.host, pathname: parts.pathname }
}
