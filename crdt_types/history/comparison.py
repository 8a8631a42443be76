"""Comparison: what lies between two documents, of which neither needs to be a later state of the other."""

from typing import NamedTuple

from ..document.delta import Delta, compose
from ..document.listeners import Footprint
from ..document.statedocument import StateDocument
from .differences import Difference, Differences
from .playback import Playback
from .telling import Telling


def differences(before: bytes, after: bytes) -> Differences:
    """Return what makes one document read like another, such as a room like one of its branches.

    Both are Yjs updates that hold a whole document, as `StateDocument.update_since` returns them. Texts are compared by
    their edits, not by their characters: what both documents know of stays.

    Raises: ProtocolError, if one of them is not an update.
    """
    changes = _of_cells(before, after)
    forth, back = _meet(before, after), _meet(after, before)
    changes += sorted({*forth.roots, *back.roots})
    inverse = Differences((), back.texts).inverted(back.contents).texts
    names = sorted({*forth.texts, *inverse})
    texts = {name: compose(forth.texts.get(name, []), inverse.get(name, [])) for name in names}
    return Differences(tuple(changes), {name: delta for name, delta in texts.items() if delta})


def _of_cells(before: bytes, after: bytes) -> list[Difference]:
    footprints: list[Footprint] = []
    document = StateDocument(update=before)
    document.add_recorder(footprints.append)
    document.reset(after)
    return [
        difference
        for footprint in footprints
        for difference in Telling(document.index, footprint.steps, None, None).differences()
    ]


class _Meeting(NamedTuple):
    """What another document brings to one: deltas of the texts, and the roots of other types that it edits."""

    contents: dict[str, Delta]
    texts: dict[str, Delta]
    roots: list[Difference]


def _meet(one: bytes, other: bytes) -> _Meeting:
    playback = Playback(one)
    contents = playback.contents()
    playback.announce(other)
    playback.play(other)
    found = playback.differences()
    return _Meeting(contents, found.texts, [change for change in found.changes if change.kind == "yjs"])
