"""Positions: strings whose order is that of a list, with room between any two.

A position is a path in a tree; the list is its in-order walk. What a session inserts in a row, forwards or backwards,
hangs below the first of it, so that two sessions' rows at one place do not interleave. Everything else is a fraction
between its neighbours, as near to the root as it can be: that keeps positions short.

Source: the tree and why, M. Weidner, M. Kleppmann, "The Art of the Fugue: Minimizing Interleaving in Collaborative Text
Editing" (2023); the fractions, D. Greenspan, "Implementing Fractional Indexing" (2017); docs/state-format.md says how.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

BEFORE: Final = ","  # what hangs before its parent
END: Final = "-"  # a position ends so, and thus lies between what hangs before and after it
AFTER: Final = "/"  # what hangs after its parent
MARK: Final = "."  # between a step's order and its maker; below every digit
# A row hangs below its first item only up to this length of a path, in characters. One session that inserts again and
# again in the middle of what it inserted would otherwise go one level deeper each time.
MAX_ROW_PATH: Final = 64
MAX_WHOLE: Final = 2**53 - 1  # as far as JavaScript counts

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_ZERO: Final = ord("h")  # the first letter of an order: up to it for negative numbers, from the next one on for others


class Step(NamedTuple):
    """One step of a path.

    Attributes:
        side: BEFORE or AFTER its parent; empty for the first step.
        order: what it is sorted by among the steps of its side.
        maker: the client, and a number that this client gives to one step only; empty in a row that the client of the
            step above goes on with.
    """

    side: str
    order: str
    maker: str

    def __str__(self) -> str:
        return f"{self.side}{self.order}{MARK}{self.maker}"


Path = tuple[Step, ...]


def number(value: int) -> str:
    """Write a whole number from 0 so that greater ones sort later: how many digits follow, and these, in base 36."""
    digits = _base36(value)
    return _DIGITS[len(digits)] + digits


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def whole_order(value: int) -> str:
    """Write a whole number, which may be negative, as an order."""
    digits = _base36(abs(value))
    if value >= 0:
        return chr(_ZERO + len(digits)) + digits
    return chr(_ZERO + 1 - len(digits)) + "".join(_DIGITS[35 - _DIGITS.index(digit)] for digit in digits)


def _split_order(order: str) -> tuple[int, str]:
    """Return the whole number of an order, and its fraction's digits."""
    length = ord(order[0]) - _ZERO
    size = length if length > 0 else 1 - length
    digits, fraction = order[1 : 1 + size], order[1 + size :]
    if length > 0:
        return int(digits, 36), fraction
    return -int("".join(_DIGITS[35 - _DIGITS.index(digit)] for digit in digits), 36), fraction


def order_between(low: str | None, high: str | None) -> str:
    """Return an order between two, as short as can be; None stands for none."""
    if low is None or high is None:
        whole = 0 if low is high else _split_order(low)[0] + 1 if low is not None else _split_order(high or "")[0] - 1
        return whole_order(whole)
    below, fraction = _split_order(low)
    above, limit = _split_order(high)
    if above - below > 1:
        return whole_order((below + above) // 2)
    if above > below and limit:
        return whole_order(above)
    return whole_order(below) + _fraction_between(fraction, limit if above == below else None)


def _fraction_between(low: str, high: str | None) -> str:
    """Return the digits of a fraction between two, of which none ends in 0; None stands for 1."""
    shared = 0
    while high is not None and high[shared : shared + 1] == (low[shared : shared + 1] or "0"):
        shared += 1
    if high is not None and shared:
        return high[:shared] + _fraction_between(low[shared:], high[shared:])
    least = _DIGITS.index(low[0]) if low else 0
    most = _DIGITS.index(high[0]) if high is not None else 36
    if most - least > 1:
        return _DIGITS[(least + most) // 2]
    if high is not None and len(high) > 1:
        return high[0]
    rest = low[1:].lstrip("z")  # below 1 there is room only behind the digits that are the greatest already
    filled = "z" * (len(low[1:]) - len(rest))
    return _DIGITS[least] + filled + _DIGITS[((_DIGITS.index(rest[0]) if rest else 0) + 36) // 2]


class Positions:
    """Makes the positions of one session.

    Args:
        client: the session's client id.
    """

    __slots__ = ("_client", "_last", "_last_path", "_made")

    def __init__(self, client: int) -> None:
        self._client = number(client)
        self._made = 0
        self._last = ""
        self._last_path: Path = ()

    def between(self, left: str | None, right: str | None) -> str:
        """Return a new position after one and before another; None stands for an end of the list.

        Where neighbours leave no room between them, which those of no sound session do, it lies elsewhere.
        """
        self._made += 1
        for path in self._candidates(left, right):
            self._last, self._last_path = write(path), path
            if (left is None or left < self._last) and (right is None or self._last < right):
                break
        return self._last

    def _candidates(self, left: str | None, right: str | None) -> Iterator[Path]:
        last, last_path = self._last, self._last_path
        low = last_path if left == last else read(left)
        yield from self._in_row(low, left == last, Step(AFTER, whole_order(self._made), ""))
        high = last_path if right == last else read(right)
        yield from self._in_row(high, right == last, Step(BEFORE, whole_order(-self._made), ""))
        maker = self._client + number(self._made)
        yield _between_paths(low, high, maker)
        yield (*low, Step(AFTER if low else "", whole_order(0), maker))

    def _in_row(self, path: Path, is_last: bool, step: Step) -> Iterator[Path]:
        """Yield a place in the row that a neighbour lies in, or that it begins, if that row is this session's."""
        if len(path) > 1 and path[-1].side == step.side and self._is_mine(path[:-1]):
            yield (*path[:-1], step)
        if is_last and self._is_mine(path) and len(write(path)) <= MAX_ROW_PATH:
            yield (*path, step)

    def _is_mine(self, path: Path) -> bool:
        maker = next((step.maker for step in reversed(path) if step.maker), "")
        return maker.startswith(self._client)


def _between_paths(low: Path, high: Path, maker: str) -> Path:
    """Return a place between two, where their paths part."""
    level = 0
    while level < min(len(low), len(high)) and low[level] == high[level]:
        level += 1
    lower, higher = low[level : level + 1], high[level : level + 1]
    if lower and higher and lower[0].side == higher[0].side and lower[0].order >= higher[0].order:
        return (*low, Step(AFTER, whole_order(0), maker))  # two makers chose one order: there is room below
    side = lower[0].side if lower else higher[0].side if higher else ""
    floor = lower[0].order if lower else None
    ceiling = higher[0].order if higher and higher[0].side == side else None
    return (*low[:level], Step(side, order_between(floor, ceiling), maker))


def write(path: Path) -> str:
    """Return the position of a path."""
    return "".join(map(str, path)) + END


@lru_cache(maxsize=1024)  # neighbours are asked for again and again
def read(position: str | None) -> Path:
    """Return the path of a position; an empty one for none, and for a string that is no position."""
    return () if position is None else _Reader(position).path()


class _Reader:
    """Reads a position from left to right; raises ValueError or IndexError where it is none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def path(self) -> Path:
        try:
            steps = [self._step(first=True)]
            while self._text[self._at] != END:
                steps.append(self._step(first=False))
        except (ValueError, IndexError):
            return ()
        return tuple(steps) if self._at == len(self._text) - 1 else ()

    def _step(self, *, first: bool) -> Step:
        side = "" if first else self._text[self._at]
        if side not in ("", BEFORE, AFTER):
            raise ValueError(side)
        self._at += len(side)
        end = self._text.index(MARK, self._at)
        order, self._at = _checked_order(self._text[self._at : end]), end + 1
        maker = "" if self._text[self._at] in (BEFORE, END, AFTER) else self._number() + self._number()
        return Step(side, order, maker)

    def _number(self) -> str:
        size = _DIGITS.index(self._text[self._at])
        found = self._text[self._at : self._at + 1 + size]
        if not size or len(found) <= size or any(digit not in _DIGITS for digit in found):
            raise ValueError(found)
        self._at += 1 + size
        return found


def _checked_order(order: str) -> str:
    """Return an order, or raise ValueError if it is none, or not written in the one way there is."""
    if any(digit not in _DIGITS for digit in order) or order[0] < "a":
        raise ValueError(order)
    whole, fraction = _split_order(order)
    if abs(whole) > MAX_WHOLE or order != whole_order(whole) + fraction or fraction.endswith("0"):
        raise ValueError(order)
    return order
