// Puts a real provider into a room, to check the load against it: `node provider.mjs KIND URL ROOM LENGTH`.
//
// KIND is hocuspocus or y-websocket. Prints a line when it is synced, and another once the room's text has LENGTH characters:
// as a JSON object how many it has, and the state vector in hexadecimal digits.

import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const [kind, url, room, length] = process.argv.slice(2)
const doc = new Y.Doc()
const text = doc.getText('text')

const providers = {
  hocuspocus: () => {
    const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket })
    const provider = new HocuspocusProvider({ websocketProvider, name: room, document: doc })
    provider.attach()
    return provider
  },
  'y-websocket': () =>
    new WebsocketProvider(url, room, doc, { WebSocketPolyfill: WebSocket, disableBc: true })
}

function tell() {
  if (text.length < Number(length)) return
  const state = Buffer.from(Y.encodeStateVector(doc)).toString('hex')
  process.stdout.write(JSON.stringify({ length: text.length, state }) + '\n', () => process.exit(0))
}

let isSynced = false

function sync() {
  if (!isSynced) process.stdout.write('synced\n')
  isSynced = true
}

providers[kind]().on('synced', sync)
doc.on('update', tell)
