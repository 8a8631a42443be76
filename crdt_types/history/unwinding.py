"""Unwinding: one delta that takes some of the edits of a text back, and keeps those made before, between and after."""

from typing import NamedTuple

from ..document.delta import Delta, compose, transform


class Unwinding:
    """Gathers the edits of a text in their order, and says what takes those back that are to be undone.

    Neighbouring stretches of edits become one as soon as they are of the same size, so that each edit is gone over a
    logarithmic number of times, however the edits to be undone alternate with the others.

    Source: the transformation properties of `document.delta`; J. L. Bentley, J. B. Saxe, "Decomposable Searching
    Problems" (1980), for when to join what.
    """

    __slots__ = ("_stretches",)

    def __init__(self) -> None:
        self._stretches: list[_Stretch] = []

    def take(self, inverse: Delta) -> None:
        """Add an edit that is to be undone.

        Args:
            inverse: the delta that undoes it, where it was made.
        """
        self._add(_Stretch(1, inverse, []))

    def keep(self, delta: Delta) -> None:
        """Add an edit that stays."""
        self._add(_Stretch(1, [], delta))

    def _add(self, stretch: "_Stretch") -> None:
        stretches = self._stretches
        while stretches and stretches[-1].edits <= stretch.edits:
            stretch = stretches.pop().joined(stretch)
        stretches.append(stretch)

    def delta(self) -> Delta:
        """Return the delta that takes back, from the text as it now is, all that is to be undone."""
        whole = _Stretch(0, [], [])
        for stretch in reversed(self._stretches):
            whole = stretch.joined(whole)
        return whole.undone


class _Stretch(NamedTuple):
    """Some edits in a row.

    Attributes:
        edits: how many.
        undone: what takes back those to be undone, after all of them.
        kept: what the others come to, made before all of them.
    """

    edits: int
    undone: Delta
    kept: Delta

    def joined(self, later: "_Stretch") -> "_Stretch":
        """Return this stretch and the next one as one."""
        undone = compose(later.undone, transform(later.kept, self.undone, priority=True))
        kept = compose(self.kept, transform(self.undone, later.kept, priority=False))
        return _Stretch(self.edits + later.edits, undone, kept)
