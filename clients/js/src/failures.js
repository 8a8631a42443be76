/**
 * The errors of rooms and connections, named as in Python, and the close codes that stand for them.
 *
 *     ComityError
 *     |- ProtocolError             a frame that is malformed, truncated or unknown
 *     |- AccessError
 *     |  |- UnauthenticatedError   nobody the server knows
 *     |  `- ForbiddenError         somebody it knows, who may not
 *     |- RoomError
 *     |  |- RoomNotFoundError      a room name that cannot be, or a room that is gone
 *     |  |- LineageError           the replica belongs to another history of the room
 *     |  |- ErasedError            the room was erased, and what the replica held of it with it
 *     |  `- TooLargeError          a message or value over its limit
 *     |- OverloadError             come back later
 *     |  |- DrainingError          the server is shutting down
 *     |  |- TooSlowError           a reader that takes nothing for too long
 *     |  `- TooFastError           more than the limits allow
 *     |- ConnectionFailedError     no connection could be made or kept
 *     `- StorageError              what the browser keeps cannot be read or written
 */

import { ComityError, RoomError, TooLargeError } from './errors.js'

/** A frame that is malformed, truncated or unknown. */
export class ProtocolError extends ComityError {}

/** The principal may not do this. */
export class AccessError extends ComityError {}

/** The server does not know who is asking. */
export class UnauthenticatedError extends AccessError {}

/** The server knows who is asking, and the answer is no. */
export class ForbiddenError extends AccessError {}

/** There is no such room, or there cannot be one of that name. */
export class RoomNotFoundError extends RoomError {}

/** The replica belongs to another history of the room. */
export class LineageError extends RoomError {}

/** The room was erased, and what a replica held of it with it. */
export class ErasedError extends RoomError {}

/** The server cannot serve this now; come back with backoff. */
export class OverloadError extends ComityError {}

/** The server is shutting down. */
export class DrainingError extends OverloadError {}

/** A reader that took nothing for too long. */
export class TooSlowError extends OverloadError {}

/** A sender over its rate. */
export class TooFastError extends OverloadError {}

/** No connection to the server could be made or kept. */
export class ConnectionFailedError extends ComityError {}

/** What is kept on this machine cannot be read or written. */
export class StorageError extends ComityError {}

/** The close code that says that the room was erased. */
export const ERASED = 4410

/** @type {Record<number, typeof ComityError>} */
const BY_CLOSE_CODE = {
  1009: TooLargeError, // the standard's own, of a transport that read no further
  4400: ProtocolError,
  4401: UnauthenticatedError,
  4403: ForbiddenError,
  4404: RoomNotFoundError,
  4409: LineageError,
  [ERASED]: ErasedError,
  4413: TooLargeError,
  4503: DrainingError,
  4508: TooSlowError,
  4529: TooFastError
}

/**
 * Return the error that a close code and its reason stand for.
 *
 * @param {number} code
 * @param {string} reason
 * @param {string} [subject]
 * @returns {ComityError}
 */
export const errorFor = (code, reason, subject) => {
  const Kind = BY_CLOSE_CODE[code] ?? ConnectionFailedError
  return new Kind(reason || `closed with code ${code}`, { subject })
}

/**
 * Tell whether a close code means "do not come back as you are".
 *
 * @param {number} code
 * @returns {boolean}
 */
export const isPermanent = code => (code >= 4400 && code < 4500) || code === 1009
