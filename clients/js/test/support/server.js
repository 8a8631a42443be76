/**
 * A real server for the tests: `python -m comity serve` as a child process, by the Python of COMITY_PYTHON or else the
 * repository's own. Without one the tests that need it are skipped, or fail where COMITY_REQUIRE_ALL=1.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../../../..')
const PYTHON = process.env.COMITY_PYTHON ?? join(ROOT, '.venv', 'bin', 'python')
const ADDRESS = /ws:\/\/\S+:(\d+)/

/** Far more than anything takes, on a machine that is busy. */
const TIMEOUT_MS = 60_000

/** @type {string | false} */
const WHY_NOT =
  existsSync(PYTHON) || process.env.COMITY_REQUIRE_ALL === '1'
    ? false
    : `no server: ${PYTHON} is absent, and COMITY_PYTHON names no other`

/** A server process on a free port, which it keeps over restarts. */
export class Server {
  /**
   * @param {string} data its data directory
   * @param {Record<string, string | number>} settings
   */
  constructor(data, settings) {
    this.data = data
    this.settings = settings
    this.port = 0
    /** @type {import('node:child_process').ChildProcess | null} */
    this.process = null
  }

  get url() {
    return `ws://127.0.0.1:${this.port}`
  }

  async start() {
    const args = ['-m', 'comity', 'serve', '--port', String(this.port), '--data', this.data]
    const env = { ...process.env }
    for (const [name, value] of Object.entries(this.settings)) {
      env[`COMITY_${name.toUpperCase()}`] = String(value)
    }
    // Pipes of its own: should this process be killed, nobody waits for the end of the server's output.
    this.process = spawn(PYTHON, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.process.stderr?.pipe(process.stderr)
    for await (const line of createInterface({ input: /** @type {any} */ (this.process.stdout) })) {
      const found = ADDRESS.exec(line)
      if (found === null) continue
      this.port = Number(found[1])
      return
    }
    throw new Error('the server did not start')
  }

  /** @param {NodeJS.Signals} [signal] */
  async stop(signal = 'SIGKILL') {
    const { process } = this
    this.process = null
    if (process === null || process.exitCode !== null) return
    const ended = once(process, 'exit')
    process.kill(signal)
    await ended
  }

  /** Lose everything that it stored. */
  async lose() {
    await this.stop()
    rmSync(this.data, { recursive: true, force: true })
  }
}

/**
 * @param {Record<string, string | number>} [settings]
 * @returns {Promise<Server>}
 */
const started = async (settings = {}) => {
  const server = new Server(mkdtempSync(join(tmpdir(), 'comity-')), settings)
  await server.start()
  return server
}

/** One for all tests of a file that only need one to be there. @type {Promise<Server> | null} */
let shared = null

after(async () => (await shared)?.lose())

/** @typedef {(server: Server, context: import('node:test').TestContext) => Promise<void>} Body */

/**
 * Define a test that has a real server, which other tests of the file have used and will use.
 *
 * @param {string} name
 * @param {Body} body
 */
export const serverTest = (name, body) => {
  test(name, { skip: WHY_NOT, timeout: TIMEOUT_MS }, async context => {
    shared ??= started()
    await body(await shared, context)
  })
}

/**
 * Define a test that has a real server to itself.
 *
 * @param {string} name
 * @param {Body} body
 * @param {Record<string, string | number>} [settings] the server's, by name
 */
export const ownServerTest = (name, body, settings) => {
  test(name, { skip: WHY_NOT, timeout: TIMEOUT_MS }, async context => {
    const server = await started(settings)
    context.after(() => server.lose()) // also if the body never ends
    await body(server, context)
  })
}
