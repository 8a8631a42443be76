"""The wire: y-protocols frames as every Yjs provider speaks them, and the frames of ``comity.v1``.

A frame is one binary WebSocket message: a varUint type, then its body.

======  ==================================  =========================================================
type    body                                class
======  ==================================  =========================================================
0, 0    varBytes state vector               SyncStep1
0, 1    varBytes update                     SyncStep2
0, 2    varBytes update                     Update
1       varBytes of awareness entries       Awareness
2       varUint 0, varString reason         Denied
3       nothing                             QueryAwareness
100     varUint kind, msgpack map           Welcome, Ack, Reject, Notice, Token, Call, Answer (``comity.v1``
                                            only)
======  ==================================  =========================================================

Source: the y-protocols specification (PROTOCOL.md of yjs/y-protocols), and docs/protocol.md.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, NoReturn

import msgpack

from .errors import ProtocolError
from .varint import read_bytes, read_string, read_uint, write_bytes, write_string, write_uint

SUBPROTOCOL: Final = "comity.v1"

SYNC: Final = 0
AWARENESS: Final = 1
AUTH: Final = 2
QUERY_AWARENESS: Final = 3
COMITY: Final = 100

STEP1: Final = 0
STEP2: Final = 1
UPDATE: Final = 2

# The codes of notices that no end of a connection follows.
ENDING: Final = 4210  # the room is erased at that time, unless it is needed before
RENEWED: Final = 4211  # it was needed, and is not erased before that time


class SyncStep1(NamedTuple):
    """Asks for everything that this state vector does not cover."""

    state_vector: bytes


class SyncStep2(NamedTuple):
    """Answers a step 1 with the update that was missing."""

    update: bytes


class Update(NamedTuple):
    """An update as it happens."""

    update: bytes


class Presence(NamedTuple):
    """One client's awareness: its JSON text, or None when it has gone."""

    client: int
    clock: int
    state: str | None


class Awareness(NamedTuple):
    """The awareness of some clients."""

    entries: tuple[Presence, ...]


class Denied(NamedTuple):
    """Permission denied, and why."""

    reason: str


class QueryAwareness(NamedTuple):
    """Asks for the awareness of everyone."""


class Welcome(NamedTuple):
    """The first frame to a ``comity.v1`` client: who it is here, and which history the room has.

    access holds "read" and perhaps "write"; limits maps a limit's name to bytes or counts; erased names the histories
    that rooms of this name had before they were erased; redactions counts how often what a person wrote was taken out
    of this one.
    """

    lineage: str
    principal: str
    access: tuple[str, ...]
    limits: dict[str, int]
    server: str
    erased: tuple[str, ...] = ()
    redactions: int = 0


class Ack(NamedTuple):
    """The first n document updates of this connection are on disk."""

    n: int


class Reject(NamedTuple):
    """Document update n of this connection was not applied and will not be.

    retry_after is in seconds; None means never.
    """

    n: int
    code: int
    reason: str
    retry_after: float | None = None


class Notice(NamedTuple):
    """Something a client should know: its code is a close code that may follow, or one of those below.

    retry_after tells in how many seconds to come back, if the connection ends; None leaves that to the client. at is
    the moment that it is about, in ms since the Unix epoch by the server's clock, if it is about one.
    """

    code: int
    text: str
    retry_after: float | None = None
    at: int | None = None


class Token(NamedTuple):
    """A fresh token for this connection."""

    token: str


class Call(NamedTuple):
    """Asks the server for something about the room beside its document, such as its history.

    The id is the client's own: the answer bears it. docs/protocol.md lists the methods and their parameters.
    """

    id: int
    method: str
    params: dict[str, Any]


class Failure(NamedTuple):
    """Why a call failed: a close code, which ends nothing here, in words, and the limit that was passed, if any.

    retry_after is in seconds; None means never, or unknown.
    """

    code: int
    reason: str
    limit: str = ""
    retry_after: float | None = None


class Answer(NamedTuple):
    """Answers the call of an id: with its result, or with an error."""

    id: int
    result: Any = None
    error: Failure | None = None


Control = Welcome | Ack | Reject | Notice | Token | Call | Answer
Frame = SyncStep1 | SyncStep2 | Update | Awareness | Denied | QueryAwareness | Control

_KINDS: Final[tuple[type[Any], ...]] = (Welcome, Ack, Reject, Notice, Token, Call, Answer)
_FIELD_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "lineage": (str,),
    "principal": (str,),
    "access": (list, tuple),
    "limits": (dict,),
    "server": (str,),
    "erased": (list, tuple),
    "redactions": (int,),
    "n": (int,),
    "code": (int,),
    "reason": (str,),
    "retry_after": (int, float, type(None)),
    "text": (str,),
    "at": (int, type(None)),
    "token": (str,),
    "id": (int,),
    "method": (str,),
    "params": (dict,),
    "result": (object,),
    "error": (dict, type(None)),
    "limit": (str,),
}
_TUPLES: Final = frozenset({"access", "erased"})
_SYNC_HEADS: Final = tuple(bytes((SYNC, step)) for step in (STEP1, STEP2, UPDATE))
_UPDATE_HEADS: Final = frozenset(_SYNC_HEADS[STEP2:])
_COMITY_HEAD: Final = write_uint(COMITY)
_ACK_HEAD: Final = _COMITY_HEAD + write_uint(_KINDS.index(Ack)) + b"\x81\xa1n"  # a msgpack map of one: "n"


def encode_sync(step: int, body: bytes) -> bytes:
    """Encode a sync frame: step is STEP1, STEP2 or UPDATE; body a state vector or an update."""
    return _SYNC_HEADS[step] + write_uint(len(body)) + body


def encode_ack(n: int) -> bytes:
    """Encode an ``Ack``: the same bytes as ``encode`` gives, for the one control frame that is sent per commit."""
    number: bytes = msgpack.packb(n)
    return _ACK_HEAD + number


def document_update(data: bytes) -> bytes | None:
    """Return the update that a whole SyncStep2 or Update frame carries, or None for every other frame.

    A shorter way than ``decode``, for the frames of every edit; what it passes over, ``decode`` reads or refuses.
    """
    if data[:2] not in _UPDATE_HEADS:
        return None
    update, at = read_bytes(data, 2)
    return update if at == len(data) else None


def encode_awareness(entries: Iterable[Presence]) -> bytes:
    """Encode an awareness frame."""
    body = [_encode_presence(entry) for entry in entries]
    return bytes((AWARENESS,)) + write_bytes(write_uint(len(body)) + b"".join(body))


def _encode_presence(entry: Presence) -> bytes:
    state = "null" if entry.state is None else entry.state
    return write_uint(entry.client) + write_uint(entry.clock) + write_string(state)


def encode(frame: Frame) -> bytes:
    """Encode any frame."""
    match frame:
        case Update(update):
            return encode_sync(UPDATE, update)
        case SyncStep1(state_vector):
            return encode_sync(STEP1, state_vector)
        case SyncStep2(update):
            return encode_sync(STEP2, update)
        case Awareness(entries):
            return encode_awareness(entries)
        case Denied(reason):
            return bytes((AUTH, 0)) + write_string(reason)
        case QueryAwareness():
            return bytes((QUERY_AWARENESS,))
        case _:
            return _encode_control(frame)


def _encode_control(frame: Control) -> bytes:
    body: bytes = msgpack.packb(_fields_of(frame))
    return _COMITY_HEAD + write_uint(_KINDS.index(type(frame))) + body


def _fields_of(frame: Control) -> dict[str, Any]:
    fields = frame._asdict()
    match frame:
        case Welcome():
            for name, usual in Welcome._field_defaults.items():
                if fields[name] == usual:
                    del fields[name]
        case Notice(at=None):
            del fields["at"]
        case Answer(error=None):
            del fields["error"]
        case Answer(error=Failure() as failure):
            del fields["result"]
            fields["error"] = failure._asdict()
        case _:
            pass
    return fields


def decode(data: bytes) -> Frame:
    """Decode one frame.

    Raises: ProtocolError, if it is malformed, truncated, has bytes left over, or its type is unknown.
    """
    kind, at = read_uint(data, 0)
    reader = _READERS.get(kind)
    if reader is None:
        raise ProtocolError(f"unknown message type {kind}", subject="frame", remedy="see docs/protocol.md")
    frame, at = reader(data, at)
    if at != len(data):
        raise ProtocolError(f"{len(data) - at} bytes left over after the message", subject="frame")
    return frame


def _read_sync(data: bytes, at: int) -> tuple[Frame, int]:
    step, at = read_uint(data, at)
    if step > UPDATE:
        raise ProtocolError(f"unknown sync step {step}", subject="frame")
    body, at = read_bytes(data, at)
    return (SyncStep1, SyncStep2, Update)[step](body), at


def _read_awareness(data: bytes, at: int) -> tuple[Frame, int]:
    body, at = read_bytes(data, at)
    count, inner = read_uint(body, 0)
    if count > len(body):
        raise ProtocolError(f"{count} awareness entries announced in {len(body)} bytes", subject="frame")
    entries = []
    for _ in range(count):
        client, inner = read_uint(body, inner)
        clock, inner = read_uint(body, inner)
        text, inner = read_string(body, inner)
        entries.append(Presence(client, clock, _checked_state(text)))
    if inner != len(body):
        raise ProtocolError("bytes left over after the awareness entries", subject="frame")
    return Awareness(tuple(entries)), at


def _checked_state(text: str) -> str | None:
    """Return the JSON text of an awareness state, or None for null.

    It goes out to every client as it came in, so it must be what their JSON parsers accept.
    """
    try:
        value = json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise ProtocolError("an awareness state that is not JSON", subject="frame") from None
    if value is not None and not isinstance(value, dict):
        raise ProtocolError("an awareness state that is not an object", subject="frame")
    return None if value is None else text


def _not_json(name: str) -> NoReturn:
    raise ValueError(name)


def _read_auth(data: bytes, at: int) -> tuple[Frame, int]:
    kind, at = read_uint(data, at)
    if kind != 0:
        raise ProtocolError(f"unknown auth message {kind}", subject="frame")
    reason, at = read_string(data, at)
    return Denied(reason), at


def _read_query(_data: bytes, at: int) -> tuple[Frame, int]:
    return QueryAwareness(), at


def _read_comity(data: bytes, at: int) -> tuple[Frame, int]:
    kind, at = read_uint(data, at)
    if kind >= len(_KINDS):
        raise ProtocolError(f"unknown {SUBPROTOCOL} message {kind}", subject="frame")
    try:
        fields = msgpack.unpackb(data[at:])
    except Exception:  # msgpack raises many kinds for bad input; all mean the same here
        raise ProtocolError(f"a {SUBPROTOCOL} message that is not msgpack", subject="frame") from None
    return _control(_KINDS[kind], fields), len(data)


def _control(cls: type[Any], fields: Any) -> Control:
    if not isinstance(fields, dict):
        raise ProtocolError(f"a {SUBPROTOCOL} message that is not a map", subject="frame")
    known = {name: fields[name] for name in cls._fields if name in fields}  # later versions may add fields
    for name, value in known.items():
        types = _FIELD_TYPES[name]
        if not isinstance(value, types) or (isinstance(value, bool) and object not in types):
            raise ProtocolError(f"field {name} of {cls.__name__} has the wrong type", subject="frame")
    for name in known.keys() & _TUPLES:
        known[name] = tuple(known[name])
    if known.get("error") is not None:
        known["error"] = _control(Failure, known["error"])
    try:
        frame: Control = cls(**known)
    except TypeError:
        raise ProtocolError(f"{cls.__name__} lacks a field", subject="frame") from None
    return frame


_READERS: Final[dict[int, Callable[[bytes, int], tuple[Frame, int]]]] = {
    SYNC: _read_sync,
    AWARENESS: _read_awareness,
    AUTH: _read_auth,
    QUERY_AWARENESS: _read_query,
    COMITY: _read_comity,
}
