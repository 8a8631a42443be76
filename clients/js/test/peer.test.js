import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { decode } from '../src/msgpack.js'
import { float, pack } from '../src/pack.js'

const PEER = new URL('support/peer.mjs', import.meta.url).pathname

/** @param {unknown} value */
const packed = value => Buffer.from(pack(value)).toString('base64')

/** @param {string} text */
const unpacked = text => decode(new Uint8Array(Buffer.from(text, 'base64')))

test('the peer that other languages drive edits, tells what it holds, and takes updates', async () => {
  const peer = spawn(process.execPath, [PEER], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]()
  /** @param {Record<string, unknown>} command */
  const ask = async command => {
    peer.stdin.write(`${JSON.stringify(command)}\n`)
    return JSON.parse((await lines.next()).value)
  }
  /** @param {string} id @param {string} kind @param {string} field @param {string} op @param {...unknown} args */
  const edit = (id, kind, field, op, ...args) =>
    ask({ do: 'edit', id, kind, field, op, args: args.map(packed) })

  for (const client of [1, 2])
    await ask({ do: 'open', id: `${client}`, client, agent: `agent ${client}`, wall: 1.7e12 })
  assert.deepEqual(await edit('1', 'register', 'goal', 'set', float(1)), { ok: true })
  await edit('1', 'text', 'notes', 'insert', 0, 'a😀b')
  await edit('1', 'text', 'notes', 'delete', 2, 1)
  await edit('2', 'register', 'goal', 'set', 'x')
  assert.equal((await edit('2', 'list', 'l', 'set', 3, 'x')).error, 'InvalidValueError')
  const edits = [{ kind: 'counter', field: 'n', op: 'add', args: [packed(2)] }]
  assert.equal((await ask({ do: 'transaction', id: '2', edits, throws: true })).error, 'Error')
  const { update } = await ask({ do: 'since', id: '1' })
  await ask({ do: 'apply', id: '2', update })
  const { state } = await ask({ do: 'state', id: '1' })
  assert.deepEqual(unpacked(state), [
    ['register', 'goal', 1],
    ['text', 'notes', 'a😀']
  ])
  assert.ok(Buffer.from(state, 'base64').includes(Buffer.from(pack(float(1)))))
  const conflicts = /** @type {any} */ (unpacked((await ask({ do: 'conflicts', id: '2' })).conflicts))
  assert.deepEqual([conflicts[0][3], conflicts[0][4].length], ['type_mismatch', 2])
  assert.equal((await ask({ do: 'state', id: 'nobody' })).error, 'Error')
  peer.stdin.end()
  const [code] = await once(peer, 'exit')
  assert.equal(code, 0)
})
