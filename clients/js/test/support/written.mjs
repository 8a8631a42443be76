/**
 * Prints tests/vectors/javascript.json: for each of the documents of entries.json the Yjs update of a JavaScript session
 * that made the same edits. What it prints is the same at every run.
 */

import * as Y from 'yjs'
import { perform, read } from './vectors.js'

const written = read('entries.json').documents.map(session => ({
  name: session.name,
  update: Buffer.from(Y.encodeStateAsUpdate(perform(session).ydoc)).toString('base64')
}))

process.stdout.write(`${JSON.stringify(written, null, 1)}\n`)
