"""Roots: which texts a Yjs document holds beside its typed cells, and which of its other roots are edited."""

from functools import partial
from typing import Any, NamedTuple

import pycrdt
from pycrdt import Doc, Map

from ..update import holds_no_inserts
from .lanes import LANES
from .statedocument import StateDocument


class Touched(NamedTuple):
    """What an update did to the roots beside the typed cells.

    Attributes:
        texts: the roots that were first seen to be texts; all of their content came with this update.
        others: the roots that were edited and are no texts.
    """

    texts: list[str]
    others: list[str]


class Roots:
    """Follows the roots of a Yjs document, update by update, and tells which of them are texts.

    An update does not say of what type a root is, only the content does: a root that never held anything, or holds
    nothing any more, is of no type yet. So they are looked at in a copy of the document, in which each may be taken
    for a text without harm. A text that holds shared types is counted among the others.

    Args:
        state: the document so far, as a Yjs update.

    Attributes:
        texts: the names of the texts, as they were found.

    Raises: ValueError, if the state is not an update.
    """

    def __init__(self, state: bytes) -> None:
        self.texts: dict[str, None] = {}
        self._doc: Doc[Any] = Doc()
        self._others: set[str] = set()
        self._unknown: dict[str, pycrdt.Text] = {}  # of no type yet
        self._known = {LANES}
        self._edited: set[str] = set()
        self._observed: dict[str, Any] = {}
        self.follow(state)

    @property
    def others(self) -> frozenset[str]:
        """The names of the roots that are no texts, and not the typed cells."""
        return frozenset(self._others)

    @property
    def untyped(self) -> frozenset[str]:
        """The names of the roots that are of no type yet."""
        return frozenset(self._unknown.keys() - self._others)

    def follow(self, update: bytes) -> Touched:
        """Apply an update, and return what it did; raises ValueError if it is not one."""
        self._edited.clear()
        self._doc.apply_update(update)
        if not holds_no_inserts(update):
            self._look_for_roots()
        found = [name for name in sorted(self._edited & self._unknown.keys()) if self._is_text(name)]
        for name in found:
            self._unknown.pop(name).unobserve(self._observed.pop(name))
            self.texts[name] = None
        return Touched(found, sorted(self._edited & self._others))

    def _look_for_roots(self) -> None:
        for name in self._doc.keys():  # noqa: SIM118  # iterating over the document itself makes each root anew
            if name not in self._known:
                self._known.add(name)
                self._unknown[name] = text = self._doc.get(name, type=pycrdt.Text)
                self._observed[name] = text.observe_deep(partial(self._note, name))
                self._edited.add(name)

    def _note(self, name: str, _events: list[Any]) -> None:
        self._edited.add(name)

    def _is_text(self, name: str) -> bool:
        """Tell whether a root holds text; where it holds anything else, note that it is none."""
        text = self._unknown[name]
        chunks = [chunk for chunk, _attributes in text.diff()]
        if chunks and all(isinstance(chunk, (str, dict)) for chunk in chunks):
            return True
        if len(text) or len(self._doc.get(name, type=Map)):
            self._others.add(name)
            del self._unknown[name]
        return False


def text_names(document: StateDocument) -> list[str]:
    """Return the names of the root texts of a document, sorted; nothing of it is touched.

    Texts that hold nothing are not among them: nothing tells those from other types.
    """
    return sorted(Roots(document.update_since()).texts)
