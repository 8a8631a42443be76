"""State: a class whose annotations declare the typed fields of a document."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Self, cast

from ..document.cells import Cells, Items
from ..document.changes import ABSENT, Change, Conflict, Violation
from ..document.entry import CELL, Entry
from ..document.lanes import LANES
from ..document.path import child, escape, unescape
from ..document.statedocument import StateDocument
from ..errors import InvalidValueError, NotConnectedError, SchemaError, StateError
from ..replication import Replication
from ..types.field import CellField, Field
from ..types.map import Map
from ..types.register import Register
from ..types.resolution import TICKETS, Strategy, Ticket, last_writer, open_tickets
from ..types.rows import RowMap
from ..types.text import Text
from ..views.jsondiff import Patch
from ..views.patch import apply_patch
from ..views.patchstream import PatchStream
from ..views.plain import Json, from_json
from ..views.view import only_grows, put_fields, view
from .declaration import (
    Declaration,
    Declaring,
    classes_in,
    declared_fields,
    has_texts,
    outline_of,
    plan_of,
    rule_names,
)
from .jsonexport import Exporter
from .migration import Migration
from .oversight import Oversight, Spot
from .rules import Rule, Rules, RuleWarning
from .versions import Versions, declared_schema

_MAX_NESTED: Final = 32  # states in states; one that holds itself has no end


class Place(NamedTuple):
    """Where a state lies in its document.

    Attributes:
        path: the path of the state; empty for the root.
        keeper: keeps the row that it lies in, if it lies in one.
        rules: the rules of the opened state that it lies in; None for that state itself.
    """

    path: str = ""
    keeper: Callable[[], object] | None = None
    rules: Rules | None = None


_ROOT: Final = Place()


class State(Declaring):
    """Typed state over one document: subclass it and annotate its fields.

    ::

        class Mission(State):
            goal: Register[str]
            spent: Counter

    Opened by a client it is live; bound to a bare `StateDocument` it works without any server. A field may be another
    State, whose fields then lie below it, and a ``Map`` may hold States, a row for each key.

    ``class Mission(State, name="mission", version=2, migrations=[...], rules=[...])`` says more: the name by which the
    versions of a schema know each other (the class's own by default), its version (1 by default), how older data
    becomes what it is now (see `migration`), and the rules of the business (see `allow`, `deny`, `warn`); the rules of
    the bases hold too. `validates` and `transition` declare checks.

    Args:
        document: the document that holds the state; a new one of its own if None.
        replica: the replica that keeps the document in step with a server, if there is one.
        values: what the fields shall hold, by their names; only what differs is written.

    Raises:
        SchemaError: if the class is not well formed, a newer version wrote what this one cannot read, or a migration
            fails.
        InvalidValueError: if a value does not fit.
    """

    def __init__(
        self, document: StateDocument | None = None, replica: Replication | None = None, /, **values: Any
    ) -> None:
        self._bind(StateDocument() if document is None else document, replica, _ROOT)
        if values:
            self.assign(values)

    @classmethod
    def _at(cls, document: StateDocument, replica: Replication | None, place: Place) -> Self:
        state = cls.__new__(cls)
        state._bind(document, replica, place)
        return state

    def _bind(self, document: StateDocument, replica: Replication | None, place: Place) -> None:
        rules = Rules(rule_names(type(self))) if place.rules is None else place.rules  # type: ignore[arg-type]  # mypy takes no class for hashable
        fields = {
            name: _bound(declared, document, replica, Place(child(place.path, name), place.keeper, rules))
            for name, declared in declared_fields(type(self)).items()  # type: ignore[arg-type]
        }
        self.__dict__.update(
            fields,
            _fields=fields,
            _document=document,
            _replica=replica,
            _path=place.path,
            _rules=rules,
            _oversight=None,
        )
        if place.rules is None:
            self._oversee()

    def _oversee(self) -> None:
        plans = [plan_of(cls) for cls in classes_in(type(self))]  # type: ignore[arg-type]
        if not all(plan.is_empty for plan in plans):
            oversight = Oversight(self._document, self._along, self._rules)
            self.__dict__["_oversight"] = oversight
            if any(plan.checks.whole or plan.checks.fields for plan in plans):
                oversight.watch()
        Versions(self._document, self._schema, frozenset(map(escape, self._fields)))

    def _along(self, path: str) -> Iterator[Spot]:
        """Yield the states on the way from this one to a path below it, this one first."""
        if path.startswith("$") and not self._path:
            return
        yield self._spot(path)
        name, _, rest = path.partition("/")
        found = self._fields.get(unescape(name))
        if isinstance(found, RowMap):
            key, _, rest = rest.partition("/")
            found = found[key] if (key := unescape(key)) in found else None
        if isinstance(found, State):
            yield from found._along(rest)

    def _spot(self, rest: str) -> Spot:
        plan = plan_of(type(self))  # type: ignore[arg-type]
        return Spot(self, self._path, plan, rest, None if "/" in rest else self._fields.get(unescape(rest)))

    _fields: "dict[str, Field | State]"
    _document: StateDocument
    _replica: Replication | None
    _path: str
    _rules: Rules
    _oversight: Oversight | None

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        version: int = 1,
        migrations: Iterable[Migration] = (),
        rules: Iterable[Rule] = (),
        **kwargs: Any,
    ) -> None:
        """Declare a schema; see `State`."""
        super().__init_subclass__(**kwargs)
        cls._schema = declared_schema(cls.__name__, name, version, tuple(migrations))
        cls._own_rules = (*cls._own_rules, *rules)
        for name in cls.__annotations__:
            if name in _RESERVED or name.startswith("_"):
                raise SchemaError(
                    "a field may not bear this name", subject=f"{cls.__name__}.{name}", remedy="choose another"
                )
        for name, value in vars(cls).items():
            if isinstance(value, Field) and name not in cls.__annotations__:
                kind = type(value).__name__
                raise SchemaError(
                    "a field without an annotation",
                    subject=f"{cls.__name__}.{name}",
                    remedy=f"write {name}: {kind}[...] = {kind}(...)",
                )

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._fields.get(name)
        if field is not None and field is value:
            return  # what an in-place operator such as `state.tags |= {...}` ends with
        raise StateError(
            "a field cannot be assigned to",
            subject=f"{type(self).__name__}.{name}",
            remedy="use its own methods: set() of a register, add() of a counter or set, [key] = of a map",
        )

    @property
    def document(self) -> StateDocument:
        """The document that holds the state."""
        return self._document

    @property
    def replica(self) -> Replication:
        """The replica behind the state; raises NotConnectedError if it was opened without a client."""
        if self._replica is None:
            raise NotConnectedError(
                "this state was opened without a client",
                subject=type(self).__name__,
                remedy="open it with comity.connect(...).open(room, State)",
            )
        return self._replica

    def transaction(self) -> AbstractContextManager[None]:
        """Group edits into one update: all of them, or on an error none; reads inside see them at once."""
        return self._document.transaction()

    async def synced(self) -> None:
        """Return once everything that the server had is here."""
        await self.replica.synced()

    async def durable(self) -> None:
        """Return once every edit so far is on the server's disk."""
        await self.replica.durable()

    def changes(self) -> AsyncIterator[Change]:
        """Iterate over the typed changes from this call on, one's own and those of others.

        Raises: TooSlowError, in the iteration, if the reader falls too far behind.
        """
        self.open_texts()
        return self.replica.changes(self._heard)

    def on_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Call a listener with every typed change from now on; returns a function that stops it."""

        def heard(change: Change) -> None:
            field = own.get(change.field)  # most changes; of any other `_heard` finds out
            if field is not None and field.kind == change.kind:
                listener(field.typed_change(change))
            elif (typed := self._heard(change)) is not None:
                listener(typed)

        self.open_texts()
        own = {field.name: field for field in self._fields.values() if isinstance(field, Field)}
        return self._document.on_change(heard)

    def _heard(self, change: Change) -> Change | None:
        """Return a change with its values typed; None if it lies outside of this state."""
        path = change.field
        if self._path:
            if not path.startswith(f"{self._path}/"):
                return None
            path = path[len(self._path) + 1 :]
        elif path.startswith("$"):
            return None
        field = self._fields.get(path) if "/" not in path else self.field_at(path)
        if isinstance(field, RowMap) and change.kind == "set":
            field.opened(change)
        return change if not isinstance(field, Field) or field.kind != change.kind else field.typed_change(change)

    def field_at(self, path: str) -> Field | None:
        """Return the field at a path below this state, None if none is declared there."""
        name, _, rest = path.partition("/")
        found = self._fields.get(unescape(name))
        if isinstance(found, RowMap) and rest:
            key, _, rest = rest.partition("/")
            below: Field | None = found.field_at(unescape(key), rest)
            return below
        if isinstance(found, State):
            return found.field_at(rest) if rest else None
        return None if rest else found

    def assign(self, values: Mapping[str, Any], *, others: bool = False) -> None:
        """Make fields hold values, with as few edits as it takes, in one transaction.

        Args:
            values: by the names of the fields; of a nested state a mapping again.
            others: whether all fields that are not named are cleared.

        Raises: InvalidValueError, if a value does not fit or there is no such field; nothing is written then.
        """
        if not isinstance(values, Mapping):
            raise InvalidValueError(f"{values!r} is no mapping", subject=type(self).__name__, remedy="give field names")
        if unknown := [name for name in values if name not in self._fields]:
            raise InvalidValueError(
                f"no field {unknown[0]!r}", subject=type(self).__name__, remedy=f"there are {', '.join(self._fields)}"
            )
        with self.transaction():
            for name, field in self._fields.items():
                if name in values and isinstance(field, State):
                    field.assign(_plain(values[name]), others=others)
                elif name in values:
                    field.assign(_plain(values[name]))
                elif others:
                    self._clear(field)

    def _clear(self, field: "Field | State") -> None:
        if isinstance(field, State):
            field.assign({}, others=True)
        elif isinstance(field, Text):
            field.assign("")
        elif isinstance(field, RowMap):
            field.clear()
        elif only_grows(field) and field.value:
            raise InvalidValueError(
                "what only grows cannot be emptied", subject=field.name, remedy="name it, or leave the others alone"
            )
        else:
            self._erase(field)

    def open_texts(self) -> None:
        """Open all texts, also those of rows, so that edits of them are told."""
        for field in self._fields.values():
            if isinstance(field, (RowMap, State)):
                field.open_texts()

    def erase_grown(self) -> None:
        """Delete what only grows: another row takes the place of this one."""
        for field in self._fields.values():
            if isinstance(field, State):
                field.erase_grown()
            elif only_grows(field):
                self._erase(field)

    def _erase(self, field: Field) -> None:
        for found in self._document.index.at(field.name):
            self._document.erase(found)

    def erase_texts(self) -> None:
        """Delete the characters of all texts of this state and those below it."""
        for field in self._fields.values():
            if isinstance(field, Text):
                field.erase()
            elif isinstance(field, State):
                field.erase_texts()
            elif isinstance(field, RowMap):
                for row in field.values():
                    row.erase_texts()

    def conflicts(self) -> list[Conflict]:
        """List the cells of all fields that are in conflict; the next write of a cell settles it."""
        return [conflict for field in self._fields.values() for conflict in field.conflicts()]

    def resolve(self, strategy: Strategy = last_writer) -> list[Conflict]:
        """Settle the conflicts of all fields in one transaction, and return them as they were.

        Args:
            strategy: `last_writer`, `first_writer`, `merge(function)` or `manual(note)`.

        Raises: InvalidValueError, if what a merge function returns does not fit; nothing is written then.
        """
        with self.transaction():
            return [conflict for field in self._fields.values() for conflict in field.resolve(strategy)]

    def tickets(self) -> list[Ticket]:
        """List the disputes in this state that wait for somebody's decision."""
        inside = f"{self._path}/" if self._path else ""
        return [ticket for ticket in open_tickets(self._document, self._decide) if ticket.field.startswith(inside)]

    def _decide(self, ticket: Ticket, value: Any) -> None:
        if ticket.id not in self._document.index.cells(CELL, TICKETS):
            raise StateError("the ticket is closed", subject=ticket.field, remedy="somebody has decided; see tickets()")
        path = ticket.field.removeprefix(f"{self._path}/") if self._path else ticket.field
        field = self.field_at(path)
        if not isinstance(field, CellField):
            raise StateError(
                "no such field here", subject=ticket.field, remedy="resolve it with the class that declares it"
            )
        with self.transaction():
            field.settle(ticket.key, value)
            self._document.delete_cell(TICKETS, ticket.id)

    def violations(self) -> list[Violation]:
        """List the stored values that do not fit their field's type, with their authors, and what else is invalid."""
        unfit = [violation for field in self._fields.values() for violation in field.violations()]
        problems = plan_of(type(self)).checks.problems(self)  # type: ignore[arg-type]
        invalid = [(self._path if field is None else child(self._path, field), why) for _number, field, why in problems]
        return unfit + [Violation(path, None, None, "", why) for path, why in invalid]

    def on_violation(self, listener: Callable[[Violation], object]) -> Callable[[], None]:
        """Call a listener with all that comes from others and does not fit the schema; returns how to stop it.

        That is a value that does not fit its field's type, a transition that is not allowed, or a state that an update
        makes invalid as a whole.
        """

        def heard(found: Cells | Items, entry: Entry) -> None:
            field = None if entry.segment is None else self.field_at(found.field)  # it may be gone already
            if field is not None and (violation := field.violation(entry)) is not None:
                listener(violation)

        stops = [self._document.listeners.on_unfit(heard)]
        if self._oversight is not None:
            stops.append(self._oversight.on_violation(listener))

        def stop() -> None:
            for each in stops:
                each()

        return stop

    @property
    def rules(self) -> Rules:
        """The rules of this state and those in it, by name, to be switched on and off."""
        return self._rules

    def on_warning(self, listener: Callable[[RuleWarning], object]) -> Callable[[], None]:
        """Call a listener with what `warn` rules have to say from now on; returns how to stop it."""
        return self._rules.on_warning(listener)

    def to_dict(self, *, defaults: bool = True) -> dict[str, Any]:
        """Return the values of all fields, as plain Python data.

        Args:
            defaults: whether registers that nobody has written are included.
        """
        return {
            name: field.to_dict(defaults=defaults) if isinstance(field, State) else field.value
            for name, field in self._fields.items()
            if defaults or not isinstance(field, Register) or field.is_set
        }

    # Plain JSON -------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Json]:
        """Return the values of all fields as JSON data, from which `from_json` makes them again without a loss.

        Values come as they are stored, see `plain.to_json`. Sets come in their fixed order, texts without their
        formatting, rows and nested states as objects. A register that is not set is left out.
        """
        return {name: data for name, field in self._fields.items() if (data := view(field)) is not ABSENT}

    @classmethod
    def from_json(cls, data: dict[str, Json], document: StateDocument | None = None) -> Self:
        """Return a state that holds what `to_json` returned, in a document; a new one of its own if None.

        Raises: InvalidValueError, if it does not fit.
        """
        state = cls(document)
        state.assign_json(data, others=True)
        return state

    def assign_json(self, data: dict[str, Json], *, others: bool = False) -> None:
        """Make fields hold what `to_json` returned, with as few edits as it takes, in one transaction.

        Args:
            data: by the names of the fields.
            others: whether all fields that are not named are emptied.

        Raises: InvalidValueError, if it does not fit, or a log or what only grows would be rewritten; nothing is
            written then.
        """
        with self.transaction():
            put_fields(self, from_json(data), others=others)

    def apply_patch(self, operations: Patch) -> None:
        """Make the operations of a JSON Patch (RFC 6902) as typed edits, in one transaction: all of them, or none.

        Pointers lead through what `to_json` returns. A counter gets the difference added, a text a splice, a list real
        moves; a set has its own order, and a log may only lose its first items and get new ones at its end. Inside of a
        value of a register, map or list, the whole value is written again. Removing a field empties it.

        Raises: InvalidValueError, if the patch is malformed, an operation cannot be made, or a test fails; it names the
            operation.
        """
        apply_patch(self, operations)

    def on_patch(self, listener: Callable[[Patch], object]) -> Callable[[], None]:
        """Call a listener after each transaction, local or not, with what it did to `to_json`; returns how to stop it.

        The patches, applied in turn to what `to_json` returns now, always give what it returns then. See `PatchStream`.
        """
        return PatchStream(self, listener).close

    __hash__ = None  # type: ignore[assignment]  # what changes cannot be a key

    def __eq__(self, other: object) -> bool:
        if isinstance(other, State):
            return type(self) is type(other) and self.to_dict() == other.to_dict()
        return isinstance(other, Mapping) and self.to_dict() == other

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return what the class declares as JSON Schema 2020-12, from which `state_class` makes such a class again.

        It describes the plain values; what a field is stands in ``x-comity``. Checks and rules are functions, and are
        not part of it.

        Raises: SchemaError, if the type of a value has no JSON Schema.
        """
        return Exporter(outline_of).export(cls)

    @property
    def value(self) -> dict[str, Any]:
        """The values of all fields, as plain Python data."""
        return self.to_dict()

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={field.value!r}" for name, field in self._fields.items())
        return f"{type(self).__name__}({values})"


def _plain(value: Any) -> Any:
    return (
        value.to_dict(defaults=False)
        if isinstance(value, State)
        else value.value
        if isinstance(value, Field)
        else value
    )


def _bound(
    declared: Declaration, document: StateDocument, replica: Replication | None, place: Place
) -> "Field | State":
    if not isinstance(declared.declaration, Field):
        if place.path.count("/") > _MAX_NESTED:
            raise SchemaError("states nested without end", subject=place.path, remedy="hold rows in a Map instead")
        nested = cast("type[State]", declared.declaration)
        return nested._at(document, replica, place)  # pyright: ignore[reportPrivateUsage]
    annotation = declared.annotation
    if isinstance(declared.declaration, Map) and isinstance(annotation, type) and issubclass(annotation, State):
        rows: RowMap[Any] = RowMap(
            lambda document, path, keeper: annotation._at(  # pyright: ignore[reportPrivateUsage]
                document, replica, Place(path, keeper, place.rules)
            ),
            annotation,
            has_texts(annotation),  # type: ignore[arg-type]  # mypy takes no class for hashable
        )
        return rows.bind(document, place.path, Any, place.keeper)
    return declared.declaration.bind(document, place.path, annotation, place.keeper)


_RESERVED: Final = frozenset(name for name in dir(State) if not name.startswith("_")) | {LANES}
