"""How each server is spoken to: all carry the frames of y-protocols, each with something of its own around them."""

from typing import Final, NamedTuple

from benchmarks.peers.edits import Range, read_presence, read_ranges
from benchmarks.peers.failures import LoadError
from comity.crdt_types.varint import read_bytes, read_uint, write_bytes, write_string
from comity.crdt_types.wire import COMITY, SUBPROTOCOL, Ack, decode

# What a message holds, as far as the load cares.
EDITS: Final = 0
STEP2: Final = 1
STEP1: Final = 2
PRESENCE: Final = 3
ACK: Final = 4
OTHER: Final = 5
PING: Final = 6

_SYNC: Final = (0, 4)  # 4: Hocuspocus's answer that asks for none
_AWARENESS: Final = 1
_AUTH: Final = 2
_DENIED: Final = {False: 0, True: 1}  # of y-protocols, of Hocuspocus
_PING_TYPE: Final = 9
_PONG_TYPE: Final = 10
_STEP1_EMPTY: Final = b"\x00\x00\x01\x00"
_UPDATE: Final = b"\x00\x02"
_STEP2: Final = b"\x00\x01"
# What the provider says of itself with its token.
_PROVIDER: Final = "4.8.0"


class Message(NamedTuple):
    """A message as it was understood; n is the count of an ack."""

    kind: int
    ranges: tuple[Range, ...] = ()
    n: int = 0


class Dialect:
    """The frames of y-protocols and nothing else, at a path that ends in the room's name.

    Args:
        path: what stands before the room's name.
        subprotocol: the WebSocket subprotocol to ask for, if any.
    """

    is_enveloped = False

    def __init__(self, path: str = "/", subprotocol: str = "") -> None:
        self.subprotocol = subprotocol
        self._path = path

    def path(self, room: str) -> str:
        """Return the path of a room's connections."""
        return self._path + room

    def prefix(self, _room: str) -> bytes:
        """Return what stands before every message."""
        return b""

    def hello(self, room: str) -> list[bytes]:
        """Return the messages that a client begins with."""
        return [self.prefix(room) + _STEP1_EMPTY]

    def update(self, room: str, update: bytes) -> bytes:
        """Return the message of an update."""
        return self.prefix(room) + _UPDATE + write_bytes(update)

    def answer(self, room: str, update: bytes) -> bytes:
        """Return the message that answers a sync step 1."""
        return self.prefix(room) + _STEP2 + write_bytes(update)

    def presence(self, room: str, body: bytes) -> bytes:
        """Return the message of an awareness update."""
        return self.prefix(room) + bytes((_AWARENESS,)) + write_bytes(body)

    def pong(self, room: str) -> bytes:
        """Return the message that answers a ping of the application's."""
        return self.prefix(room) + bytes((_PONG_TYPE,))

    def read(self, data: bytes) -> Message:
        """Understand a message. Raises LoadError, if the server refuses something."""
        at = read_bytes(data, 0)[1] if self.is_enveloped else 0
        kind, at = read_uint(data, at)
        if kind in _SYNC:
            return _read_sync(data, at)
        if kind == _AWARENESS:
            return Message(PRESENCE, read_presence(read_bytes(data, at)[0]))
        if kind == COMITY:
            return _read_control(data)
        if kind == _AUTH and data[at] == _DENIED[self.is_enveloped]:
            raise LoadError(f"the server denied access: {data[at:].decode(errors='replace')}")
        return Message(PING if kind == _PING_TYPE else OTHER)


class Hocuspocus(Dialect):
    """Hocuspocus's envelope: before every frame of y-protocols stands the name of the document."""

    is_enveloped = True

    def path(self, room: str) -> str:
        """Return the one path for all rooms."""
        del room
        return "/"

    def prefix(self, _room: str) -> bytes:
        """Return the room's name."""
        return write_string(_room)

    def hello(self, room: str) -> list[bytes]:
        """Return a token, which nobody asks for here, and a sync step 1."""
        token = self.prefix(room) + bytes((_AUTH, 0)) + write_string("") + write_string(_PROVIDER)
        return [token, *super().hello(room)]


COMITY_V1: Final = Dialect("/ws/", SUBPROTOCOL)
PLAIN: Final = Dialect()
HOCUSPOCUS: Final = Hocuspocus()


def _read_sync(data: bytes, at: int) -> Message:
    step, at = read_uint(data, at)
    if step == 0:
        return Message(STEP1)
    return Message(STEP2 if step == 1 else EDITS, read_ranges(read_bytes(data, at)[0]))


def _read_control(data: bytes) -> Message:
    frame = decode(bytes(data))
    if isinstance(frame, Ack):
        return Message(ACK, n=frame.n)
    if type(frame).__name__ == "Welcome":
        return Message(OTHER)
    raise LoadError(f"the server says {frame}")
