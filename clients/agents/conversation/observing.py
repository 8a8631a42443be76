"""Observing: the state of a conversation as it stands, and telling of what becomes of it."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Generic, Protocol, Self, TypeVar

from comity.crdt_types import Commit, State
from comity.crdt_types.document.listeners import Callbacks, Footprint
from comity.crdt_types.errors import TooSlowError

from ..delivery import is_async
from ..telling import Telling
from .document import Conversation
from .events import Event, events_between
from .projection import Projection, Touched
from .snapshots import ConversationState

C = TypeVar("C", bound=Conversation)
C_co = TypeVar("C_co", bound=Conversation, covariant=True)

Updated = Callable[[ConversationState, ConversationState], object]

_MANY: Final = 4096  # cells that were written since the last look; so many are not remembered one by one


class Holder(Protocol[C_co]):
    """Anything that holds a conversation, such as a tier."""

    @property
    def state(self) -> C_co:
        """The conversation."""
        ...


class Observed(Generic[C]):
    """The state of a conversation as it stands, and callbacks for what becomes of it.

    It works at once. ``async with`` gives it a task for each callback that does not run inside the writer's call, and
    ends it with the block; without, it lives as long as the conversation's document.

    Args:
        source: a tier that holds a `Conversation`, or a `Conversation` itself.

    Attributes:
        source: what it was made of.
        live: the conversation as it is shared.
        on_event: calls a callback with every event; see `Telling.on_event`.
    """

    source: C | Holder[C]
    live: C

    def __init__(self, source: C | Holder[C]) -> None:
        self.source = source
        self.live = source if isinstance(source, State) else source.state
        self._document = self.live.document
        self._projection = Projection(self.live)
        self._state = ConversationState()
        self._dirty: list[Touched] = self._projection.all
        self._drafting = False  # whether a transaction of the manager is under way
        self._draft: ConversationState | None = None  # the state inside of it, and what was written since
        self._drafted: list[Touched] = []
        self._told = self._state  # what the callbacks know, and what was written since
        self._untold: list[Touched] = []
        self._updated = Callbacks()
        self._listening = False  # whether there is any callback
        self._telling: Telling[Event] = Telling(self._listen)
        self.on_event: Final = self._telling.on_event
        self._stops = [self._document.add_recorder(self._record), self._document.on_commit(self._tell)]

    async def __aenter__(self) -> Self:
        self._telling.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self._telling.close()

    def close(self) -> None:
        """Tell nobody of anything any more; the state stays readable as it is."""
        if self._dirty:
            self._refresh()
        for stop in self._stops:
            stop()
        self._stops = []

    @property
    def state(self) -> ConversationState:
        """The conversation as it is now, as an immutable value.

        Inside of the manager's `transaction` it has the edits that were made through the manager. Inside of one of the
        document itself it is read whole at each look.
        """
        if self._document.in_transaction:
            return self._state_inside()
        if self._dirty:
            self._refresh()
        return self._state

    def _refresh(self) -> None:
        dirty, self._dirty = self._dirty, []
        self._state = self._projection.after(self._state, dirty)
        if self._listening:
            self._untold += dirty
            if len(self._untold) > _MANY:
                self._untold = self._projection.all

    # Transactions -----------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Group edits into one update: all of them, or on an error none; the callbacks hear of it once."""
        if self._document.in_transaction:
            yield
            return
        self._drafting, self._draft, self._drafted = True, None, []
        try:
            with self.live.transaction():
                yield
        finally:
            self._drafting, self._draft, self._drafted = False, None, []

    def _wrote(self, field: str, key: str | None = None) -> None:
        """Note what was written, so that reads inside of a transaction see it."""
        if self._drafting:
            self._drafted.append((field, key))

    def _state_inside(self) -> ConversationState:
        """Return the state inside of a transaction, of which nobody knows yet whether it will last."""
        if not self._drafting:
            return self._projection.after(ConversationState(), self._projection.all)
        if self._draft is None:
            if self._dirty:
                self._refresh()
            self._draft = self._state
        drafted, self._drafted = self._drafted, []
        if drafted:
            self._draft = self._projection.after(self._draft, drafted)
        return self._draft

    # Telling ----------------------------------------------------------------------------------------------------

    def _record(self, footprint: Footprint) -> None:
        dirty = self._dirty
        for step in footprint.steps:
            dirty.append((step[0].field, step[1]))
        if len(dirty) > _MANY:
            self._dirty = self._projection.all

    def _tell(self, commit: Commit) -> None:
        """Tell of everything since the last time; a commit comes after the steps that it records."""
        if not self._listening:
            return
        if self._dirty:
            self._refresh()
        old, new, touched = self._told, self._state, self._untold
        self._told, self._untold = new, []
        if new is old:
            return
        self._updated.call(old, new)
        if self._telling:
            for event in events_between(old, new, touched, commit.local):
                self._telling.emit(event)

    def on_update(
        self, callback: Updated, *, on_error: Callable[[TooSlowError], object] | None = None
    ) -> Callable[[], None]:
        """Call a callback with the state before and after each update, one's own and those of others.

        A sync callback runs inside of the call that makes the update, an async one in a task of its own, in order. What
        it raises is logged and hurts nobody. A callback may edit.

        Args:
            callback: the callback.
            on_error: called if an async callback falls so far behind that it is not called any more.

        Returns: a function that stops it.

        Raises: StateError, if the callback is async and the manager was not entered with ``async with``.
        """
        delivery = self._telling.delivery(callback, on_error) if is_async(callback) else None
        stops = [self._updated.add(callback if delivery is None else delivery.put)]
        if delivery is not None:
            stops.append(delivery.stop)
        self._listen()
        return self._stopping(stops)

    def _listen(self) -> None:
        """Take note of whether there is any callback; the first one is told of what comes after it."""
        listening = bool(self._updated or self._telling)
        if listening and not self._listening:
            self._told, self._untold = self.state, []
        self._listening = listening

    def _stopping(self, stops: list[Callable[[], None]]) -> Callable[[], None]:
        def stop() -> None:
            for each in stops:
                each()
            self._listen()

        return stop
