"""Edits of a state with a field of each type: how hypothesis draws them, and how they are made."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from hypothesis import strategies as st

from comity.crdt_types import Counter, GCounter, GSet, List, Log, Map, ORSet, Register, State, Text

from .draft import Draft


class Part(State):
    """A row in a row."""

    title: Register[Any]
    notes: Text


class Task(State):
    """A row."""

    title: Register[Any]
    spent: Counter
    labels: ORSet[Any]
    steps: List[Any]
    journal: Log[str]
    notes: Text
    parts: Map[Part]


class Profile(State):
    """A state in a state."""

    name: Register[Any]
    visits: Counter


class Everything(State):
    """A field of each kind, and a second counter."""

    goal: Register[Any]
    steps: Map[Any]
    tags: ORSet[Any]
    spent: Counter
    errors: Counter
    journal: Log[str]
    notes: Text
    seen: GSet[Any]
    earned: GCounter
    plan: List[Any]
    profile: Profile
    tasks: Map[Task]


class Edit(NamedTuple):
    """One edit as it is drawn: the operation, the field's path and its arguments.

    Indexes are to be taken modulo the length of what there is then.
    """

    operation: str
    path: str
    arguments: tuple[Any, ...] = ()


KEYS: Final = st.sampled_from(["a", "b", "\u00e9", ""])
ROW_KEYS: Final = ("a", "x/y", "~")
PLAIN: Final[st.SearchStrategy[Any]] = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=2), st.just([1, {"x": b"y"}])
)
ELEMENTS: Final[st.SearchStrategy[Any]] = st.sampled_from([1, 1.0, True, "1", None, [1, 2], {"b": 1, "a": 2}])
AMOUNTS: Final = st.integers(-5, 9)
AT: Final = st.integers(0, 12)
CHARACTERS: Final = st.text(alphabet="ab\u00e9\u4e2d\U0001f600\u0301", max_size=4)


def edits_of(
    operation: str, paths: st.SearchStrategy[str], *arguments: st.SearchStrategy[Any]
) -> st.SearchStrategy[Edit]:
    """Return a strategy of edits."""
    return st.builds(Edit, st.just(operation), paths, st.tuples(*arguments))


def _in_rows(*names: str) -> st.SearchStrategy[str]:
    return st.sampled_from([f"tasks/{key}/{name}" for key in ("a", "x~1y", "~0") for name in names])


def _of_register(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Edit]:
    return st.one_of(edits_of("set", paths, PLAIN), edits_of("clear", paths))


def _of_map(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Edit]:
    return st.one_of(edits_of("put", paths, KEYS, PLAIN), edits_of("delete", paths, KEYS))


def _of_set(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Edit]:
    return st.one_of(edits_of("add", paths, ELEMENTS), edits_of("discard", paths, ELEMENTS))


def _of_counter(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Edit]:
    return edits_of("count", paths, AMOUNTS)


def _of_log(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Edit]:
    return st.one_of(edits_of("append", paths), edits_of("append", paths), edits_of("prune", paths, st.integers(0, 6)))


def _of_list(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Edit]:
    insert, move = edits_of("insert", paths, AT), edits_of("move", paths, AT, AT)
    return st.one_of(insert, insert, move, edits_of("replace", paths, AT), edits_of("remove", paths, AT))


def _of_text(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Edit]:
    return edits_of("write", paths, AT, st.integers(0, 3), CHARACTERS)


def _of_rows() -> st.SearchStrategy[Edit]:
    rows, parts = st.just("tasks"), _in_rows("parts")
    keys, part_keys = st.sampled_from(ROW_KEYS), st.sampled_from(["", "p"])
    part_fields = _in_rows("parts//title", "parts/p/title"), _in_rows("parts//notes", "parts/p/notes")
    return st.one_of(
        edits_of("drop", rows, keys),
        edits_of("drop", parts, part_keys),
        edits_of("row", rows, keys, PLAIN),
        edits_of("row", parts, part_keys, PLAIN),
        _of_register(st.one_of(_in_rows("title"), part_fields[0])),
        _of_text(st.one_of(_in_rows("notes"), part_fields[1])),
        _of_counter(_in_rows("spent")),
        _of_set(_in_rows("labels")),
        _of_list(_in_rows("steps")),
        _of_log(_in_rows("journal")),
    )


BY_TYPE: Final[dict[str, st.SearchStrategy[Edit]]] = {
    "register": _of_register(st.just("goal")),
    "map": _of_map(st.just("steps")),
    "orset": _of_set(st.just("tags")),
    "gset": edits_of("add", st.just("seen"), ELEMENTS),
    "counter": _of_counter(st.sampled_from(["spent", "errors"])),
    "gcounter": edits_of("count", st.just("earned"), st.integers(0, 9)),
    "log": _of_log(st.just("journal")),
    "list": _of_list(st.just("plan")),
    "text": _of_text(st.just("notes")),
    "nested": st.one_of(_of_register(st.just("profile/name")), _of_counter(st.just("profile/visits"))),
    "rows": _of_rows(),
}
EDITS: Final = st.one_of(*BY_TYPE.values())


def settled(edit: Edit, draft: Draft, length_of: Callable[[str], int], label: str) -> Edit | None:
    """Return an edit with its indexes inside what there is, and a value of its own; None if there is nothing to edit.

    Args:
        edit: the edit as it was drawn.
        draft: the transaction that it belongs to.
        length_of: returns the length of a text.
        label: a value that no other edit has.
    """
    operation, path, arguments = edit
    match operation:
        case "append":
            return edit._replace(arguments=(label,))
        case "insert":
            return edit._replace(arguments=(arguments[0] % (len(draft.order(path)) + 1), label))
        case "replace" | "move" | "remove":
            return _inside(edit, len(draft.order(path)), label)
        case "write":
            at = min(arguments[0], length_of(path))
            gone = min(arguments[1], length_of(path) - at)
            return edit._replace(arguments=(at, gone, arguments[2])) if gone or arguments[2] else None
        case "drop":
            return edit if arguments[0] in draft.rows(path) else None
        case _:
            return edit


def _inside(edit: Edit, length: int, label: str) -> Edit | None:
    if not length:
        return None
    indexes = tuple(at % length for at in edit.arguments)
    return edit._replace(arguments=(*indexes, label) if edit.operation == "replace" else indexes)


def perform(state: State, edit: Edit) -> None:
    """Make an edit of a state."""
    field: Any = cast("Any", state.field_at(edit.path))
    match edit.operation, edit.arguments:
        case ("set" | "add" | "discard" | "append" | "insert" | "move" | "prune" | "clear") as method, arguments:
            getattr(field, method)(*arguments)
        case "count", (amount,):
            field.add(amount)
        case "put" | "replace", (place, value):
            field[place] = value
        case "delete", (key,):
            field.pop(key, None)
        case "remove" | "drop", (place,):
            del field[place]
        case "row", (key, title):
            field[key] = {"title": title}
        case "write", (at, gone, come):
            field.replace(at, gone, come)
        case unknown:
            raise AssertionError(unknown)
