/** Replicas for the tests: typed documents of sessions with known client ids, and what joins them. */

import * as Y from 'yjs'
import { HybridClock } from '../../src/clock.js'
import { StateDocument } from '../../src/document.js'
import { seeded } from './random.js'

/** 2023-11-14T22:13:20Z, at which the clocks of these replicas stand still. */
export const WALL = 1_700_000_000_000

/**
 * Make a replica.
 *
 * @param {number} client
 * @param {string} [agent]
 * @param {import('../../src/livedocument.js').Options} [options]
 */
export const replica = (client, agent = `agent ${client}`, options = {}) => {
  const ydoc = new Y.Doc()
  ydoc.clientID = client
  return new StateDocument(ydoc, { agent, clock: new HybridClock(() => WALL), ...options })
}

/**
 * Give a replica everything that others have.
 *
 * @param {StateDocument} document
 * @param {...StateDocument} others
 */
export const pull = (document, ...others) => {
  for (const { ydoc } of others) {
    Y.applyUpdate(document.ydoc, Y.encodeStateAsUpdate(ydoc, Y.encodeStateVector(document.ydoc)))
  }
}

/**
 * Give every replica everything.
 *
 * @param {...StateDocument} documents
 */
export const meet = (...documents) => {
  for (const document of documents) pull(document, ...documents.filter(other => other !== document))
}

/**
 * Collect the changes that a replica tells of, one list for each transaction.
 *
 * @param {StateDocument} document
 */
export const record = document => {
  /** @type {Array<import('../../src/changes.js').Change[]>} */
  const seen = []
  document.observe(changes => {
    if (changes.length > 0) seen.push(changes)
  })
  return seen
}

/**
 * Return the stored entries of a lane, segment by segment, decoded.
 *
 * @param {StateDocument} document
 * @param {number} client
 * @param {(bytes: Uint8Array) => any} read
 * @returns {any[][]}
 */
export const lane = ({ ydoc }, client, read) => {
  const found = /** @type {Y.Array<Y.Array<Uint8Array>>} */ (ydoc.getMap('lanes').get(String(client)))
  return found.toArray().map(segment => segment.toArray().map(read))
}

/**
 * Make a generator of whole numbers below another one, always the same for a seed.
 *
 * @param {number} seed
 */
export const generator = seed => {
  const random = seeded(seed)
  return (/** @type {number} */ below) => Math.floor(random() * below)
}
