"""What happened to a state document, and what is in dispute, in the terms of its types."""

from typing import Any, Literal, NamedTuple

Kind = Literal["register", "map", "set", "counter", "log", "text"]


class Change(NamedTuple):
    """One typed change, delivered after the transaction that made it.

    Attributes:
        kind: the type of the field.
        field: the field's name.
        key: the map key or set element; None for the other kinds.
        old: the value before; None if there was none. For a log, the item that was pruned.
        new: the value after; None if there is none. For a log, the item that was appended. For a text, its delta:
            a list of ``{"retain": n}``, ``{"insert": text}`` and ``{"delete": n}``, counted in characters.
        author: the agent that made it; None where several agents' deletions arrived as one.
        client: the Yjs client id of that agent's session, or None.
        local: whether this replica made it.
    """

    kind: Kind
    field: str
    key: Any
    old: Any
    new: Any
    author: str | None
    client: int | None
    local: bool

    def __str__(self) -> str:
        where = self.field if self.key is None else f"{self.field}[{self.key!r}]"
        return f"{where}: {self._what()} by {self.author or 'someone'}"

    def _what(self) -> str:
        if self.kind == "set":
            return "removed" if self.new is None else "added"
        if self.kind == "log":
            return f"pruned {self.old!r}" if self.new is None else f"appended {self.new!r}"
        if self.kind == "text":
            return f"edited {self.new!r}"
        return f"deleted, was {self.old!r}" if self.new is None else f"{self.old!r} -> {self.new!r}"


class Rival(NamedTuple):
    """One of several concurrent values of a cell; stamp is its hybrid clock's."""

    value: Any
    author: str
    client: int
    stamp: int


class Conflict(NamedTuple):
    """A cell that was written concurrently and not yet written again: the first rival is the one that is read."""

    field: str
    key: str | None
    rivals: tuple[Rival, ...]


class Violation(NamedTuple):
    """A stored value that does not fit the schema of its reader, and who wrote it."""

    field: str
    key: Any
    value: Any
    author: str
    problem: str
