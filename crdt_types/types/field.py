"""What the typed fields of a State have in common: a declaration that becomes a field when a document is opened."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

from ..document.cells import Cells
from ..document.changes import ABSENT, Change, Conflict, Kind, Rival, Violation
from ..document.entry import Entry
from ..document.statedocument import StateDocument
from ..document.values import Codec
from ..errors import InvalidValueError, StateError
from .resolution import Manual, Strategy, last_writer, open_ticket

logger = logging.getLogger("comity")


class Field(ABC):
    """A typed field: as written in a State class a declaration, in an opened State bound to its document.

    Attributes:
        kind: the name of the type, as it stands in changes.
        name: the field's path: its name, after those of the states and rows that it lies in.
    """

    kind: ClassVar[Kind]

    _document: StateDocument | None = None
    _keeper: Callable[[], object] | None = None
    name: str = ""

    def bind(
        self, document: StateDocument, name: str, annotation: Any, keeper: Callable[[], object] | None = None
    ) -> Self:
        """Return this declaration as a field of a document.

        Args:
            document: the document.
            name: the field's path.
            annotation: the type of its values.
            keeper: makes sure that the row stays that the field lies in, if it lies in one.

        Raises: SchemaError, if the values' type cannot be validated.
        """
        field = self._copy()
        field._document = document
        field._keeper = keeper
        field.name = name
        field._codec = Codec(annotation, name)
        field._attach(document)
        return field

    _codec: Codec

    def _copy(self) -> Self:
        return type(self)()

    @abstractmethod
    def _attach(self, document: StateDocument) -> None:
        """Take hold of what the field reads from."""

    def _touch(self) -> None:
        """Keep the row that the field lies in, which the edit of a text alone would not show."""
        if self._keeper is not None:
            self._keeper()

    @property
    def document(self) -> StateDocument:
        """The document that the field belongs to; raises StateError for a mere declaration."""
        if self._document is None:
            raise self._unbound()
        return self._document

    def _unbound(self) -> StateError:
        return StateError(
            "this is a declaration, not a field of an opened state",
            subject=type(self).__name__,
            remedy="open the State class with client.open() or bind it to a StateDocument",
        )

    @property
    @abstractmethod
    def value(self) -> Any:
        """What the field holds, as plain data."""

    @abstractmethod
    def assign(self, value: Any) -> None:
        """Make the field hold a value, with as few edits as it takes, in one transaction.

        Raises: InvalidValueError, if it does not fit; nothing is written then.
        """

    def on_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Call a listener with every change of this field from now on; returns how to stop it."""

        def heard(change: Change) -> None:
            if change.field == self.name and change.kind == self.kind:
                listener(self.typed_change(change))

        return self.document.on_change(heard)

    def conflicts(self) -> list[Conflict]:
        """List the cells of this field that are in conflict."""
        return []

    def resolve(self, strategy: Strategy, key: str | None = None) -> list[Conflict]:
        """Settle the conflicts of this field in one transaction, and return them as they were.

        Args:
            strategy: `last_writer`, `first_writer`, `merge(function)` or `manual(note)`.
            key: the map key or the id of the list item to settle; None for all of them.
        """
        return []

    def violations(self) -> Iterator[Violation]:
        """Yield the stored values that do not fit this field's type."""
        return iter(())

    def typed(self, plain: Any) -> Any:
        """Return plain data as this field's type, or unchanged if it does not fit."""
        try:
            return self._codec.read(plain)
        except InvalidValueError:
            return plain

    def typed_change(self, change: Change) -> Change:
        """Return a change of this field with its values as this field's type."""
        plain = self._codec.plain
        if type(change.old) in plain and type(change.new) in plain:
            return change
        old = None if change.old is None else self.typed(change.old)
        new = None if change.new is None else self.typed(change.new)
        return change._replace(old=old, new=new)

    def violation(self, entry: Entry) -> Violation | None:
        """Return what is wrong with an entry of this field; None if it fits."""
        try:
            self._codec.read(entry.value)
        except InvalidValueError as error:
            author = self.document.index.author(entry.client) or ""
            return Violation(self.name, entry.key, entry.value, author, error.what)
        return None

    def fits(self, entry: Entry) -> bool:
        """Tell whether an entry's value fits this field's type."""
        return self._codec.is_exact(entry.data) or self.violation(entry) is None

    def __repr__(self) -> str:
        if self._document is None:
            return f"{type(self).__name__}()"
        return f"<{type(self).__name__} {self.name} {self.value!r}>"


class ByValue(Field):
    """A field that is compared by what it holds, with another field or with plain data."""

    __hash__ = None  # type: ignore[assignment]  # what changes cannot be a key

    def __eq__(self, other: object) -> bool:
        if self._document is None:
            return self is other
        return bool(self.value == (other.value if isinstance(other, Field) else other))


class CellField(Field):
    """A field whose values lie in cells.

    Each cell is read by its first entry that fits the type, or as a policy decides that the field was declared with;
    if none fits any more, by the last one seen that did.

    Args:
        on_conflict: decides what is read while concurrent values are live; the last writer's if None.
    """

    _cells: Cells
    on_conflict: Strategy | None = None

    def _follow(self, cells: Cells) -> None:
        self._cells = cells
        if self._codec.annotation is not Any or self.on_conflict is not None:
            cells.reader = self

    def _read(self, entries: tuple[Entry, ...]) -> tuple[bool, Any]:
        """Return whether one of a cell's entries fits the type, and its value."""
        if len(entries) == 1 or self.on_conflict is None:
            for entry in entries:
                try:
                    return True, self._codec.read(entry.value)
                except InvalidValueError:
                    continue
        elif fitting := tuple(filter(self.fits, entries)):
            return True, self.typed(self._decide(fitting))
        return self._read_stand_in(entries) if entries and self._cells.stand_ins else (False, None)

    def _read_stand_in(self, entries: tuple[Entry, ...]) -> tuple[bool, Any]:
        stand_in = self._cells.stand_ins.get(entries[0].key)
        return (False, None) if stand_in is None else (True, self.typed(stand_in.value))

    def pick(self, entries: tuple[Entry, ...]) -> Any:
        """Return the plain value that is read where several entries are live."""
        fitting = tuple(filter(self.fits, entries))
        if not fitting:
            stand_in = self._cells.stand_ins.get(entries[0].key)
            return None if stand_in is None else stand_in.value
        return fitting[0].value if self.on_conflict is None else self._decide(fitting)

    def _decide(self, entries: tuple[Entry, ...]) -> Any:
        """Return the plain value that the policy chooses: by the rivals alone, so that it is the same everywhere.

        Where it fails, or makes what does not fit, that is the last writer's: reading never raises.
        """
        assert self.on_conflict is not None
        name = self.document.index.author
        rivals = tuple(
            Rival(self.typed(entry.value), name(entry.client) or "", entry.client, entry.stamp) for entry in entries
        )
        try:
            value = self.on_conflict.decide(Conflict(self.name, entries[0].key, rivals))
            return entries[0].value if value is ABSENT else self._codec.checked(value)
        except Exception:  # the user's own function meets what anybody stored, and may raise anything
            logger.debug("%s: the policy %r failed; the last write is read", self.name, self.on_conflict, exc_info=True)
            return entries[0].value

    def _holds(self, key: Any, value: Any) -> bool:
        """Tell whether a cell holds a value, and not something that a value stands in for."""
        entries = self._cells.get(key, ())
        return bool(entries) and self.fits(entries[0]) and self._codec.same(self._read(entries)[1], value)

    def disputed(self, key: Any) -> None:
        """Open a ticket, if that is the policy, and one of the rivals is this agent's: one of them is here to do it."""
        if not isinstance(self.on_conflict, Manual) or not self.document.is_free:
            return
        conflict = self.document.index.disputes.conflict(self._cells, key)
        if conflict is not None and any(map(self._is_mine, conflict.rivals)):
            open_ticket(self.document, conflict, self.on_conflict.note)

    def _is_mine(self, rival: Rival) -> bool:
        return rival.client == self.document.client_id or (rival.author != "" and rival.author == self.document.agent)

    def conflicts(self) -> list[Conflict]:
        """List the cells of this field that are in conflict."""
        return list(map(self.typed_conflict, self.document.index.conflicts_in(self._cells)))

    def typed_conflict(self, conflict: Conflict) -> Conflict:
        """Return a conflict with its values as this field's type."""
        rivals = tuple(
            rival if rival.deleted else rival._replace(value=self.typed(rival.value)) for rival in conflict.rivals
        )
        known = conflict.ancestor is not ABSENT
        return conflict._replace(rivals=rivals, ancestor=self.typed(conflict.ancestor) if known else ABSENT)

    def resolve(self, strategy: Strategy = last_writer, key: str | None = None) -> list[Conflict]:
        """Settle the conflicts of this field in one transaction, and return them as they were.

        Args:
            strategy: `last_writer`, `first_writer`, `merge(function)` or `manual(note)`.
            key: the map key or the id of the list item to settle; None for all of them.

        Raises: InvalidValueError, if what a merge function returns does not fit; nothing is written then.
        """
        conflicts = [conflict for conflict in self.conflicts() if key is None or conflict.key == key]
        with self.document.transaction():
            for conflict in conflicts:
                if isinstance(strategy, Manual):
                    open_ticket(self.document, conflict, strategy.note)
                elif rivals := tuple(filter(self._may_hold, conflict.rivals)):
                    self.settle(conflict.key, strategy.decide(conflict._replace(rivals=rivals)))
        return conflicts

    def _may_hold(self, rival: Rival) -> bool:
        try:
            return rival.deleted or self._codec.checked(rival.value) is not ABSENT
        except InvalidValueError:
            return False

    @abstractmethod
    def settle(self, key: str | None, value: Any) -> None:
        """Write a cell, or delete it if the value is ABSENT."""

    def violations(self) -> Iterator[Violation]:
        """Yield the stored values that do not fit this field's type."""
        for entries in list(self._cells.values()):
            yield from filter(None, map(self.violation, entries))
        yield from strangers(self.document, self.name, self._cells.kind)


_KIND_WORDS = {0: "a register", 1: "a map", 2: "a set", 3: "a counter", 6: "a list"}


def strangers(document: StateDocument, name: str, kind: int) -> Iterator[Violation]:
    """Yield the values that lie under a field's name, but are of another kind: another program's idea of the field."""
    index = document.index
    for other, word in _KIND_WORDS.items():
        cells: Cells | dict[Any, tuple[Entry, ...]] = index.fields.get((other, name), {})
        if other != kind:
            for entry in [entry for entries in cells.values() for entry in entries]:
                author = index.author(entry.client) or ""
                yield Violation(name, entry.key, entry.value, author, f"stored as {word} under this name")
    items = index.logs.get(name)
    if kind != 4 and items is not None:
        for entry in tuple(items.entries):
            yield Violation(
                name, None, entry.value, index.author(entry.client) or "", "stored as a log under this name"
            )
