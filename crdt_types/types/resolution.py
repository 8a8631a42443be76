"""Resolution: what becomes of concurrent values, by a strategy or by somebody's decision on a ticket."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Final

from ..document.changes import ABSENT, Conflict, Rival
from ..document.entry import CELL
from ..document.path import child
from ..document.statedocument import StateDocument

TICKETS: Final = "$tickets"  # the map in a document that holds the open ones


class Strategy(ABC):
    """Decides which value a conflict comes to.

    In a schema it decides what is *read* while the rivals are live, by them alone and so the same on every replica;
    given to ``resolve`` it decides what is written.
    """

    @abstractmethod
    def decide(self, conflict: Conflict) -> Any:
        """Return the value, or ABSENT to delete the cell."""


class _ByTime(Strategy):
    """Keeps one of the rivals, by when they were written."""

    def __init__(self, name: str, choose: Callable[..., Rival]) -> None:
        self._name = name
        self._choose = choose

    def decide(self, conflict: Conflict) -> Any:
        return self._choose(conflict.rivals, key=lambda rival: (rival.stamp, rival.client)).value

    def __repr__(self) -> str:
        return self._name


last_writer: Final[Strategy] = _ByTime("last_writer", max)
"""The latest write holds, be it of a value or a deletion."""

first_writer: Final[Strategy] = _ByTime("first_writer", min)
"""The earliest write holds."""


class merge(Strategy):  # noqa: N801  # read as a function
    """Makes one value of the concurrent ones.

    Args:
        function: gets the `Conflict` and returns the value, or ABSENT to delete the cell. Its ``ancestor`` is there for
            a three-way merge where this replica remembers it; never when it decides what is read. It must be pure.
    """

    def __init__(self, function: Callable[[Conflict], Any]) -> None:
        self._function = function

    def decide(self, conflict: Conflict) -> Any:
        """Return the value, or ABSENT to delete the cell."""
        return self._function(conflict)

    def __repr__(self) -> str:
        return f"merge({self._function!r})"


class Manual(Strategy):
    """Leaves the decision to somebody; see `manual`."""

    def __init__(self, note: str = "") -> None:
        self.note = note

    def decide(self, conflict: Conflict) -> Any:
        """Return what is read until somebody decided: the last write that is live."""
        return conflict.values[0]

    def __repr__(self) -> str:
        return f"manual({self.note!r})"


def manual(note: str = "") -> Manual:
    """Open a ticket with the concurrent values, which stays in the document until somebody resolves it.

    Args:
        note: what to tell them.
    """
    return Manual(note)


class Ticket:
    """A dispute that waits for somebody's decision.

    Attributes:
        field: the path of the field.
        key: the map key or the id of the list item, None for a register.
        rivals: the values when the ticket was opened, the latest first.
        note: what whoever opened it had to say.
        by: the agent that opened it.
    """

    def __init__(self, id: str, stored: list[dict[str, Any]], settle: "Callable[[Ticket, Any], None]") -> None:
        first = stored[0]
        self.id = id
        self.field: str = first["field"]
        self.key: str | None = first["key"]
        self.note: str = first["note"]
        self.by: str = first["by"]
        self.rivals = _rivals(stored)
        self._settle = settle

    def resolve(self, value: Any) -> None:
        """Write the value decided on, or delete the cell if it is ABSENT, and close the ticket.

        Raises: InvalidValueError, if the value does not fit the field; the ticket stays open then.
        """
        self._settle(self, value)

    def __repr__(self) -> str:
        where = self.field if self.key is None else f"{self.field}[{self.key!r}]"
        return f"<Ticket {where} {[rival.value for rival in self.rivals]} {self.note!r}>"


def _rivals(stored: list[dict[str, Any]]) -> tuple[Rival, ...]:
    # Two that opened it at once may each know a rival that the other did not.
    known = {
        (rival["stamp"], rival["client"]): Rival(
            rival.get("value", ABSENT), rival["author"], rival["client"], rival["stamp"], "value" not in rival
        )
        for ticket in stored
        for rival in ticket["rivals"]
    }
    return tuple(known[place] for place in sorted(known, reverse=True))


def cell_path(field: str, key: str | None) -> str:
    """Return the path of a cell: its field's, with its key."""
    return field if key is None else child(field, key)


def open_ticket(document: StateDocument, conflict: Conflict, note: str) -> None:
    """Write a ticket for a conflict, unless there is one with these rivals already."""
    place = cell_path(conflict.field, conflict.key)
    rivals = [_stored(rival) for rival in conflict.rivals]
    value = {"field": conflict.field, "key": conflict.key, "rivals": rivals, "note": note, "by": document.agent}
    known = document.index.cells(CELL, TICKETS).get(place, ())
    if not any(_covers(entry.value, rivals) for entry in known):
        document.set_cell(TICKETS, place, value)


def _stored(rival: Rival) -> dict[str, Any]:
    value = {} if rival.deleted else {"value": rival.value}
    return {**value, "author": rival.author, "client": rival.client, "stamp": rival.stamp}


def _covers(ticket: Any, rivals: list[dict[str, Any]]) -> bool:
    if not _is_ticket(ticket):
        return False
    known = {(rival["stamp"], rival["client"]) for rival in ticket["rivals"]}
    return all((rival["stamp"], rival["client"]) in known for rival in rivals)


def _is_ticket(value: Any) -> bool:
    """Tell whether a stored value is a ticket: anybody may have written anything."""
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), str) for name in ("field", "note", "by"))
        and isinstance(value.get("key"), (str, type(None)))
        and isinstance(value.get("rivals"), list)
        and bool(value["rivals"])
        and all(map(_is_rival, value["rivals"]))
    )


def _is_rival(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("author"), str) and all(type(value.get(name)) is int for name in ("client", "stamp"))


def open_tickets(document: StateDocument, settle: Callable[[Ticket, Any], None]) -> Iterator[Ticket]:
    """Yield the open tickets of a document by the paths of their cells.

    Args:
        document: the document.
        settle: called with a ticket and the value that it comes to.
    """
    for place, entries in sorted(document.index.cells(CELL, TICKETS).items()):
        stored = [entry.value for entry in entries if _is_ticket(entry.value)]
        if stored:
            yield Ticket(place, stored, settle)
