"""A shadow: a text as it was before the edit that is being told of, so that the edit can be inverted."""

from typing import Any, Final

from ..document.delta import Delta, compose, invert, length_of, normalized

# Characters in one operation of a shadow, up to twice as many: copying these takes as long as the rest of an edit.
_PIECE: Final = 4096


class Shadow:
    """A copy of a text with its formatting, which follows it edit by edit.

    Args:
        content: what the text holds, as insertions.
    """

    __slots__ = ("_anew", "_ops")

    def __init__(self, content: Delta) -> None:
        self._ops = _in_pieces(content)
        self._anew: Delta | None = None

    def renew(self, content: Delta) -> None:
        """Take note that the text was read anew: if its characters differ, an edit will say so."""
        if _characters(content) == _characters(self._ops):
            self._ops = _in_pieces(content)
        else:
            self._anew = content

    def take(self, delta: Delta) -> Delta:
        """Follow an edit, and return the delta that undoes it."""
        if self._anew is not None:
            inverse = invert(delta, self._ops)
            self._ops, self._anew = _in_pieces(self._anew), None
            return inverse
        # Only the operations around the edit are looked into, and those beside it, which it may become one with.
        index = _lead(delta)
        first, start = self._find(index, 0, 0)
        reach = index + length_of([op for op in delta[1 if index else 0 :] if "insert" not in op])
        last, _ = self._find(reach + 1, first, start)
        window = self._ops[first : last + 1]
        inside = [{"retain": index - start}, *delta[1 if index else 0 :]]
        inverse = invert(inside, window)
        self._ops[first : last + 1] = _in_pieces(compose(window, inside))
        return normalized([{"retain": start}, *inverse])

    def _find(self, index: int, at: int, start: int) -> tuple[int, int]:
        """Return which operation the character before a position lies in, and where that one starts."""
        ops = self._ops
        while at < len(ops) - 1 and (end := start + _size(ops[at])) < index:
            at, start = at + 1, end
        return at, start


def _in_pieces(content: Delta) -> Delta:
    """Return a document with its long insertions cut: an edit copies what it touches."""
    if all(_size(op) <= 2 * _PIECE for op in content):
        return content
    return [
        {**op, "insert": op["insert"][at : at + _PIECE]} if _size(op) > 2 * _PIECE else op
        for op in content
        for at in range(0, _size(op) if _size(op) > 2 * _PIECE else 1, _PIECE)
    ]


def _lead(delta: Delta) -> int:
    """Return how many characters a delta leaves alone before it does anything."""
    first = delta[0] if delta else {}
    lead: int = first["retain"] if "retain" in first and not first.get("attributes") else 0
    return lead


def _size(op: dict[str, Any]) -> int:
    come = op["insert"]
    return len(come) if isinstance(come, str) else 1


def _characters(content: Delta) -> str:
    return "".join(op["insert"] if isinstance(op["insert"], str) else "\ufffc" for op in content)
