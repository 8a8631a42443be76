"""Scopes: the fields of a document that something is about."""

from collections.abc import Iterable, Iterator

from ..document.cells import Cells
from ..document.entry import COUNTER, ELEMENT
from ..document.path import unescape
from ..document.statedocument import StateDocument
from ..errors import InvalidValueError
from ..schema.state import State
from ..types.field import Field
from ..types.rows import RowMap
from ..views.view import Viewed, fields_of, only_grows


class Scope:
    """The fields of a state or document that are meant, with all that lies below them.

    Args:
        target: a state, or a document.
        names: the names of the fields; all of them if None.
        marked: whether those with names that begin with ``$`` are meant as well, if all are.

    Raises: InvalidValueError, if the state has no such field.
    """

    def __init__(self, target: State | StateDocument, names: Iterable[str] | None, *, marked: bool = False) -> None:
        self._marked = marked and names is None
        self._declared: dict[str, Field] = {}
        self._names: frozenset[str] | None = None
        if isinstance(target, State):
            self._declared = dict(_declared(target, names))
            self._names = frozenset(self._declared)
        elif names is not None:
            self._names = frozenset(names)
        self._known: dict[str, bool] = {}

    def covers(self, path: str) -> bool:
        """Tell whether a field is meant."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._is_meant(path)
        return known

    def _is_meant(self, path: str) -> bool:
        if path.startswith("$"):
            return self._marked
        return self._names is None or self._root(path) != ""

    def _root(self, path: str) -> str:
        """Return the path of the field meant that another is, or lies below; empty if there is none."""
        names = self._names or frozenset()
        end = len(path)
        while end > 0:
            if path[:end] in names:
                return path[:end]
            end = path.rfind("/", 0, end)
        return ""

    def grows(self, cells: Cells) -> bool:
        """Tell whether the field of some cells is declared as one that only grows."""
        if cells.kind not in (ELEMENT, COUNTER):
            return False
        root = self._root(cells.field)
        field = self._declared.get(root)
        if isinstance(field, RowMap) and cells.field != root:
            key, _, rest = cells.field[len(root) + 1 :].partition("/")
            field = field.field_at(unescape(key), rest)
        return only_grows(field)


def _declared(state: Viewed, names: Iterable[str] | None) -> Iterator[tuple[str, Field]]:
    fields = fields_of(state)
    for name in fields if names is None else names:
        if name not in fields:
            raise InvalidValueError(
                f"no field {name!r}", subject=type(state).__name__, remedy=f"there are {', '.join(fields)}"
            )
        found = fields[name]
        if isinstance(found, Field):
            yield found.name, found
        else:
            yield from _declared(found, None)
