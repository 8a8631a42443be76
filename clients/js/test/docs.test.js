import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

const PAGE = new URL('../../../docs/javascript.md', import.meta.url)
const BLOCK = /^```js\n(.*?)^```$/gms

/** Where the examples find what they import. @type {Record<string, string>} */
const MODULES = {
  comity: new URL('../src/index.js', import.meta.url).href,
  yjs: import.meta.resolve('yjs')
}

test('the examples of docs/javascript.md run one after the other', async context => {
  const blocks = [...readFileSync(PAGE, 'utf8').matchAll(BLOCK)].map(([, source]) => source)
  assert.ok(blocks.length > 5)
  const program = blocks.join('\n').replace(/ from '(comity|yjs)'/g, (_, name) => ` from '${MODULES[name]}'`)
  const folder = mkdtempSync(join(tmpdir(), 'comity-docs-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'page.mjs')
  writeFileSync(path, program)
  await import(pathToFileURL(path).href)
})
