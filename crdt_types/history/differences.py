"""Differences: what lies between two states of a document, in the terms of its types."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from ..document.changes import Kind
from ..document.delta import Delta, invert

DifferenceKind = Kind | Literal["yjs"]
DifferenceAction = Literal["added", "modified", "removed", "moved"]

_OPPOSITES: Final[dict[DifferenceAction, DifferenceAction]] = {
    "added": "removed",
    "modified": "modified",
    "removed": "added",
    "moved": "moved",
}


class Difference(NamedTuple):
    """What became of one cell, item or counter.

    To make a list or log of what it was before: take out what was removed or moved, from the greatest `old_index` down,
    put in what was added or moved, from the least `new_index` up, and write what was modified at its `new_index`.

    Attributes:
        kind: the type of the field; ``yjs`` for a root of the Yjs document that is neither typed nor a text, of which
            only this is told.
        field: the field's path, or the root's name.
        key: the map key, the set element or the id of the list item; None for the other kinds.
        action: whether it came, became another one, went, or (in a list) took another place. An item of a list that
            was both written and moved has two differences.
        old: the value before; None if there was none. True for a set element.
        new: the value after; None if there is none. True for a set element.
        author: the agent that made it; None where that is not known, or where it was more than one.
        old_index: where in a list or log it stood before; None for other kinds, and for what was not there.
        new_index: where it stands after.
    """

    kind: DifferenceKind
    field: str
    key: Any
    action: DifferenceAction
    old: Any
    new: Any
    author: str | None
    old_index: int | None = None
    new_index: int | None = None

    def __str__(self) -> str:
        where = self.field if self.key is None else f"{self.field}[{self.key!r}]"
        return f"{where}: {self._what()} by {self.author or 'someone'}"

    def _what(self) -> str:
        if self.kind in ("set", "yjs"):
            return self.action
        if self.action == "modified":
            return f"modified, {self.old!r} -> {self.new!r}"
        return f"{self.action} {self.old if self.action == 'removed' else self.new!r}"

    def inverted(self) -> "Difference":
        """Return the difference in the other direction."""
        return self._replace(
            action=_OPPOSITES[self.action],
            old=self.new,
            new=self.old,
            old_index=self.new_index,
            new_index=self.old_index,
        )


class Differences(NamedTuple):
    """All that lies between two states.

    Attributes:
        changes: what became of cells, items and counters, by field.
        texts: what was done to each text that differs, by its path: a delta, counted in characters.
    """

    changes: tuple[Difference, ...]
    texts: dict[str, Delta]

    def __bool__(self) -> bool:
        return bool(self.changes or self.texts)

    def inverted(self, contents: Mapping[str, Delta]) -> "Differences":
        """Return the differences in the other direction.

        Args:
            contents: what the texts held before, as insertions; one that is not among them held nothing.
        """
        changes = tuple(change.inverted() for change in self.changes)
        return Differences(changes, {name: invert(delta, contents.get(name, [])) for name, delta in self.texts.items()})


def lies_in(path: str, field: str) -> bool:
    """Tell whether a path is that of a field, or of something below it."""
    return path == field or path.startswith(f"{field}/")
