/** Comity's JavaScript client: reads and follows the typed state of a room. */

export { Connection } from './connection.js'
export { StateDocument } from './document.js'
export * as wire from './wire.js'
