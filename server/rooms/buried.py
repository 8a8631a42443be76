"""What rooms of the same name held that were erased: it must not come back with those who still have it."""

from collections.abc import Iterable
from typing import NamedTuple

from comity.crdt_types.errors import ErasedError
from comity.crdt_types.update import read_state_vector
from comity.persistence.records import Tombstone

from .document import Document
from .vetting import Section


class Buried(NamedTuple):
    """The erased rooms of a name: their lineages, and up to which clock each client had written in them."""

    lineages: tuple[str, ...] = ()
    clocks: dict[int, int] = {}  # noqa: RUF012  # never written to

    def __bool__(self) -> bool:
        return bool(self.lineages)

    def returns(self, sections: Iterable[Section], document: Document) -> bool:
        """Tell whether an update would bring something back that the document does not have, and one erased had."""
        mine = [section for section in sections if section.begin < self.clocks.get(section.client, 0)]
        if not mine:
            return False
        known = read_state_vector(document.state_vector())
        return any(max(begin, known.get(client, 0)) < min(end, self.clocks[client]) for client, begin, _, end in mine)


def buried(tombstones: Iterable[Tombstone]) -> Buried:
    """Return what some tombstones of one name tell."""
    lineages: list[str] = []
    clocks: dict[int, int] = {}
    for tombstone in tombstones:
        lineages.append(tombstone.lineage)
        for client, clock in read_state_vector(tombstone.state_vector).items():
            clocks[client] = max(clock, clocks.get(client, 0))
    return Buried(tuple(lineages), clocks)


def erased(room: str) -> ErasedError:
    """Return what those are told who have something of a room that was erased."""
    return _gone(room, "it was erased, and what you have of it must not come back")


def ended(room: str) -> ErasedError:
    """Return what those are told who are in a room whose time is over."""
    return _gone(room, "its time was over, and it was erased")


def _gone(room: str, what: str) -> ErasedError:
    remedy = "forget what you have of it; open it anew to begin afresh"
    return ErasedError(what, subject=f"room {room!r}", remedy=remedy)
