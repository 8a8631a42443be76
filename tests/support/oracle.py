"""What the ``websockets`` library makes of a stream of bytes, to compare with what a server makes of it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State


class Heard(NamedTuple):
    """What a side of a WebSocket hears.

    Attributes:
        messages: whole messages, in order: bytes, or text as its bytes.
        pings: what pings carried.
        pongs: what pongs carried.
        closed: the code of the peer's close frame, 1005 for none in it; None without a close frame.
        fault: the code to end a stream with that breaks the rules; None if it breaks none.
    """

    messages: tuple[tuple[Opcode, bytes], ...]
    pings: tuple[bytes, ...]
    pongs: tuple[bytes, ...]
    closed: int | None
    fault: int | None


def heard(chunks: Iterable[bytes], *, side: Side = Side.SERVER, limit: int | None = None) -> Heard:
    """Return what one side of an open WebSocket hears in a stream.

    Args:
        chunks: the stream as it comes in.
        side: who listens.
        limit: the largest message, in bytes.
    """
    protocol = Protocol(side, state=State.OPEN, max_size=limit)
    for chunk in chunks:
        protocol.receive_data(chunk)
    frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
    broken = protocol.parser_exc is not None
    return Heard(
        tuple(_messages(frames)),
        tuple(bytes(each.data) for each in frames if each.opcode is Opcode.PING),
        tuple(bytes(each.data) for each in frames if each.opcode is Opcode.PONG),
        None if protocol.close_rcvd is None else int(protocol.close_rcvd.code),
        int(protocol.close_sent.code) if broken and protocol.close_sent is not None else None,
    )


def _messages(frames: list[Frame]) -> Iterator[tuple[Opcode, bytes]]:
    parts: list[bytes] = []
    kind = Opcode.BINARY
    for each in frames:
        if each.opcode in (Opcode.TEXT, Opcode.BINARY):
            kind, parts = each.opcode, []
        elif each.opcode is not Opcode.CONT:
            continue
        parts.append(bytes(each.data))
        if each.fin:
            yield kind, b"".join(parts)
