"""Checks the bytes of updates and state vectors before they reach the document engine.

The engine (yrs) trusts what it decodes, and a process that hosts everyone's rooms cannot: values nested some ten
thousand deep overflow its stack, and clocks near 2^32 wrap around and leave pointers into nowhere. Both end the
process, not one request, so both are refused here, and so are empty structs, which it panics on. It also takes room
for as many entries as a state vector announces before it reads the first.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from comity.crdt_types.errors import ProtocolError
from comity.crdt_types.structs import (
    CONTENT,
    GC,
    MAX_CLOCK,
    PAST_END,
    SKIP,
    bad_length,
    check_rest,
    read_content,
    read_head,
    skip_place,
)
from comity.crdt_types.varint import read_uint

from .bounds import Bounds, Inspection

_NOTHING: Final[Mapping[int, int]] = MappingProxyType({})
_NO_DELETIONS: Final = b"\x00"


class Section(NamedTuple):
    """What an update brings of one client: clocks from ``begin`` up to ``end``, after ``needs`` without a gap.

    A document that has fewer than ``needs`` of the client's clocks has a gap before it.
    """

    client: int
    begin: int
    needs: int
    end: int


def vet(update: bytes, bounds: Bounds | None = None, known: Mapping[int, int] = _NOTHING) -> tuple[Section, ...]:
    """Check that an update is whole and cannot harm the engine, and return what it brings.

    Args:
        update: the update.
        bounds: what its typed entries are held to, if to anything.
        known: how many clocks of each client the room has already: what it has is not held to the bounds again.

    Raises:
        ProtocolError: it ends early, has bytes left over, holds something unknown, nests its values deeper than
            MAX_DEPTH, or has a clock above MAX_CLOCK.
        InvalidValueError, TooLargeError: an entry is out of bounds.
    """
    inspection = None if bounds is None else Inspection(bounds, known)
    try:
        sections, at = _read_sections(update, inspection)
        check_rest(update, at)
    except PAST_END:
        raise ProtocolError("the update ends early", subject="update") from None
    return sections


def without_deletions(update: bytes) -> bytes:
    """Return what a whole update inserts, without what it deletes."""
    _, at = _read_sections(update, None)
    return update[:at] + _NO_DELETIONS


def vet_state_vector(state: bytes) -> None:
    """Check that a state vector is whole and has as many entries as it announces.

    Raises: ProtocolError, if it ends early, has bytes left over, or has a clock above MAX_CLOCK.
    """
    count, at = read_uint(state, 0)
    if count * 2 > len(state) - at:
        raise ProtocolError("the state vector ends early", subject="state vector")
    for _ in range(count):
        _, at = read_uint(state, at)
        clock, at = read_uint(state, at)
        if clock > MAX_CLOCK:
            raise ProtocolError(f"a clock above {MAX_CLOCK}", subject="state vector")
    if at != len(state):
        raise ProtocolError(f"{len(state) - at} bytes left over", subject="state vector")


def _read_sections(data: bytes, inspection: Inspection | None) -> tuple[tuple[Section, ...], int]:
    count, at = read_uint(data, 0)
    sections = []
    for _ in range(count):
        section, at = _read_section(data, at, inspection)
        sections.append(section)
    return tuple(sections), at


def _read_section(data: bytes, at: int, inspection: Inspection | None) -> tuple[Section, int]:
    structs, client, clock, at = read_head(data, at)
    first = needs = clock
    for _ in range(structs):
        info = data[at]
        if info in (GC, SKIP):
            length, at = read_uint(data, at + 1)
        else:
            at = skip_place(data, at + 1, info)
            if inspection is not None:
                inspection.place = client, clock
            length, at = read_content(data, at, info & CONTENT, inspection)
        clock += length
        if clock > MAX_CLOCK or not length:
            raise bad_length(length)
        if info == SKIP:
            needs = clock
    return Section(client, first, needs, clock), at
