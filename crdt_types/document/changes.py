"""What happened to a state document, and what is in dispute, in the terms of its types."""

from enum import Enum
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["register", "map", "set", "counter", "log", "text", "list"]
Action = Literal["added", "changed", "removed", "moved"]
ConflictKind = Literal["concurrent_modification", "deleted_modified", "type_mismatch"]


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "ABSENT"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return self.value


ABSENT: Final = Absent.ABSENT
"""Stands where there is no value, not even None."""


class Change(NamedTuple):
    """One typed change, delivered after the transaction that made it.

    Attributes:
        kind: the type of the field.
        field: the field's path: its name, with the names of what it lies in before it.
        key: the map key, the set element or the id of the list item; None for the other kinds.
        old: the value before; None if there was none. For a log, the item that was pruned.
        new: the value after; None if there is none. For a log, the item that was appended. For a text, its delta:
            a list of ``{"retain": n}``, ``{"insert": text}`` and ``{"delete": n}``, counted in characters.
        author: the agent that made it; None where several agents' deletions arrived as one.
        client: the Yjs client id of that agent's session, or None.
        local: whether this replica made it.
        action: whether the value came, became another one, went, or (in a list) took another place; of a counter and
            a text, always ``changed``. It tells a value of None from none.
    """

    kind: Kind
    field: str
    key: Any
    old: Any
    new: Any
    author: str | None
    client: int | None
    local: bool
    action: Action = "changed"

    def __str__(self) -> str:
        where = self.field if self.key is None else f"{self.field}[{self.key!r}]"
        return f"{where}: {self._what()} by {self.author or 'someone'}"

    def _what(self) -> str:
        if self.kind == "set":
            return self.action
        if self.kind == "log":
            return f"pruned {self.old!r}" if self.action == "removed" else f"appended {self.new!r}"
        if self.kind == "text":
            return f"edited {self.new!r}"
        if self.action == "moved":
            return f"moved {self.new!r}"
        return f"deleted, was {self.old!r}" if self.action == "removed" else f"{self.old!r} -> {self.new!r}"


class Rival(NamedTuple):
    """One of several concurrent values of a cell.

    Attributes:
        value: the value; ABSENT for a deletion.
        author: the agent that wrote it, empty if it gave no name.
        client: the Yjs client id of that agent's session; -1 if a deletion's is not known.
        stamp: its hybrid clock's stamp; of a deletion, the moment at which this replica saw it.
        deleted: whether this is a deletion.
    """

    value: Any
    author: str
    client: int
    stamp: int
    deleted: bool = False


class Conflict(NamedTuple):
    """A cell that was written concurrently and not yet written again.

    Attributes:
        field: the field's path.
        key: the map key or the id of the list item, None for a register.
        rivals: the concurrent values, the one that is read by default first; what was deleted stands last.
        kind: ``concurrent_modification``; ``type_mismatch``, if the values are of several JSON types, null aside;
            ``deleted_modified``, if the cell was deleted here, and written by somebody who did not know of it.
        ancestor: the value that all of them superseded, ABSENT if there was none or it is not known here any more.
    """

    field: str
    key: str | None
    rivals: tuple[Rival, ...]
    kind: ConflictKind = "concurrent_modification"
    ancestor: Any = ABSENT

    @property
    def values(self) -> list[Any]:
        """The values that are live, the one that is read by default first."""
        return [rival.value for rival in self.rivals if not rival.deleted]


class Violation(NamedTuple):
    """A stored value that does not fit the schema of its reader, and who wrote it.

    Attributes:
        field: the field's path.
        key: the map key, the set element's stored form or the list item's id; None for the other kinds.
        value: the value as it is stored.
        author: the agent that wrote it, empty if it gave no name.
        problem: what does not fit.
    """

    field: str
    key: Any
    value: Any
    author: str
    problem: str
