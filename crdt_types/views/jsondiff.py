"""Differences between two JSON views, as JSON Patch.

`jsonpatch` has a diff of its own, which takes 1, 1.0 and True for equal inside of lists, and turns equal values of
unrelated fields into moves.

Source: JSON Patch (RFC 6902); the longest matching runs of two lists are found as Ratcliff and Obershelp's do, by the
standard library's difflib.
"""

from collections.abc import Hashable, Iterator
from copy import deepcopy
from difflib import SequenceMatcher
from operator import ne
from typing import Any, Final

from ..document.path import escape
from .plain import Json, identity

Patch = list[dict[str, Any]]

# Finding runs takes time with the product of what differs of the two lists: some tenths of a second for this.
_MANY_PAIRS: Final = 1_000_000


def diff(before: dict[str, Json], after: dict[str, Json]) -> Patch:
    """Return the JSON Patch that turns one view of a state into another, such as `State.to_json` at two moments.

    Whole numbers, floats and booleans are told apart. One item that changed its place in a list is moved.
    """
    return list(changes("", before, after))


def changes(path: str, before: Json, after: Json) -> Iterator[dict[str, Any]]:
    """Yield the operations that turn one value into another, which lies at a JSON pointer."""
    if _is_object(before) and _is_object(after):
        yield from _object_changes(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_changes(path, before, after)
    elif identity(before) != identity(after):
        yield replaced(path, after)


def added(path: str, value: Json) -> dict[str, Any]:
    """Return the operation that adds a value."""
    return {"op": "add", "path": path, "value": deepcopy(value)}


def replaced(path: str, value: Json) -> dict[str, Any]:
    """Return the operation that replaces a value."""
    return {"op": "replace", "path": path, "value": deepcopy(value)}


def removed(path: str) -> dict[str, Any]:
    """Return the operation that removes a value."""
    return {"op": "remove", "path": path}


def moved(path: str, old: int, new: int) -> dict[str, Any]:
    """Return the operation that moves an item of a list."""
    return {"op": "move", "from": f"{path}/{old}", "path": f"{path}/{new}"}


def _is_object(value: Json) -> bool:
    """Tell whether a value is an object, and not one that stands for something that JSON does not have."""
    if not isinstance(value, dict):
        return False
    key = next(iter(value), "") if len(value) == 1 else ""
    return not key.startswith("$") or key.startswith("$$")


def _object_changes(path: str, before: dict[str, Json], after: dict[str, Json]) -> Iterator[dict[str, Any]]:
    for key in before:
        if key not in after:
            yield removed(f"{path}/{escape(key)}")
    for key, value in after.items():
        at = f"{path}/{escape(key)}"
        if key in before:
            yield from changes(at, before[key], value)
        else:
            yield added(at, value)


def _list_changes(path: str, before: list[Json], after: list[Json]) -> Iterator[dict[str, Any]]:
    old, new = list(map(identity, before)), list(map(identity, after))
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if len(old) == len(new) > 1 and old[1:] + old[:1] == new:
        yield moved(path, start, start + len(new) - 1)
    elif len(old) == len(new) > 1 and old[-1:] + old[:-1] == new:
        yield moved(path, start + len(new) - 1, start)
    else:
        shift = start
        for low, high, first, last in _hunks(old, new):
            yield from _hunk_changes(
                path, shift + low, before[start + low : start + high], after[start + first : start + last]
            )
            shift += last - first - (high - low)


def _hunks(old: list[Hashable], new: list[Hashable]) -> list[tuple[int, int, int, int]]:
    """Return what differs: from where to where in the one list and in the other."""
    whole = [(0, len(old), 0, len(new))]
    if len(old) * len(new) > _MANY_PAIRS:
        return whole
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    hunks = [(low, high, first, last) for kind, low, high, first, last in codes if kind != "equal"]
    in_place = sum(map(ne, old, new)) + abs(len(old) - len(new))
    return hunks if sum(max(high - low, last - first) for low, high, first, last in hunks) < in_place else whole


def _hunk_changes(path: str, at: int, gone: list[Json], come: list[Json]) -> Iterator[dict[str, Any]]:
    """Yield the operations that put some items in the place of others, in place as far as there are any."""
    both = min(len(gone), len(come))
    for index in range(both):
        yield from changes(f"{path}/{at + index}", gone[index], come[index])
    for _ in gone[both:]:
        yield removed(f"{path}/{at + both}")
    for index, value in enumerate(come[both:], at + both):
        yield added(f"{path}/{index}", value)


def _common(one: list[Hashable], other: list[Hashable]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
