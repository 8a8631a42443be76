"""A session: state that the server erases when nothing has happened in it for a time."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, NoReturn, TypeVar

from comity.crdt_types import Change, Commit, State
from comity.crdt_types.document.listeners import Callbacks
from comity.crdt_types.errors import (
    ComityError,
    ConnectionFailedError,
    ErasedError,
    ForbiddenError,
    InvalidValueError,
    NotConnectedError,
    TransactionError,
)
from comity.crdt_types.wire import ENDING, RENEWED, Notice

from ..replica import Replica
from .subscription import OnError, Subscription
from .tier import Opening, Tier

logger = logging.getLogger("comity")

S = TypeVar("S", bound=State)

MS: Final = 1000
NS_PER_MS: Final = 1_000_000
MAX_TTL: Final = timedelta(seconds=2**40)  # what servers take is below; some 35,000 years
_LAST: Final = datetime.max.replace(tzinfo=UTC)  # for whatever comes later


class SessionState(Tier[S]):
    """The state of one conversation, until nothing has happened in it for its time to live.

    What happens is an edit that is on the server's disk, somebody's arrival, and `renew`. Who only sits there keeps it
    alive no longer. Some time before the end everybody in it is warned (`on_ending`); then the server erases it, with
    its history, and edits, and reads by key, raise ErasedError. It may be opened anew, and begins empty.

    Args:
        state: the state.
        replica: its replica, which is open.
        history: opens the history of the room.
        ttl: its time to live; the one that it has if None.
    """

    tier: ClassVar[str] = "session"

    def __init__(self, state: S, replica: Replica, history: Opening, ttl: timedelta | None = None) -> None:
        if ttl is not None:
            check_ttl(ttl, replica.room)
        super().__init__(state, replica, history)
        self._ttl = ttl
        self._told: str | None = None  # the lineage of the room whose time to live was set: a new one has none
        self._lives: int | None = None  # for how many ms after something happened
        self._ends = 0  # when, as the server said last, in ms
        self._ahead = 0  # how far the server's clock is ahead of this machine's, in ms
        self._edited = 0  # when something was edited last, by this machine's clock, in ns
        self._endings = Callbacks()
        self._ended: ErasedError | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Follow when the session ends, and let subscriptions live, while the context lasts."""
        status_changed = asyncio.Event()
        stops = [
            self.replica.on_status(lambda _status: status_changed.set()),
            self.replica.on_notice(self._noticed),
            self.replica.document.on_commit(self._committed),
        ]
        async with super().opened():
            keeper = asyncio.create_task(self._follow(status_changed))
            try:
                yield
            finally:
                keeper.cancel()
                await asyncio.wait([keeper])
                for stop in stops:
                    stop()

    # Its end ----------------------------------------------------------------------------------------------------

    @property
    def expires_at(self) -> datetime | None:
        """When the session ends if nothing happens in it, as far as this client knows; None if it does not end.

        It is not earlier than that. Of others' arrivals and renewals the server tells after a warning only; `renew`
        asks. It is None, too, until the server was met.
        """
        if self._lives is None:
            return None
        edited = self._edited // NS_PER_MS + self._ahead + self._lives if self._edited else 0
        return _datetime(max(self._ends, edited))

    async def renew(self) -> datetime | None:
        """Put the end off as if something had happened; returns when it is now, None if the session does not end.

        Raises: NotConnectedError, if the server is not there; ErasedError, if it is too late; ForbiddenError, if this
            agent may only read.
        """
        return await self._ask("renew")

    async def expire_after(self, ttl: timedelta | None) -> datetime | None:
        """Give the session another time to live, for everybody in it; returns when it ends now.

        Args:
            ttl: how long, rounded up to seconds; None is as long as the server keeps sessions.

        Raises: InvalidValueError, if that is no time; what `renew` raises.
        """
        if ttl is not None:
            check_ttl(ttl, self.room)
        self._ttl, self._told = ttl, None
        return await self._set(ttl)

    def on_ending(
        self, callback: Callable[[datetime], object], *, on_error: OnError | None = None
    ) -> Callable[[], None]:
        """Call a callback, sync or async, when the session is about to end; returns how to stop it.

        The server warns a tenth of the time to live before the end, but at most five minutes. It warns again if
        something happens after that, and then nothing.

        Args:
            callback: gets the time at which the session ends if nothing happens.
            on_error: as for `subscribe`.
        """
        subscription = Subscription(callback, self._tasks, on_error)
        return self._subscribed(subscription, self._endings.add(subscription))

    async def synced(self) -> None:
        """Return once everything that the server had is here. Raises ErasedError, after the end."""
        self._check_not_ended()
        await super().synced()

    async def durable(self) -> None:
        """Return once every edit so far is on the server's disk. Raises ErasedError, after the end."""
        self._check_not_ended()
        await super().durable()

    # Reads by key, which would find nothing, and nobody would know why ------------------------------------------

    def __getitem__(self, key: str) -> Any:
        self._check_not_ended()
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._check_not_ended()
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self._check_not_ended()
        return super().__iter__()

    def __len__(self) -> int:
        self._check_not_ended()
        return super().__len__()

    def _check_not_ended(self) -> None:
        if self._ended is not None:
            raise self._ended

    # Following it -----------------------------------------------------------------------------------------------

    async def _follow(self, status_changed: asyncio.Event) -> None:
        """Ask when the session ends whenever the server is met, until it was erased, or cannot be met any more."""
        while True:
            status_changed.clear()
            try:
                await self._meet()
            except ErasedError as error:
                self._end(error)
                return
            except ComityError as error:
                logger.debug("room %s: nobody knows when it ends: %s", self.room, error)
                return
            await status_changed.wait()

    async def _meet(self) -> None:
        """Wait until the server was met, and ask it. Raises ComityError, if it is of no use to wait any more."""
        with suppress(TransactionError):  # the server is there, only what it had waits
            await self.replica.synced()
        with suppress(NotConnectedError, ConnectionFailedError):  # it is asked when it is there again
            try:
                await self._ask_anew()
            except ForbiddenError as error:
                logger.warning("room %s: its time to live stays as it is: %s", self.room, error)
                await self._ask("end")

    async def _ask_anew(self) -> None:
        if self._ttl is None or self._told == self.replica.lineage:  # somebody may have changed it since
            await self._ask("end")
        else:
            await self._set(self._ttl)

    async def _set(self, ttl: timedelta | None) -> datetime | None:
        ends = await self._ask("expire", seconds=_seconds(ttl))
        self._told = self.replica.lineage
        return ends

    async def _ask(self, method: str, **params: Any) -> datetime | None:
        self._check_not_ended()
        answer = await self.replica.call(method, **params)
        if answer is None:
            self._lives = None
            return None
        self._ends, self._lives = answer["at"], answer["ttl"]
        self._ahead = answer["at"] - answer["ttl"] - time.time_ns() // NS_PER_MS
        return self.expires_at

    def _noticed(self, notice: Notice) -> None:
        if notice.at is None or notice.code not in (ENDING, RENEWED):
            return
        self._ends, self._edited = notice.at, 0
        if notice.code == ENDING:
            self._endings.call(_datetime(notice.at))

    def _committed(self, _commit: Commit) -> None:
        if self.replica.status == "live":
            self._edited = time.time_ns()

    def _end(self, error: ErasedError) -> None:
        self._ended = error
        self._lives = None

        def refuse(_changes: list[Change]) -> NoReturn:
            raise error

        self.replica.document.add_guard(refuse)


def check_ttl(ttl: Any, room: str) -> None:
    """Raise InvalidValueError, if that is no time to live."""
    if not isinstance(ttl, timedelta):
        raise InvalidValueError(f"a time to live of {ttl!r}", subject=f"room {room!r}", remedy="give a timedelta")
    if not timedelta() < ttl < MAX_TTL:
        remedy = "give one above 0" if ttl < MAX_TTL else "give a shorter one"
        raise InvalidValueError(f"a time to live of {ttl}", subject=f"room {room!r}", remedy=remedy)


def _seconds(ttl: timedelta | None) -> int | None:
    return None if ttl is None else math.ceil(ttl.total_seconds())


def _datetime(at: int) -> datetime:
    return datetime.fromtimestamp(at / MS, UTC) if at < _LAST.timestamp() * MS else _LAST
