"""State: a class whose annotations declare the typed fields of a document."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints

from .changes import Change, Conflict, Violation
from .document import StateDocument
from .errors import NotConnectedError, SchemaError, StateError
from .field import Field
from .lanes import LANES
from .replication import Replication


class _Declared(NamedTuple):
    declaration: Field
    annotation: Any


class State:
    """Typed state over one document: subclass it and annotate its fields.

    ::

        class Mission(State):
            goal: Register[str]
            spent: Counter

    Opened by a client it is live; bound to a bare `StateDocument` it works without any server.

    Args:
        document: the document that holds the state.
        replica: the replica that keeps the document in step with a server, if there is one.

    Raises: SchemaError, if the class is not well formed.
    """

    def __init__(self, document: StateDocument | None = None, replica: Replication | None = None) -> None:
        document = StateDocument() if document is None else document
        fields = {
            name: declared.declaration.bind(document, name, declared.annotation)
            for name, declared in declared_fields(type(self)).items()  # type: ignore[arg-type]  # mypy takes no class for hashable
        }
        self.__dict__.update(fields, _fields=fields, _document=document, _replica=replica)

    _fields: dict[str, Field]
    _document: StateDocument
    _replica: Replication | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
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
        return self.replica.changes(self._typed)

    def on_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Call a listener with every typed change from now on; returns a function that stops it."""
        return self._document.on_change(lambda change: listener(self._typed(change)))

    def _typed(self, change: Change) -> Change:
        field = self._fields.get(change.field)
        if field is None or field.kind != change.kind or change.kind in ("text", "counter"):
            return change
        if change.kind == "set":
            return change._replace(key=field.typed(change.key))
        old = None if change.old is None else field.typed(change.old)
        new = None if change.new is None else field.typed(change.new)
        return change if old is change.old and new is change.new else change._replace(old=old, new=new)

    def conflicts(self) -> list[Conflict]:
        """List the cells of all fields that hold several concurrent values; the next write of a cell settles it."""
        return [conflict for field in self._fields.values() for conflict in field.conflicts()]

    def violations(self) -> list[Violation]:
        """List the stored values that do not fit their field's type, with their authors."""
        return [violation for field in self._fields.values() for violation in field.violations()]

    def to_dict(self) -> dict[str, Any]:
        """Return the values of all fields, as plain Python data."""
        return {name: field.value for name, field in self._fields.items()}

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={field.value!r}" for name, field in self._fields.items())
        return f"{type(self).__name__}({values})"


_RESERVED: Final = frozenset(name for name in dir(State) if not name.startswith("_")) | {LANES}


@cache
def declared_fields(cls: type[State]) -> dict[str, _Declared]:
    """Return the fields that a State class declares.

    Raises: SchemaError, if an annotation is not a field type or cannot be resolved.
    """
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise SchemaError(
            f"an annotation cannot be resolved: {error}",
            subject=cls.__name__,
            remedy="define the names it uses at the top of its module",
        ) from None
    return {name: _declared(cls, name, hint) for name, hint in hints.items() if not name.startswith("_")}


def _declared(cls: type[State], name: str, hint: Any) -> _Declared:
    origin = get_origin(hint) or hint
    if not (isinstance(origin, type) and issubclass(origin, Field)):
        raise SchemaError(
            f"{hint!r} is not a field type",
            subject=f"{cls.__name__}.{name}",
            remedy="use Register[T], Map[T], ORSet[T], Log[T], Counter or Text",
        )
    declaration = getattr(cls, name, None)
    if declaration is None:
        declaration = origin()
    elif type(declaration) is not origin:
        raise SchemaError(f"declared as {origin.__name__} but set to {declaration!r}", subject=f"{cls.__name__}.{name}")
    arguments = get_args(hint)
    if len(arguments) > 1:
        raise SchemaError(f"{origin.__name__} takes one type, that of its values", subject=f"{cls.__name__}.{name}")
    return _Declared(declaration, arguments[0] if arguments else Any)
