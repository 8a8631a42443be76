"""What was done to a text lately, so that edits made against an earlier version of it find their places."""

import re
import secrets
from collections import deque
from itertools import islice
from typing import Final

from ..errors import StaleVersionError
from .delta import Delta, Operation

# A minute of several agents that stream their answers into one text; some three megabytes of memory.
MAX_OPERATIONS: Final = 10_000
# Pasting more than a whole book makes what was read before it stale.
MAX_CHARACTERS: Final = 1_000_000

_NUMBER: Final = re.compile("[0-9]{1,16}")


class TextHistory:
    """The last deltas of one text, the oldest first, numbered without end.

    Its bounds are `MAX_OPERATIONS` and, inserted in them, `MAX_CHARACTERS`.
    """

    __slots__ = ("_characters", "_deltas", "_end", "_operations", "_origin")

    def __init__(self) -> None:
        self._origin = secrets.token_hex(8)  # whose version it is: no other text's or replica's, nor of before a reset
        self._deltas: deque[Delta] = deque()
        self._end = 0
        self._operations = 0
        self._characters = 0

    @property
    def version(self) -> str:
        """The token of the text as it is after the last delta."""
        return f"{self._origin}.{self._end}"

    def add(self, delta: Delta) -> None:
        """Take in what was done to the text; the oldest deltas are forgotten where they pass the bounds."""
        if not delta:
            return
        delta = list(map(_outline, delta))
        self._deltas.append(delta)
        self._end += 1
        self._count(delta, 1)
        while self._operations > MAX_OPERATIONS or self._characters > MAX_CHARACTERS:
            self._count(self._deltas.popleft(), -1)

    def _count(self, delta: Delta, sign: int) -> None:
        self._operations += sign * len(delta)
        self._characters += sign * sum(len(op["insert"]) for op in delta if isinstance(op.get("insert"), str))

    def since(self, version: str) -> list[Delta]:
        """Return what was done since a version, the oldest first; raises StaleVersionError if that is not known."""
        origin, _, number = str(version).rpartition(".")
        if origin != self._origin or not _NUMBER.fullmatch(number):
            raise StaleVersionError("this version is of another text, another replica or before a reset")
        age = self._end - int(number)
        if not 0 <= age <= len(self._deltas):
            raise StaleVersionError("this version is not known any more")
        return list(islice(self._deltas, len(self._deltas) - age, None))


def _outline(op: Operation) -> Operation:
    """Return what of an operation decides where others go and which attributes they may set; objects can be large."""
    if "insert" in op:
        return {"insert": op["insert"] if isinstance(op["insert"], str) else {}}
    return {**op, "attributes": dict.fromkeys(op["attributes"])} if "attributes" in op else op.copy()
