"""Playback: a document that goes through its versions once more, and says what each of them did."""

from typing import Any

from pycrdt import Map

from ..document.delta import Delta, normalized
from ..document.listeners import Footprint
from ..document.roots import Roots
from ..document.statedocument import StateDocument
from ..document.textmirror import TextMirror
from ..update import sole_client
from .differences import Difference, Differences
from .telling import Telling


class Playback:
    """A document with all of its texts, which is told of updates in their order.

    A text is followed from the beginning, so it must be known before the update comes that begins it: every update is
    announced first, alone or merged with others. This takes a second document, which nobody reads in Python.

    Args:
        state: the document to begin with, as a Yjs update.

    Attributes:
        document: the document.
        footprint: what the last update did.

    Raises: ProtocolError, if the state is not an update.
    """

    def __init__(self, state: bytes) -> None:
        self.document = StateDocument(update=state)
        self.document.add_recorder(self._record)
        self.footprint = Footprint([], [], False)
        self._texts: dict[str, TextMirror] = {}
        self._touched: set[str] = set()  # of the roots that are watched, because they may be no texts
        self._watched: dict[str, Map[Any]] = {}
        self._roots = Roots(state)
        self._mind_roots()

    def _record(self, footprint: Footprint) -> None:
        self.footprint = footprint

    def announce(self, update: bytes) -> None:
        """Make ready for what is to be played next."""
        self._roots.follow(update)
        self._mind_roots()

    def _mind_roots(self) -> None:
        # What is of no type yet may have been a text in between, or anything else: to take it for both does no harm.
        roots = self._roots
        for name in sorted({*roots.texts, *roots.untyped} - self._texts.keys()):
            self._texts[name] = self.document.text(name)
        for name in sorted((roots.others | roots.untyped) - self._watched.keys()):
            self._watch(name)

    def _watch(self, name: str) -> None:
        touched = self._touched  # an observer that held this object would never let its document go
        self._watched[name] = root = self.document.ydoc.get(name, type=Map)
        root.observe_deep(lambda _events: touched.add(name))

    def play(self, update: bytes) -> None:
        """Apply an update that was announced."""
        self.footprint = Footprint([], [], False)
        self._touched.clear()
        self.document.apply(update)

    def differences(self, client: int | None = None, author: str | None = None) -> Differences:
        """Return what the last update came to.

        Args:
            client: the client id whose deletions are in it, if it is one.
            author: who made what no lane gives a name for; None if that is not known.
        """
        texts = {name: normalized(delta) for name, delta in self.footprint.texts if name not in self._roots.others}
        texts = {name: delta for name, delta in texts.items() if delta}
        changes = Telling(self.document.index, self.footprint.steps, client, author).differences()
        for name in sorted(self._touched - texts.keys() - self._roots.texts.keys()):
            changes.append(Difference("yjs", name, None, "modified", None, None, author))
        return Differences(tuple(changes), texts)

    def author_of(self, update: bytes) -> str:
        """Return the name of the agent that made an update which was played; empty if no lane says it."""
        return self.document.index.author(sole_client(update)) or ""

    @property
    def texts(self) -> dict[str, TextMirror]:
        """The texts that are known so far, by name."""
        return {name: mirror for name, mirror in self._texts.items() if name not in self._roots.others}

    def contents(self) -> dict[str, Delta]:
        """Return what the texts hold, as insertions."""
        return {name: mirror.content() for name, mirror in self.texts.items()}
