"""Origins: in which version each character of a text was written, by what its Yjs update says of it.

A delta says it, too, but costs a walk over the whole text for each version. Here the last state alone is read: its
characters are overwritten by marks that stand for client and version, as many as there were, and a document that takes
in the result shows them in their order.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final, NamedTuple

from pycrdt import Doc, Text

from ..structs import CONTENT, EMBED, TEXT, Struct, structs_of
from ..update import read_state_vector
from ..varint import write_uint
from .record import VersionRecord

# Characters that count one in UTF-16, as clocks do, and are three bytes in UTF-8: as many marks as there are of them.
_FIRST_MARK: Final = 0x0800
_MARKS: Final = 0xD800 - _FIRST_MARK


class Origin(NamedTuple):
    """The session that wrote something, and in which version; None if that is not kept."""

    client: int
    record: VersionRecord | None


class Origins:
    """Knows which version brought what of each client.

    Args:
        state_vector: that of the document before the first version.
    """

    def __init__(self, state_vector: bytes) -> None:
        known = read_state_vector(state_vector)
        self._ends: dict[int, list[int]] = {client: [clock] for client, clock in known.items()}
        self._records: dict[int, list[VersionRecord | None]] = {client: [None] for client in known}
        self._numbers: dict[Origin, int] = {}

    def follow(self, record: VersionRecord) -> None:
        """Note what a version brought; its update was applied already, so it is sound."""
        ends = {struct.client: struct.clock + struct.length for struct in structs_of(record.update)}
        for client, end in ends.items():
            known = self._ends.setdefault(client, [0])
            if end > known[-1]:
                known.append(end)
                self._records.setdefault(client, [None]).append(record)

    def runs(self, state: bytes, names: list[str]) -> dict[str, list[tuple[int, int, Origin]]]:
        """Return for texts of a document who wrote them: where each run of one origin begins, its length and origin.

        Args:
            state: the document as it is, as a Yjs update.
            names: the names of the texts.
        """
        marked = [_texts(self._marked(state, 1), names)]
        while _MARKS ** len(marked) < len(self._numbers):  # the first round has numbered them all
            marked.append(_texts(self._marked(state, _MARKS ** len(marked)), names))
        origins = list(self._numbers)
        found = {}
        for name, content in _texts(state, names).items():
            rounds = [_by_character(content, marks[name]) for marks in marked]
            found[name] = [
                (start, length, origins[_number(digits)]) for start, length, digits in _runs(zip(*rounds, strict=True))
            ]
        return found

    def _marked(self, state: bytes, divisor: int) -> bytes:
        """Return a document with one digit of its origin's number in the place of each character."""
        pieces: list[bytes] = []
        copied = 0
        for struct in structs_of(state):
            if struct.kind in (TEXT, EMBED):
                marks = "".join(
                    chr(_FIRST_MARK + number // divisor % _MARKS) * length for number, length in self._numbered(struct)
                ).encode()
                info = bytes((state[struct.begin] & ~CONTENT | TEXT,))
                place = state[struct.begin + 1 : struct.content]
                pieces += (state[copied : struct.begin], info, place, write_uint(len(marks)), marks)
                copied = struct.end
        return b"".join((*pieces, state[copied:]))

    def _numbered(self, struct: Struct) -> Iterator[tuple[int, int]]:
        """Yield the numbers of the origins of a struct, each with how much of it is of that origin."""
        client, at, end = struct.client, struct.clock, struct.clock + struct.length
        ends, records = self._ends.get(client, []), self._records.get(client, [])
        while at < end:
            nth = bisect_right(ends, at)
            record = records[nth] if nth < len(ends) else None
            stop = min(ends[nth], end) if nth < len(ends) else end
            yield self._numbers.setdefault(Origin(client, record), len(self._numbers)), stop - at
            at = stop


def _texts(state: bytes, names: list[str]) -> dict[str, str]:
    """Return what texts hold, an embedded object as one character."""
    doc: Doc[Any] = Doc()
    doc.apply_update(state)
    contents = {name: doc.get(name, type=Text).diff() for name in names}
    return {
        name: "".join(chunk if isinstance(chunk, str) else " " for chunk, _attributes in chunks)
        for name, chunks in contents.items()
    }


def _by_character(content: str, marks: str) -> str:
    """Return the marks of characters, of which some count two in UTF-16."""
    if len(content) == len(marks):
        return marks
    doubled = iter(marks)
    kept = []
    for character in content:
        kept.append(next(doubled))
        if ord(character) > 0xFFFF:
            next(doubled)
    return "".join(kept)


def _runs(digits: Iterator[tuple[str, ...]]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    start = 0
    for each, run in groupby(digits):
        length = sum(1 for _ in run)
        yield start, length, each
        start += length


def _number(digits: tuple[str, ...]) -> int:
    """Return the number of which the marks are the digits, the least first."""
    return sum((ord(digit) - _FIRST_MARK) * _MARKS**power for power, digit in enumerate(digits))
