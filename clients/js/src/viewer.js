/** What a page needs that follows rooms and writes nothing: the live page of the server is made of it. */

export { Connection } from './connection.js'
export { StateDocument } from './document.js'
