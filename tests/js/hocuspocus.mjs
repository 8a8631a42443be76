// Puts stock providers of Hocuspocus, all on one socket, into rooms, for the tests: `node hocuspocus.mjs URL [TIMEOUT]`.
// TIMEOUT is how long, in ms, the socket bears a server that is silent.
//
// Takes one JSON array a line on standard input: [method, ...arguments] for the socket, such as ["open", "a", "room"],
// which names a provider "a"; or [method, name, ...arguments] for that provider, such as ["insert", "a", 0, "text"].
// Prints one JSON object a line whenever anything has changed: the socket's status, and by name what each provider
// holds and was told.

import { createInterface } from 'node:readline'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import WebSocket from 'ws'

const socket = new HocuspocusProviderWebsocket({
  url: process.argv[2],
  WebSocketPolyfill: WebSocket,
  delay: 100,
  minDelay: 50,
  maxDelay: 300,
  messageReconnectTimeout: Number(process.argv[3] ?? 30000)
})
const seen = { status: 'connecting', codes: [], pings: 0 }
const sessions = new Map()

socket.on('status', ({ status }) => tell(() => (seen.status = status)))
socket.on('disconnect', ({ event }) => tell(() => seen.codes.push(event.code)))
socket.on('message', ({ data }) => tell(() => (seen.pings += data.byteLength === 1 ? 1 : 0)))

class Session {
  constructor(name, room, options) {
    this.log = { denied: null, closed: null, saved: 0, messages: [] }
    this.provider = new HocuspocusProvider({ ...options, name: room, websocketProvider: socket })
    this.doc = this.provider.document
    this.text = this.doc.getText('text')
    this.list = this.doc.getArray('list')
    this.map = this.doc.getMap('map')
    const { provider, log } = this
    provider.on('authenticationFailed', ({ reason }) => tell(() => (log.denied = reason)))
    provider.on('close', ({ event }) => tell(() => (log.closed = event.reason)))
    provider.on('stateless', ({ payload }) => tell(() => log.messages.push(payload)))
    provider.on('unsyncedChanges', ({ number }) => tell(() => (log.saved += number === 0 ? 1 : 0)))
    for (const event of ['authenticated', 'synced', 'awarenessChange']) provider.on(event, () => tell())
    this.doc.on('update', () => tell())
    provider.awareness?.setLocalStateField('agent', name)
    provider.attach()
  }

  insert(index, chars) {
    this.text.insert(index, chars)
  }
  delete(index, length) {
    this.text.delete(index, length)
  }
  push(...values) {
    this.list.push(values)
  }
  put(key, value) {
    this.map.set(key, value)
  }
  present(field, value) {
    this.provider.setAwarenessField(field, value)
  }
  stateless(payload) {
    this.provider.sendStateless(payload)
  }
  sync() {
    this.provider.forceSync()
  }
  attach() {
    this.provider.attach()
  }
  detach() {
    this.provider.detach()
  }
  flush() {
    this.provider.flushPendingUpdates()
  }

  async authenticate() {
    await this.provider.sendToken()
  }
  type(chars) {
    for (const char of chars) this.text.insert(this.text.length, char)
  }
  erase(count) {
    for (let n = 0; n < count; n++) this.text.delete(this.text.length - 1, 1)
  }

  now() {
    const { provider, log } = this
    const {
      synced,
      unsyncedChanges: unsaved,
      isAuthenticated: authenticated,
      authorizedScope: scope
    } = provider
    const agents = [...(provider.awareness?.getStates().values() ?? [])].map(state => state.agent)
    const content = { text: this.text.toString(), list: this.list.toJSON(), map: this.map.toJSON() }
    return { ...log, synced, unsaved, authenticated, scope, agents, ...content }
  }
}

const methods = {
  open: (name, room, options = {}) => sessions.set(name, new Session(name, room, options)),
  disconnect: () => socket.disconnect(),
  connect: () => socket.connect(),
  close: name => {
    sessions.get(name).provider.destroy()
    sessions.delete(name)
  }
}

function tell(change = () => {}) {
  change()
  const rooms = Object.fromEntries([...sessions].map(([name, session]) => [name, session.now()]))
  process.stdout.write(JSON.stringify({ ...seen, ...rooms }) + '\n')
}

tell()

for await (const line of createInterface({ input: process.stdin })) {
  const [method, name, ...values] = JSON.parse(line)
  if (methods[method]) await methods[method](name, ...values)
  else await sessions.get(name)[method](...values)
  tell()
}
process.exit(0)
