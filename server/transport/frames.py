"""Splits what a client sends into WebSocket frames, so that the common ones take a short way.

Source: RFC 6455, section 5.2, for the layout of a frame.
"""

from typing import Final, NamedTuple

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without a wheel
    from websockets.utils import apply_mask

_WHOLE_BINARY: Final = 0x82  # a binary message in one frame, without extensions
_MASKED: Final = 0x80
_FINAL: Final = 0x80
_OPCODE: Final = 0x0F
_CONTINUATION: Final = 0
_FIRST_CONTROL: Final = 8


class Piece(NamedTuple):
    """A part of what a client sent: a binary message, or bytes for whoever knows all of RFC 6455."""

    is_message: bool
    data: bytes


class Splitter:
    """Takes bytes as they come, and gives whole frames.

    A binary message in one frame comes out unmasked. Every other frame comes out as it came, and so does everything
    that follows a frame which is malformed or over the limit: it is for the protocol implementation behind to judge.

    Args:
        max_size: longest message, in bytes.
    """

    __slots__ = ("_is_fragmented", "_is_off", "_max_size", "_missing", "_rest")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._rest = bytearray()  # of a frame that is not complete: one piece, however small those are that it comes in
        self._missing = 0  # bytes, at least, until it may be
        self._is_fragmented = False
        self._is_off = False

    def feed(self, data: bytes) -> list[Piece]:
        """Take bytes, and return what became whole by them."""
        if self._is_off:
            return [Piece(False, data)]
        if self._rest:
            self._rest += data
            self._missing -= len(data)
            if self._missing > 0:
                return []
            data, self._rest = bytes(self._rest), bytearray()
        return self._split(data)

    def _split(self, data: bytes) -> list[Piece]:
        pieces: list[Piece] = []
        at, end = 0, len(data)
        while at < end:
            if end - at < 2:
                self._keep(data[at:], 1)
                break
            kind, length = data[at], data[at + 1]
            if not length & _MASKED:
                return self._give_up(pieces, data[at:])
            length &= 0x7F
            body = at + 6
            if length > 125:
                width = 2 if length == 126 else 8
                if end - at < 2 + width:
                    self._keep(data[at:], 2 + width - (end - at))
                    break
                length = int.from_bytes(data[at + 2 : at + 2 + width], "big")
                body += width
            if length > self._max_size:
                return self._give_up(pieces, data[at:])
            after = body + length
            if after > end:
                self._keep(data[at:], after - end)
                break
            if kind == _WHOLE_BINARY and not self._is_fragmented:
                pieces.append(Piece(True, apply_mask(data[body:after], data[body - 4 : body])))
            else:
                self._note(kind)
                pieces.append(Piece(False, data[at:after]))
            at = after
        return pieces

    def _keep(self, rest: bytes, missing: int) -> None:
        self._rest += rest
        self._missing = missing

    def _note(self, kind: int) -> None:
        if kind & _OPCODE < _FIRST_CONTROL:
            self._is_fragmented = not kind & _FINAL

    def _give_up(self, pieces: list[Piece], rest: bytes) -> list[Piece]:
        self._is_off = True
        pieces.append(Piece(False, rest))
        return pieces
