// Puts the stock provider of y-websocket into a room, for the tests: `node provider.mjs URL ROOM`.
//
// Takes one JSON array a line on standard input, [method, ...arguments], such as ["insert", 0, "text"]. Prints one JSON
// object a line whenever the document or the connection has changed: what the room's text, list and map hold.

import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const [url, room] = process.argv.slice(2)
const doc = new Y.Doc()
const text = doc.getText('text')
const list = doc.getArray('list')
const map = doc.getMap('map')
const lanes = doc.getMap('lanes')
const provider = new WebsocketProvider(url, room, doc, { WebSocketPolyfill: WebSocket, maxBackoffTime: 300 })
provider.awareness.setLocalStateField('agent', 'editor')

const methods = {
  insert: (index, chars) => text.insert(index, chars),
  delete: (index, length) => text.delete(index, length),
  push: (...values) => list.push(values),
  remove: (index, length) => list.delete(index, length),
  put: (key, value) => map.set(key, value),
  nest: (key, entries) => map.set(key, new Y.Map(Object.entries(entries))),
  disconnect: () => provider.disconnect(),
  connect: () => provider.connect()
}

function tell() {
  const agents = [...provider.awareness.getStates().values()].map(state => state.agent)
  const status = { connected: provider.wsconnected, synced: provider.synced, agents }
  const content = { text: text.toString(), list: list.toJSON(), map: map.toJSON(), lanes: lanes.size }
  process.stdout.write(JSON.stringify({ ...status, ...content }) + '\n')
}

doc.on('update', tell)
provider.on('status', tell)
provider.on('sync', tell)
provider.awareness.on('change', tell)
tell()

for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...values] = JSON.parse(line)
  doc.transact(() => methods[method](...values))
}
provider.destroy()
process.exit(0)
