"""A room's document: the one engine object, what it emits, and how it is made anew when it cannot be trusted."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final
from weakref import finalize

import pycrdt

from comity.crdt_types.errors import EngineError, ProtocolError, StorageError
from comity.crdt_types.update import EMPTY_UPDATE, read_state_vector
from comity.persistence.records import Loaded

from .gaps import lacks
from .vetting import Section

# Documents up to this size are made in the event loop, in some 8 ms at most; larger ones have a thread to themselves.
RESTORE_INLINE: Final = 64 * 1024


class Document:
    """A document that tells what each update changed.

    Args:
        updates: what it consists of.

    Raises: ProtocolError or EngineError, see ``apply``.
    """

    def __init__(self, updates: Iterable[bytes] = ()) -> None:
        self._doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self._emitted: list[bytes] = []
        self._clocks: dict[int, int] = {}  # of clients, as far as they were looked at; they only grow
        for update in updates:
            with _UPDATE:
                self._doc.apply_update(update)
        # The engine holds its observers, and each of them the document, which no collector of garbage sees.
        observer = self._doc.observe(partial(_note, self._emitted))
        finalize(self, self._doc.unobserve, observer).atexit = False

    def apply(self, update: bytes) -> bytes | None:
        """Apply an update and return what it changed, as an update; None if nothing.

        Raises:
            ProtocolError: it cannot be decoded; nothing changed.
            EngineError: the engine failed on it.
        """
        with _UPDATE:
            self._doc.apply_update(update)
        emitted = self._emitted
        if not emitted:
            return None
        change = emitted[0] if len(emitted) == 1 else pycrdt.merge_updates(*emitted)
        emitted.clear()
        return change

    def merged(self, updates: list[bytes]) -> bytes:
        """Return several updates as one.

        Raises: ProtocolError, if they cannot be; EngineError, see ``apply``.
        """
        with _UPDATE:
            return pycrdt.merge_updates(*updates)

    def admits(self, sections: Sequence[Section]) -> bool:
        """Tell whether an update continues what is here, or would leave a gap in a client's clocks.

        The engine takes in what lies beyond such a gap, tells nobody, and gives it to whoever syncs; so what does not
        continue must wait outside of it.
        """
        if all(section.needs <= self._clocks.get(section.client, 0) for section in sections):
            return True
        self._clocks = read_state_vector(self._doc.get_state())
        return all(section.needs <= self._clocks.get(section.client, 0) for section in sections)

    def follows(self, sections: tuple[Section, ...]) -> bool:
        """Tell whether an update brings something new of its clients, and just what comes next of each."""
        clocks = self._clocks
        for client, begin, needs, end in sections:
            if not (begin == needs == clocks.get(client, 0) < end):
                return False
        return bool(sections)

    def note(self, sections: Iterable[Section]) -> None:
        """Take note that an update is in the document, whole."""
        for client, _begin, _needs, end in sections:
            if end > self._clocks.get(client, 0):
                self._clocks[client] = end

    def forget_notes(self) -> None:
        """Look at the document again instead of at what was noted."""
        self._clocks = {}

    def lacks(self, update: bytes) -> bool:
        """Tell whether parts of an update that was applied still wait for others."""
        with _UPDATE:
            return lacks(update, self._doc.get_state())

    def state_vector(self) -> bytes:
        """Return the state vector."""
        return self._doc.get_state()

    def diff(self, state_vector: bytes) -> bytes:
        """Return the update from a state vector to now.

        Raises: ProtocolError, if that is no state vector.
        """
        with _guarded("state vector"):
            return self._doc.get_update(state_vector)

    def state(self) -> bytes:
        """Return everything in the document as one update; what waits for others is not in it."""
        return self._doc.get_update()


def _note(emitted: list[bytes], event: pycrdt.TransactionEvent) -> None:
    if event.update != EMPTY_UPDATE:  # emitted for an update that waits for its past
        emitted.append(event.update)


class _guarded:  # noqa: N801  # read as a function; a class costs a fifth of @contextmanager, on every update
    """Raises what the engine raises as errors of ours."""

    __slots__ = ("_subject",)

    def __init__(self, subject: str) -> None:
        self._subject = subject

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if isinstance(error, ValueError):
            raise ProtocolError(str(error), subject=self._subject) from None
        if is_engine_failure(error):
            raise EngineError("the engine failed on it", subject=self._subject) from None


_UPDATE: Final = _guarded("update")  # holds nothing, so one serves all


def is_engine_failure(error: BaseException) -> bool:
    """Tell whether an error is the engine's: an exception, or a panic, whose class pyo3 gives no importable name."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


async def restored(name: str, loaded: Loaded) -> Document:
    """Return what ``restore`` returns, without holding up the event loop for it: the engine lets go of the interpreter.

    Raises: StorageError, see ``restore``.
    """
    is_small = len(loaded.snapshot or b"") + loaded.tail_bytes <= RESTORE_INLINE
    return restore(name, loaded) if is_small else await asyncio.to_thread(restore, name, loaded)


def restore(name: str, loaded: Loaded) -> Document:
    """Return the document of a room from what the store has of it.

    Raises: StorageError, if that is not what documents are made of.
    """
    parts = loaded.tail if loaded.snapshot is None else (loaded.snapshot, *loaded.tail)
    try:
        return Document(parts)
    except (ProtocolError, EngineError) as error:
        raise StorageError(
            f"its stored updates cannot be read: {error.what}",
            subject=f"room {name!r}",
            remedy="restore it from a backup",
        ) from error
