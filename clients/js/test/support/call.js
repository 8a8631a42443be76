/** Calls of the server's methods, which the client has no other use for (docs/protocol.md). */

import * as encoding from 'lib0/encoding'
import { WebSocket } from 'ws'
import { encode } from '../../src/msgpack.js'
import { COMITY, SUBPROTOCOL } from '../../src/wire.js'

const CALL = 5
const ANSWER = 6

/**
 * Call a method about a room, and wait for the answer.
 *
 * @param {string} url the server's
 * @param {string} room
 * @param {string} method
 * @param {Record<string, unknown>} [params]
 * @returns {Promise<void>}
 */
export const call = (url, room, method, params = {}) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`${url}/ws/${room}?agent=operator`, [SUBPROTOCOL])
    socket.on('error', reject)
    socket.on('open', () => {
      const encoder = encoding.createEncoder()
      encoding.writeVarUint(encoder, COMITY)
      encoding.writeVarUint(encoder, CALL)
      encoding.writeUint8Array(encoder, encode({ id: 1, method, params }))
      socket.send(encoding.toUint8Array(encoder))
    })
    socket.on('message', data => {
      const [type, kind] = new Uint8Array(/** @type {Buffer} */ (data))
      if (type !== COMITY || kind !== ANSWER) return
      socket.close()
      resolve()
    })
  })
