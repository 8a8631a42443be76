// Hocuspocus, storing to SQLite: `node hocuspocus.mjs PORT DATABASE`. Without a database it tells by what it would store.
//
// By its SQLite extension, or where the native module of that was not built for this Node, by the same statements over
// the SQLite of Node itself.

import { Database } from '@hocuspocus/extension-database'
import { Server } from '@hocuspocus/server'
import { DatabaseSync } from 'node:sqlite'

const [port, path] = process.argv.slice(2)

async function byExtension() {
  const { SQLite } = await import('@hocuspocus/extension-sqlite')
  const { default: BetterSqlite3 } = await import('better-sqlite3')
  new BetterSqlite3(':memory:').close()
  return { name: 'its SQLite extension', open: () => new SQLite({ database: path }) }
}

function byNode() {
  return { name: 'node:sqlite', open: openByNode }
}

function openByNode() {
  const database = new DatabaseSync(path)
  database.exec(
    'CREATE TABLE IF NOT EXISTS "documents" ("name" varchar(255) NOT NULL, "data" blob NOT NULL, UNIQUE(name))'
  )
  const select = database.prepare('SELECT data FROM "documents" WHERE name = ? ORDER BY rowid DESC')
  const upsert = database.prepare(
    'INSERT INTO "documents" ("name", "data") VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET data = excluded.data'
  )
  return new Database({
    fetch: async ({ documentName }) => select.get(documentName)?.data ?? null,
    store: async ({ documentName, state }) => {
      upsert.run(documentName, state)
    }
  })
}

const storage = await byExtension().catch(byNode)
if (path === undefined) {
  console.log(storage.name)
} else {
  const extensions = [storage.open()]
  await new Server({ address: '127.0.0.1', port: Number(port), quiet: true, extensions }).listen()
}
