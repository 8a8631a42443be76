"""The wire of Hocuspocus: frames that say which document they are for, so that one socket carries many.

A frame is one binary WebSocket message: a varString address, a varUint type, then the body. The address is the
document's name. A provider that shares a socket with another one for the same document appends "\\0" and an id of its
own.

======  ================================================  ===================================================
type    body                                              class
======  ================================================  ===================================================
0, 1    as in y-protocols                                 those of ``wire``
2, 0    varString token, varString version (from 4.0 on)  Credentials
2, 1    varString reason                                  PermissionDenied
2, 2    varString scope                                   Authenticated
3       nothing                                           ``wire.QueryAwareness``
5       varString payload                                 Stateless
7       nothing from a client, else varString reason      Close
8       varUint 1 or 0                                    SyncStatus
======  ================================================  ===================================================

A message of the one byte 9 is a ping of the whole socket, one of the byte 10 its answer.

Source: @hocuspocus/provider and @hocuspocus/common 4.8, OutgoingMessages, MessageReceiver.ts and auth.ts.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from . import wire
from .errors import ProtocolError
from .varint import read_string, read_uint, write_string

PING: Final = b"\x09"
PONG: Final = b"\x0a"

STATELESS: Final = 5
CLOSE: Final = 7
SYNC_STATUS: Final = 8

TOKEN: Final = 0
DENIED: Final = 1
AUTHENTICATED: Final = 2

SEPARATOR: Final = "\0"
# The types whose frames are those of y-protocols behind the address.
SHARED: Final = frozenset((wire.SYNC, wire.AWARENESS, wire.QUERY_AWARENESS))

Scope = Literal["read-write", "readonly"]


class Credentials(NamedTuple):
    """Asks for a document: a token, and the provider's version, which those before 4.0 do not tell."""

    token: str
    version: str | None = None


class PermissionDenied(NamedTuple):
    """The document is not for this client, and why."""

    reason: str


class Authenticated(NamedTuple):
    """The document is open; scope is "read-write" or "readonly"."""

    scope: str


class Stateless(NamedTuple):
    """Whatever an application says beside the document."""

    payload: str


class Close(NamedTuple):
    """The document is left, or taken away with a reason; the socket stays."""

    reason: str | None = None


class SyncStatus(NamedTuple):
    """One update is saved, or never will be."""

    is_saved: bool


Message = Credentials | PermissionDenied | Authenticated | Stateless | Close | SyncStatus

SAVED: Final = bytes((SYNC_STATUS, 1))
NOT_SAVED: Final = bytes((SYNC_STATUS, 0))


def split(data: bytes) -> tuple[str, bytes]:
    """Return the address of a frame, and the rest, which begins with the type.

    Raises: ProtocolError, if the address is malformed or nothing follows it.
    """
    address, at = read_string(data, 0)
    if at == len(data):
        raise ProtocolError("nothing after the document's name", subject="frame")
    return address, data[at:]


def room_of(address: str) -> str:
    """Return the name of the document that an address is for."""
    return address.partition(SEPARATOR)[0]


def encode(message: Message) -> bytes:
    """Encode a message, without the address."""
    match message:
        case Credentials(token, version):
            return bytes((wire.AUTH, TOKEN)) + write_string(token) + _optional(version)
        case PermissionDenied(reason):
            return bytes((wire.AUTH, DENIED)) + write_string(reason)
        case Authenticated(scope):
            return bytes((wire.AUTH, AUTHENTICATED)) + write_string(scope)
        case Stateless(payload):
            return bytes((STATELESS,)) + write_string(payload)
        case Close(reason):
            return bytes((CLOSE,)) + _optional(reason)
        case SyncStatus(is_saved):
            return SAVED if is_saved else NOT_SAVED


def decode(frame: bytes) -> Message | wire.Frame:
    """Decode what follows the address.

    Raises: ProtocolError, if it is malformed, truncated, has bytes left over, or its type is unknown.
    """
    kind, at = read_uint(frame, 0)
    if kind in SHARED:
        return wire.decode(frame)
    reader = _READERS.get(kind)
    if reader is None:
        raise ProtocolError(f"unknown message type {kind}", subject="frame", remedy="see docs/hocuspocus.md")
    message, at = reader(frame, at)
    if at != len(frame):
        raise ProtocolError(f"{len(frame) - at} bytes left over after the message", subject="frame")
    return message


def first_clock(update: bytes) -> tuple[int, int] | None:
    """Return the client and the clock of the first thing that an update inserts, None if it inserts nothing.

    Raises: ProtocolError, if the update ends before that.
    """
    sections, at = read_uint(update, 0)
    if not sections:
        return None
    _structs, at = read_uint(update, at)
    client, at = read_uint(update, at)
    clock, _ = read_uint(update, at)
    return client, clock


def _optional(text: str | None) -> bytes:
    return b"" if text is None else write_string(text)


def _read_optional(data: bytes, at: int) -> tuple[str | None, int]:
    return read_string(data, at) if at < len(data) else (None, at)


def _read_auth(data: bytes, at: int) -> tuple[Message, int]:
    kind, at = read_uint(data, at)
    if kind > AUTHENTICATED:
        raise ProtocolError(f"unknown auth message {kind}", subject="frame")
    text, at = read_string(data, at)
    if kind != TOKEN:
        return (PermissionDenied(text) if kind == DENIED else Authenticated(text)), at
    version, _ = _read_optional(data, at)
    return Credentials(text, version), len(data)  # later versions may add fields, as 4.0 did


def _read_stateless(data: bytes, at: int) -> tuple[Message, int]:
    payload, at = read_string(data, at)
    return Stateless(payload), at


def _read_close(data: bytes, at: int) -> tuple[Message, int]:
    reason, at = _read_optional(data, at)
    return Close(reason), at


def _read_status(data: bytes, at: int) -> tuple[Message, int]:
    status, at = read_uint(data, at)
    if status > 1:
        raise ProtocolError(f"unknown sync status {status}", subject="frame")
    return SyncStatus(status == 1), at


_READERS: Final[dict[int, Callable[[bytes, int], tuple[Message, int]]]] = {
    wire.AUTH: _read_auth,
    STATELESS: _read_stateless,
    CLOSE: _read_close,
    SYNC_STATUS: _read_status,
}
