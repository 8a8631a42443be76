/** Comity's JavaScript client: reads, writes and follows the typed state of a room. */

export { Client, connect } from './client.js'
export { HybridClock } from './clock.js'
export { Connection } from './connection.js'
export { Counter, counter, GrowOnlyCounter, gcounter } from './counter.js'
export { StateDocument } from './document.js'
export {
  ComityError,
  InvalidValueError,
  RoomError,
  SchemaError,
  StateError,
  TooLargeError,
  TransactionError
} from './errors.js'
export {
  AccessError,
  ConnectionFailedError,
  DrainingError,
  ErasedError,
  ForbiddenError,
  LineageError,
  OverloadError,
  ProtocolError,
  RoomNotFoundError,
  StorageError,
  TooFastError,
  TooSlowError,
  UnauthenticatedError
} from './failures.js'
export { indexedDBStorage } from './indexeddb.js'
export { List, list } from './list.js'
export { Log, log } from './log.js'
export { map, MapField } from './map.js'
export { Float, float } from './pack.js'
export { Register, register } from './register.js'
export { firstWriter, lastWriter, manual, merge } from './resolution.js'
export { Room } from './room.js'
export { Rows, rows } from './rows.js'
export { GrowOnlySet, gset, set, SetField } from './set.js'
export { Schema, schema, State } from './state.js'
export { memoryStorage } from './storage.js'
export { Text, text } from './text.js'
export { Ticket } from './tickets.js'
export * as wire from './wire.js'
