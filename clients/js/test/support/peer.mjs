/**
 * A JavaScript replica for tests in other languages: reads one JSON object a line on stdin, answers one a line.
 *
 *     {"do": "open", "id"?, "client", "agent"?, "wall"?, "update"?}   a new replica; one of that id is forgotten
 *     {"do": "apply", "id"?, "update"}                                take in a Yjs update
 *     {"do": "edit", "id"?, "kind", "field", "op", "args"}            one typed edit; see EDITS below
 *     {"do": "transaction", "id"?, "edits": [...], "throws"?}         several in one; "throws" takes them back
 *     {"do": "resolve", "id"?, "kind", "field", "key"?, "strategy"}   "lastWriter" or "firstWriter"
 *     {"do": "wall", "id"?, "wall"}                                   set the wall clock, in ms since the Unix epoch
 *     {"do": "since", "id"?, "sv"?}                                   -> {"update", "sv"}; all of it without "sv"
 *     {"do": "state", "id"?}                                          -> {"state"}, see below
 *     {"do": "conflicts", "id"?}                                      -> {"conflicts"}
 *     {"do": "changes", "id"?}                                        -> {"changes"} since the last time
 *     {"do": "close", "id"?}                                          forget the replica; the process ends with stdin
 *
 * "id" tells several replicas in one process apart; it is "" if it is not given. Updates and state vectors are base64.
 * "wall" is a clock that stands still until it is set again; without it the replica has the machine's.
 *
 * Values cross as MessagePack in base64, so that nothing is lost: "args" is an array of such strings, of which those
 * that are stored are stored as they come. Positions are in items or characters (code points), as Python counts.
 * Everything below is MessagePack in base64, too:
 *
 *     state      [[kind, field, value], ...] by kind and field. A map is a map, a set an array in the order of its
 *                canonical bytes, a log and a list an array, a counter a number, a text its characters. What is empty
 *                is left out.
 *     conflicts  [[type, field, key, kind, [[value, author, client, stamp, deleted], ...], [ancestor] or []], ...]
 *     changes    [[kind, field, key, old, new, author, client, local, action], ...]; nil where there is none
 *
 * An answer has "ok": true, or "error" with the class of the error and "message"; after an error nothing has changed.
 */

import { createInterface } from 'node:readline'
import * as Y from 'yjs'
import { HybridClock } from '../../src/clock.js'
import { counter } from '../../src/counter.js'
import { StateDocument } from '../../src/document.js'
import { list } from '../../src/list.js'
import { log } from '../../src/log.js'
import { map } from '../../src/map.js'
import { decode } from '../../src/msgpack.js'
import { pack, Packed } from '../../src/pack.js'
import { register } from '../../src/register.js'
import { firstWriter, lastWriter } from '../../src/resolution.js'
import { set } from '../../src/set.js'
import { text } from '../../src/text.js'

const FIELDS = { register, map, set, counter, log, list, text }
const STRATEGIES = { firstWriter, lastWriter }

/** What each operation does with a field and its arguments: `stored` as they came, `plain` decoded. @type {any} */
const EDITS = {
  register: {
    set: (field, [value]) => field.set(value),
    clear: field => field.clear()
  },
  map: {
    set: (field, [, value], [key]) => field.set(key, value),
    delete: (field, _stored, [key]) => field.delete(key),
    clear: field => field.clear()
  },
  set: {
    add: (field, [element]) => field.add(element),
    delete: (field, [element]) => field.delete(element),
    clear: field => field.clear()
  },
  counter: {
    add: (field, _stored, [amount]) => field.add(amount),
    subtract: (field, _stored, [amount]) => field.subtract(amount)
  },
  log: {
    push: (field, stored) => field.push(...stored),
    prune: (field, _stored, [keep]) => field.prune({ keep })
  },
  list: {
    insert: (field, [, ...values], [index]) => field.insert(index, ...values),
    push: (field, values) => field.push(...values),
    set: (field, [, value], [index]) => field.set(index, value),
    delete: (field, _stored, [index, count]) => field.delete(index, count),
    move: (field, _stored, [index, to]) => field.move(index, to),
    clear: field => field.clear()
  },
  text: {
    insert: (field, _stored, [index, come, attributes]) =>
      field.insert(units(field, index), come, attributes),
    delete: (field, _stored, [index, length]) => field.delete(...range(field, index, length)),
    replace: (field, _stored, [index, length, come]) => field.replace(...range(field, index, length), come),
    format: (field, _stored, [index, length, attributes]) =>
      field.format(...range(field, index, length), attributes)
  }
}

/** How many code units so many characters take. */
const units = (field, characters) => [...field.value].slice(0, characters).join('').length

/** Where characters begin and how long they are, in code units. */
const range = (field, index, length) => {
  const start = units(field, index)
  return [start, units(field, index + length) - start]
}

class Replica {
  constructor({ client, agent, wall, update }) {
    const ydoc = new Y.Doc()
    ydoc.clientID = client
    if (update !== undefined) Y.applyUpdate(ydoc, bytes(update))
    this.wall = wall
    const clock = new HybridClock(() => this.wall ?? Date.now())
    this.document = new StateDocument(ydoc, { agent, clock })
    this.changes = []
    this.document.observe(changes => this.changes.push(...changes))
  }

  field({ kind, field }) {
    return FIELDS[kind]().bind(this.document, field)
  }

  edit(command) {
    const stored = (command.args ?? []).map(arg => new Packed(bytes(arg)))
    const plain = stored.map(arg => decode(arg.bytes))
    EDITS[command.kind][command.op](this.field(command), stored, plain)
  }

  transaction({ edits, throws }) {
    this.document.transaction(() => {
      for (const command of edits) this.edit(command)
      if (throws) throw new Error('as it was told to')
    })
  }

  state() {
    const found = this.document.fields().map(({ kind, name }) => [kind, name, this.valueOf(kind, name)])
    return found.filter(([, , value]) => value !== '').sort(byKindAndName)
  }

  valueOf(kind, name) {
    if (kind === 'text') return this.document.textValue(name)
    if (kind === 'counter') return this.document.counter(name)
    if (kind === 'log') return this.document.items(name).map(stored)
    const { cells } = this.document.cells(kind, name)
    if (kind === 'register') return stored(cells.get('')[0])
    if (kind === 'list')
      return this.document.ids(this.document.cells(kind, name)).map(id => stored(cells.get(id)[0]))
    const sorted = [...cells]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, [entry]]) => [key, stored(entry)])
    return kind === 'map' ? new Map(sorted) : sorted.map(([, element]) => element)
  }

  conflicts() {
    return this.document.conflicts().map(({ type, field, key, kind, rivals, ancestor }) => {
      const values = rivals.map(rival => [
        valueOf(rival, this.document),
        rival.author,
        rival.client,
        rival.stamp,
        rival.deleted
      ])
      return [type, field, key, kind, values, ancestor === undefined ? [] : [ancestor]]
    })
  }

  takeChanges() {
    const taken = this.changes
    this.changes = []
    return taken.map(({ kind, field, key, old, value, author, client, local, action }) =>
      [kind, field, key, old, value, author, client, local, action].map(item => item ?? null)
    )
  }
}

const stored = entry => new Packed(entry.packed)
const valueOf = (rival, document) => (rival.deleted ? null : new Packed(document.stored(rival)))
const byKindAndName = ([a, b], [c, d]) => (a === c ? (b < d ? -1 : 1) : a < c ? -1 : 1)
const bytes = text => new Uint8Array(Buffer.from(text, 'base64'))
const base64 = data => Buffer.from(data).toString('base64')
const packed = value => base64(pack(value, 500))

/** @type {Map<string, Replica>} */
const replicas = new Map()

const COMMANDS = {
  open: (_replica, command) => void replicas.set(command.id ?? '', new Replica(command)),
  apply: ({ document }, { update }) => Y.applyUpdate(document.ydoc, bytes(update)),
  edit: (replica, command) => replica.edit(command),
  transaction: (replica, command) => replica.transaction(command),
  resolve: (replica, command) =>
    void replica.field(command).resolve(STRATEGIES[command.strategy], command.key),
  wall: (replica, { wall }) => void (replica.wall = wall),
  since: ({ document: { ydoc } }, { sv }) => ({
    update: base64(Y.encodeStateAsUpdate(ydoc, sv === undefined ? undefined : bytes(sv))),
    sv: base64(Y.encodeStateVector(ydoc))
  }),
  state: replica => ({ state: packed(replica.state()) }),
  conflicts: replica => ({ conflicts: packed(replica.conflicts()) }),
  changes: replica => ({ changes: packed(replica.takeChanges()) }),
  close: (_replica, { id = '' }) => void replicas.delete(id)
}

const answer = command => {
  try {
    const replica = replicas.get(command.id ?? '')
    if (replica === undefined && command.do !== 'open') throw new Error(`no replica ${command.id ?? ''}`)
    return { ok: true, ...COMMANDS[command.do](replica, command) }
  } catch (error) {
    return { error: error.name, message: error.message }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`)
}
