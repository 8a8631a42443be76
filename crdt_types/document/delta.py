"""Deltas: edits of a text as data, to be composed, inverted and moved past each other.

A delta is a list of operations on a text from its start on; what lies after the last one stays as it is.

- ``{"insert": characters or an object, "attributes": {...}}``
- ``{"retain": number, "attributes": {...}}``: leave so many characters, but for the formatting that is named
- ``{"delete": number}``

Attributes are left out where there are none. In those of a retain, None takes an attribute away. Lengths are counted in
characters (Unicode code points), and an embedded object counts as one. A delta of nothing but inserts is a document.

Sources: the Delta format of Quill (https://quilljs.com/docs/delta), whose operations and whose `compose`, `transform`
and `invert` these are; C. A. Ellis and S. J. Gibbs, "Concurrency Control in Groupware Systems" (1989), for the
transformation of concurrent operations. None of these functions changes what it is given.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

from ..errors import InvalidValueError

Operation = dict[str, Any]
Delta = list[Operation]

_KINDS: Final = ("insert", "retain", "delete")
_OBJECT_REPLACEMENT: Final = "\ufffc"


def compose(a: Delta, b: Delta) -> Delta:
    """Return the delta that does what one delta and, after it, another do; normalized.

    Raises: InvalidValueError, if one of them is malformed.
    """
    check(a)
    check(b)
    out: Delta = []
    one, other = _Reader(a), _Reader(b)
    while one or other:
        if other.kind == "insert":
            _push(out, _tidy(other.take()))
        elif one.kind == "delete":
            _push(out, one.take())
        else:
            length = min(one.left, other.left)
            _push_both(out, one.take(length), other.take(length))
    return _chopped(out)


def _push_both(out: Delta, first: Operation, then: Operation) -> None:
    """Add what a retain or a delete makes of an insert or a retain of the same length."""
    if "delete" not in then:
        attributes = {**first.get("attributes", {}), **then.get("attributes", {})}
        _push(out, _with_attributes(first, attributes))
    elif "retain" in first:
        _push(out, then)


def transform(a: Delta, b: Delta, priority: bool) -> Delta:
    """Return one delta rewritten to apply after another, where both were made for the same text.

    ``compose(a, transform(a, b, True))`` and ``compose(b, transform(b, a, False))`` come to the same.

    Args:
        a: the delta that is applied first.
        b: the delta to be rewritten.
        priority: whether `a` has it, where both insert at one place (its insertion comes first) or set one attribute of
            the same characters (its value stays).

    Raises: InvalidValueError, if one of them is malformed.
    """
    check(a)
    check(b)
    out: Delta = []
    one, other = _Reader(a), _Reader(b)
    while other:
        if one.kind == "insert" and (priority or other.kind != "insert"):
            _melt(out, {"retain": one.left})
            one.take()
        elif other.kind == "insert":
            _melt(out, other.take())
        else:
            length = min(one.left, other.left)
            _melt_after(out, one.take(length), other.take(length), priority)
    return _chopped(out)


def _melt_after(out: Delta, first: Operation, then: Operation, priority: bool) -> None:
    """Add what is left of a retain or a delete after another one of the same characters."""
    if "delete" in first:
        return
    wanted = then.get("attributes")
    if wanted and priority:
        taken = first.get("attributes", {})
        wanted = {name: value for name, value in wanted.items() if name not in taken}
        then = _with_attributes(then, wanted)
    _melt(out, then)


def invert(delta: Delta, base: Delta) -> Delta:
    """Return the delta that undoes another one.

    Args:
        delta: what was done.
        base: the document that it was done to.

    Raises: InvalidValueError, if one of them is malformed, the base is no document, or the delta reaches past its end.
    """
    check_document(base)
    check(delta, length_of(base))
    out: Delta = []
    source = _Reader(base)
    for op in delta:
        if "insert" in op:
            _push(out, {"delete": _length(op)})
            continue
        for piece in source.pieces(_length(op)):
            _push(out, piece if "delete" in op else _restored(op.get("attributes", {}), piece))
    return _chopped(out)


def _restored(written: dict[str, Any], piece: Operation) -> Operation:
    """Return the retain that gives a piece of a document the attributes that it had before some were written."""
    had = piece.get("attributes", {})
    changed = [name for name in written if not _alike(written[name], had.get(name))]
    return _with_attributes({"retain": _length(piece)}, {name: had.get(name) for name in changed})


def normalized(delta: Delta) -> Delta:
    """Return the shortest delta that does the same: insertions before deletions at the same place, neighbours as one.

    Raises: InvalidValueError, if it is malformed.
    """
    check(delta)
    out: Delta = []
    for op in delta:
        _push(out, _tidy(op))
    return _chopped(out)


def length_of(delta: Delta) -> int:
    """Return the length of all operations together; for a document, that of its text."""
    return sum(map(_length, delta))


def growth_of(delta: Delta) -> int:
    """Return by how many characters a delta makes a text longer; negative if it makes it shorter."""
    return sum(_length(op) if "insert" in op else -op.get("delete", 0) for op in delta)


def apply_to(text: str, delta: Delta) -> str:
    """Return what a delta makes of a plain text; an object in it reads as U+FFFC.

    Raises: InvalidValueError, if it is malformed or reaches past the end.
    """
    check(delta, len(text))
    out: list[str] = []
    at = 0
    for op in delta:
        if "insert" in op:
            out.append(op["insert"] if isinstance(op["insert"], str) else _OBJECT_REPLACEMENT)
            continue
        if "retain" in op:
            out.append(text[at : at + op["retain"]])
        at += _length(op)
    return "".join(out) + text[at:]


# What is well formed ------------------------------------------------------------------------------------------------


def check(delta: Delta, length: int | None = None, subject: str = "delta") -> None:
    """Raise InvalidValueError if a delta is malformed, or reaches past the end of a text.

    Args:
        delta: anything; lengths of 0 and empty insertions are taken for no operation.
        length: the length of the text, in characters; None for one of any length.
        subject: what the error names.
    """
    if not isinstance(delta, list):
        raise InvalidValueError("a delta that is not a list", subject=subject)
    for op in delta:
        if problem := _problem(op):
            raise InvalidValueError(f"{problem} in a delta: {op!r:.200}", subject=subject)
    if length is not None and (reach := length_of([op for op in delta if "insert" not in op])) > length:
        raise InvalidValueError(f"a delta that reaches over {reach} characters of {length}", subject=subject)


def check_document(delta: Delta, subject: str = "delta") -> None:
    """Raise InvalidValueError if a delta is malformed, or holds anything but insertions."""
    check(delta, subject=subject)
    for op in delta:
        if "insert" not in op:
            raise InvalidValueError(f"no insertion in a document: {op!r:.200}", subject=subject)


def _problem(op: Any) -> str:
    """Return what is wrong with an operation, or nothing."""
    if not isinstance(op, dict):
        return "an operation that is not a dict"
    kinds = [kind for kind in _KINDS if kind in op]
    if len(kinds) != 1:
        return "an operation that is not one of insert, retain and delete"
    (kind,) = kinds
    operand = op[kind]
    if kind != "insert" and (type(operand) is not int or operand < 0):
        return "a length that is not a whole number"
    return _problem_beside(kind, op) if len(op) > 1 else ""


def _problem_beside(kind: str, op: Operation) -> str:
    if len(op) > 2 or "attributes" not in op or kind == "delete":
        return "an unknown member"
    attributes = op["attributes"]
    if not isinstance(attributes, dict) or not all(isinstance(name, str) for name in attributes):
        return "attributes that are not a dict by names"
    return ""


# Operations and pieces of them --------------------------------------------------------------------------------------


class _Reader:
    """Hands out the operations of a delta in pieces of any length; after the last comes a retain without an end."""

    __slots__ = ("_next", "_op", "_rest", "kind", "left")

    def __init__(self, delta: Delta) -> None:
        self._rest = iter(delta)
        self._advance()

    def _advance(self) -> None:
        for op in self._rest:
            if length := _length(op):
                self._op, self._next, self.left = op, 0, length
                self.kind = _kind(op)
                return
        self._op, self._next, self.left, self.kind = {}, 0, sys.maxsize, "retain"

    def __bool__(self) -> bool:
        return bool(self._op)

    def take(self, length: int | None = None) -> Operation:
        """Return the next so many characters of the operation at hand, or all that is left of it."""
        op, start, left = self._op, self._next, self.left
        length = left if length is None else length
        if not op:
            return {"retain": length}
        if length < left:
            self._next, self.left = start + length, left - length
        else:
            self._advance()
        return op if length == start + left else _cut(op, start, length)

    def pieces(self, length: int) -> Iterator[Operation]:
        """Yield the next so many characters."""
        while length > 0:
            piece = self.take(min(length, self.left))
            length -= _length(piece)
            yield piece


def _kind(op: Operation) -> str:
    return "insert" if "insert" in op else "delete" if "delete" in op else "retain"


def _length(op: Operation) -> int:
    if "insert" in op:
        come = op["insert"]
        return len(come) if isinstance(come, str) else 1
    number: int = op["retain"] if "retain" in op else op["delete"]
    return number


def _cut(op: Operation, start: int, length: int) -> Operation:
    """Return a piece of an operation."""
    if "insert" in op:
        return {**op, "insert": op["insert"][start : start + length]}
    return {**op, _kind(op): length}


def _with_attributes(op: Operation, attributes: dict[str, Any]) -> Operation:
    """Return an operation with other attributes; what is inserted has none of value None."""
    if "insert" in op:
        attributes = {name: value for name, value in attributes.items() if value is not None}
    bare = {name: operand for name, operand in op.items() if name != "attributes"}
    return {**bare, "attributes": attributes} if attributes else bare


def _tidy(op: Operation) -> Operation:
    """Return an operation without attributes that say nothing."""
    return _with_attributes(op, op["attributes"]) if "attributes" in op else op


def _push(out: Delta, op: Operation) -> None:
    """Add an operation to a normalized delta: insertions come before deletions at the same place."""
    if "insert" in op and out and "delete" in out[-1]:
        deletion = out.pop()
        _melt(out, op)
        out.append(deletion)
    else:
        _melt(out, op)


def _melt(out: Delta, op: Operation) -> None:
    """Add an operation to a delta, as one with its neighbour where that says the same."""
    if not _length(op):
        return
    kind = _kind(op)
    last = out[-1] if out else {}
    meltable = kind in last and (kind != "insert" or (isinstance(op[kind], str) and isinstance(last[kind], str)))
    if meltable and _same_attributes(last, op):
        out[-1] = {**last, kind: last[kind] + op[kind]}
    else:
        out.append(op)


def _same_attributes(one: Operation, other: Operation) -> bool:
    return _alike(one.get("attributes") or {}, other.get("attributes") or {})


def _alike(one: Any, other: Any) -> bool:
    """Tell whether two values are one in JSON, to which True is no number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _chopped(delta: Delta) -> Delta:
    """Return a delta without a retain at its end that changes nothing."""
    if delta and "retain" in delta[-1] and not delta[-1].get("attributes"):
        delta.pop()
    return delta
