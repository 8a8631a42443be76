"""A Yjs document that is followed and written: its index, its texts, its transactions and who is told of them."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any

import pycrdt
from pycrdt import Doc, Text

from ..errors import NotConnectedError, ProtocolError, SchemaError, TransactionError
from ..update import EMPTY_UPDATE, holds_no_inserts, sole_client
from .changes import Change, Conflict
from .clock import TICKS_PER_MS, HybridClock
from .edits import Edit
from .entry import Entry
from .index import Index
from .lanes import LANES, Lanes
from .listeners import Commit, Guards, Listeners, Recorder
from .position import Positions
from .staged import Staged
from .textmirror import Delta, TextMirror
from .ydoc import YDoc


class LiveDocument:
    """A Yjs document with an index of its cells, kept in step in both directions.

    Args:
        agent: the name that this session's edits bear.
        update: a Yjs update to start from.
        client_id: this session's Yjs client id; a fresh random one if None. Never reuse one across sessions.
        clock: the hybrid clock that stamps the edits.

    Raises: ProtocolError, if the update is not one.
    """

    def __init__(
        self,
        *,
        agent: str = "",
        update: bytes | None = None,
        client_id: int | None = None,
        clock: HybridClock | None = None,
    ) -> None:
        self.agent = agent
        yjs = YDoc(LANES, client_id)
        self.clock = clock or HybridClock(offset=yjs.client_id % TICKS_PER_MS)
        self.index = Index()
        self.listeners = Listeners()
        self._guards = Guards()
        self._texts: dict[str, TextMirror] = {}
        self._staged: Staged | None = None
        self._writing = False  # a transaction of ours is going into Yjs: the index knows it already
        self._closed = False
        self._busy = False  # Yjs is at work, or those are being told who listen to it
        self._stale = False  # the Yjs document changed in a way that could not be followed event by event
        self._gap: bytes | None = None  # what came of updates that others, which are missing, should have preceded
        self._emitted = EMPTY_UPDATE
        self._waiting: deque[bytes] = deque()
        self._text_deltas: list[tuple[str, Delta]] = []
        self._open(yjs)
        if update is not None:
            self.apply(update)

    def _open(self, yjs: YDoc) -> None:
        self._yjs = yjs
        self.client_id = yjs.client_id
        self.positions = Positions(yjs.client_id)
        self.lanes = Lanes(yjs.lanes, yjs.client_id, self.agent, self.index, self.clock)
        yjs.observe(self._on_lanes, self._on_update)

    # Reading ----------------------------------------------------------------------------------------------------

    @property
    def ydoc(self) -> Doc[Any]:
        """The Yjs document, for editors to bind to; another one after `reset`."""
        return self._yjs.doc

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is under way."""
        return self._staged is not None

    @property
    def is_closed(self) -> bool:
        """Whether it takes no edits and updates any more."""
        return self._closed

    @property
    def is_free(self) -> bool:
        """Whether edits can be made now: no transaction or observer of the Yjs document itself is under way."""
        return not (self._closed or self._busy or self._yjs.busy)

    @property
    def lacks_updates(self) -> bool:
        """Whether updates came that build on others which did not; a peer's `update_since` brings those."""
        return self._gap is not None

    def state_vector(self) -> bytes:
        """Return the Yjs state vector: which updates this document has seen."""
        return self.ydoc.get_state()

    def update_since(self, state_vector: bytes | None = None) -> bytes:
        """Return what a document of that state vector lacks, as a Yjs update; everything if None."""
        return self.ydoc.get_update(state_vector)

    def ids(self, entries: Iterable[Entry]) -> list[tuple[int, int]]:
        """Return the Yjs ids of live entries, each a client and a clock; no transaction may be under way."""
        entries, found = list(entries), []
        if entries:
            self._yjs.read(lambda txn: found.extend(self.lanes.ids(entries, txn)))
        return found

    def conflicts(self) -> list[Conflict]:
        """List every register and map cell that holds several concurrent values."""
        return self.index.conflicts()

    def text(self, name: str) -> TextMirror:
        """Return the mirror of a root text, which becomes part of the document when it is first asked for.

        Raises: SchemaError, if the name is that of the lanes.
        """
        mirror = self._texts.get(name)
        if mirror is None:
            if name == LANES:
                raise SchemaError("this root belongs to the typed cells", subject=name, remedy="choose another name")
            mirror = self._texts[name] = TextMirror(name, self.ydoc.get(name, type=Text))
            self._follow(mirror)
        return mirror

    def _follow(self, mirror: TextMirror) -> None:
        self._yjs.observe_text(mirror.ytext, mirror.name, self._on_text)

    # Transactions -----------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Group edits into one update: they are seen at once here, and go out together, or not at all on an error.

        A transaction inside another joins it. Updates that arrive meanwhile are applied after it.

        Raises: TransactionError, inside a transaction or observer of the Yjs document itself, or if somebody wrote
            into the Yjs document itself meanwhile; nothing of this transaction is written then.
        """
        if self._staged is not None:
            yield
            return
        self._begin()
        staged = self._staged = Staged()
        self.index.noting = True
        try:
            yield
            if self._guards and staged:
                self._guards.ask(self._preview(staged))
            self._check_free()
            self._check_not_stale()
        except BaseException:
            self._staged = None
            self._roll_back(staged)
            self._apply_waiting()
            raise
        self._staged = None
        self._commit(staged)
        self._apply_waiting()

    def _begin(self) -> None:
        """Make ready for an edit or an update."""
        self._check_free()
        if self._stale:
            self._catch_up()
            self._settle(False)

    def close(self) -> None:
        """Take no more edits and updates; what is read stays readable."""
        self._closed = True

    def _check_free(self) -> None:
        if self._closed:
            raise NotConnectedError(
                "this state is closed", subject="document", remedy="edit inside the block that opened it"
            )
        if self._busy or self._yjs.busy:
            raise TransactionError(
                "an edit or update inside a Yjs transaction or observer",
                subject="document",
                remedy="edit outside of it, or use the state's own transaction()",
            )

    def _check_not_stale(self) -> None:
        if self._stale:
            raise TransactionError(
                "the Yjs document was written to inside a typed transaction",
                subject="document",
                remedy="edit its own types outside of the state's transaction(); nothing typed was written",
            )

    def _apply_waiting(self) -> None:
        while self._waiting and not self._yjs.busy:
            self.apply(self._waiting.popleft())

    def _roll_back(self, staged: Staged) -> None:
        for edit in staged.texts:
            edit.mirror.rewind()
        self.index.undo()
        if self._stale and not self._yjs.busy:
            self._catch_up()
            self._settle(False)

    def _commit(self, staged: Staged) -> None:
        if staged:
            self._write(staged)
            if self._stale:
                self._catch_up()
            self._settle(True, tuple(staged.edits))
        else:
            self.index.abandon()

    def _preview(self, staged: Staged) -> list[Change]:
        """Return the changes that the transaction under way comes to so far."""
        changes = self.index.changes(self.index.steps(), True, lambda: self.client_id, self.agent)
        return changes + staged.text_changes(self.agent, self.client_id)

    def _write(self, staged: Staged) -> None:
        for edit in staged.texts:
            edit.mirror.rewind()  # the events of its Yjs text bring the edits back, and say what they came to
        txn = self._yjs.begin()
        self._writing = self._busy = True
        try:
            if staged.fresh or staged.doomed:
                self.lanes.write(staged.doomed, staged.fresh, txn)
            for edit in staged.texts:
                edit.write(txn)
            if not staged.fresh:
                self.lanes.sign(txn, anew=not any(edit.come for edit in staged.texts))
        finally:
            self._yjs.end(txn)
            self._writing = self._busy = False

    # Updates ----------------------------------------------------------------------------------------------------

    def apply(self, update: bytes) -> None:
        """Apply a Yjs update from elsewhere; during a transaction it waits for its end.

        Raises:
            ProtocolError: if it is not an update; the document is as it was.
            TransactionError: inside a transaction or observer of the Yjs document itself.
        """
        if self._staged is not None:
            _check_update(update)
            self._waiting.append(update)
            return
        self._begin()
        self._integrate(update)
        if self._gap is not None or self._emitted != update:
            self._mind_gap(update)
        if self._stale:
            self._catch_up()
        self._settle(False)

    def _integrate(self, update: bytes) -> None:
        self._busy = True
        try:
            self._yjs.apply(update)
        except ValueError as error:
            raise _not_an_update(error) from None
        finally:
            self._busy = False

    def _mind_gap(self, update: bytes) -> None:
        """See whether an update came before others that should have preceded it, and whether a gap is closed.

        Yjs takes in such an update as far as it can, but tells of it in part only, also when the gap closes. And it
        may leave aside what came early until it comes again.
        """
        had, early = self._gap, update if self._gap is None else pycrdt.merge_updates(self._gap, update)
        self._gap = self._lacking(early)
        if had is not None and self._gap is not None:
            emitted, self._emitted = self._emitted, EMPTY_UPDATE
            self._integrate(self._gap)
            self._emitted = pycrdt.merge_updates(emitted, self._emitted)
            self._gap = self._lacking(self._gap)
        self._stale = self._stale or had is not None or self._gap is not None

    def _lacking(self, update: bytes) -> bytes | None:
        """Return what of an update the state vector does not cover, or None."""
        rest = pycrdt.get_update(update, self.state_vector())
        return None if holds_no_inserts(rest) else rest

    def reset(self, update: bytes) -> None:
        """Replace the document by another one, under a fresh client id; listeners see the difference.

        Raises:
            ProtocolError: if it is not an update; the document is as it was.
            TransactionError: during a transaction.
        """
        if self._staged is not None:
            raise TransactionError("a reset during a transaction", subject="document", remedy="let it end first")
        self._begin()
        other = YDoc(LANES, None)
        try:
            other.apply(update)
        except ValueError as error:
            raise _not_an_update(error) from None
        self._yjs.close()
        self._open(other)
        for mirror in self._texts.values():
            mirror.ytext = other.doc.get(mirror.name, type=Text)
            self._follow(mirror)
        self._gap = None
        self.clock.last = 0  # what the old document brought it to may have been wrong
        self._catch_up()
        self._emitted = self.update_since()
        self._settle(False)

    def _catch_up(self) -> None:
        """Read the Yjs document whole, in place of all that was read before; the difference counts as a change."""
        self._stale = False
        self.index.noting = self.listeners.want_steps
        self.index.forget_all()
        self._yjs.read(self.lanes.read_all)
        for mirror in self._texts.values():
            if delta := mirror.reload():
                self._text_deltas.append((mirror.name, delta))

    # Events -----------------------------------------------------------------------------------------------------

    def on_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Call a listener with every typed change, after the transaction that made it; returns how to stop it.

        A listener may edit: its edits are a transaction of their own. Only where an editor that is bound to the Yjs
        document made the change may it not, because Yjs is still at it then: a typed edit raises TransactionError.
        A listener that raises is logged and hurts nobody.
        """
        return self.listeners.on_change(listener)

    def on_commit(self, listener: Callable[[Commit], object]) -> Callable[[], None]:
        """Call a listener with every transaction's Yjs update; returns how to stop it."""
        return self.listeners.on_commit(listener)

    def add_guard(self, guard: Callable[[list[Change]], object]) -> Callable[[], None]:
        """Ask a guard at the end of every local transaction, with the changes that it comes to; returns how to stop it.

        Nothing is written yet then, and reads see the new state. What the guard raises takes the transaction back and
        is raised to whoever made it.
        """
        return self._guards.add(guard)

    def add_recorder(self, recorder: Recorder) -> Callable[[], None]:
        """Tell a recorder of every transaction, local or not, what it touched; returns how to stop it."""
        return self.listeners.add_recorder(recorder)

    def _on_lanes(self, events: list[Any]) -> None:
        if self._writing:
            return
        if self._staged is not None or self._gap is not None:
            self._stale = True
        else:
            self.index.noting = self.listeners.want_steps
            self.lanes.integrate(events)

    def _on_text(self, name: str, event: Any) -> None:
        if self._staged is not None or self._gap is not None:
            self._stale = True
        else:
            self._text_deltas.append((name, self._texts[name].follow(event.delta)))

    def _on_update(self, event: Any) -> None:
        self._emitted = event.update
        if self._busy:
            return
        # An editor that is bound to the Yjs document itself; Yjs calls from inside its transaction.
        self._busy = True
        try:
            self._settle(True)
        finally:
            self._busy = False

    def _settle(self, local: bool, edits: tuple[Edit, ...] = ()) -> None:
        """Tell the listeners what a transaction of Yjs did."""
        emitted, self._emitted = self._emitted, EMPTY_UPDATE
        if self._staged is not None:
            changes, settled = [], None
        else:
            deleter = partial(sole_client, emitted)
            changes = self._take_changes(local, deleter) if self.listeners.want_steps else self._forget_changes()
            settled = self.index.settle(deleter, self.clock.tick)
        if changes or settled or emitted != EMPTY_UPDATE:
            self.listeners.deliver(Commit(emitted, edits, local), changes, settled)

    def _take_changes(self, local: bool, deleter: Callable[[], int | None]) -> list[Change]:
        deltas, steps = self._text_deltas, self.index.steps()
        self._forget_changes()
        if not self.listeners.record(steps, deltas, local):
            return []
        changes = self.index.changes(steps, local, deleter)
        if deltas:
            client = deleter()
            author = self.index.author(client)
            changes += [Change("text", name, None, None, delta, author, client, local) for name, delta in deltas]
        return changes

    def _forget_changes(self) -> list[Change]:
        self.index.forget_steps()
        if self._text_deltas:
            self._text_deltas = []
        return []


def _check_update(update: bytes) -> None:
    try:
        pycrdt.get_state(update)
    except ValueError as error:
        raise _not_an_update(error) from None


def _not_an_update(error: ValueError) -> ProtocolError:
    return ProtocolError(f"not a Yjs update: {error}", subject="update")
