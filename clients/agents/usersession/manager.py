"""The manager of a user session: who takes part, over which channels, and what happens to them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from comity.crdt_types.errors import ComityError, InvalidValueError, StateError

from ...tiers.session import SessionState
from ...tiers.tier import Tier
from .channels import Channels
from .document import ChannelStatus, UserRow, UserSession
from .observing import Observer
from .presence import Presence
from .upkeep import Patience, Upkeep, step_of
from .values import Channel, Health, Opening, SessionEnding, User, user_of

if TYPE_CHECKING:
    from ...client import Client

logger = logging.getLogger("comity")

U = TypeVar("U", bound=UserSession)

# A session that was ended stays for as long, so that everybody in it sees why.
ENDED_TTL: Final = timedelta(minutes=1)
# Seconds from a change to the look at what it means for the session: a room may hold more, which changes all the time.
REST: Final = 0.05
# The reason of sessions that have lasted for as long as they may.
TIMED_OUT: Final = "absolute timeout"
MS: Final = 1000


class UserSessionManager(Generic[U]):
    """Users of one session, the channels that they are there over, how those are, and when all of it ends.

    ::

        async with UserSessionManager.open(client, "call-42", ttl=timedelta(hours=1)) as session:
            session.identify("ana", name="Ana", roles={"caller"})
            channel, token = session.open_channel("ana", "voice", device="phone")

    Who opens or resumes a channel holds it, as long as the manager is entered and its process is there: presence tells
    so, and no document grows by it. A channel that nobody holds becomes stale, may be resumed by whoever has its token,
    and is closed if nobody does. Every manager that is entered looks after the session, and all come to the same.

    Args:
        session: an open tier with the state; a session's own tier tells of its end.
        idle_timeout: after how long without a sign a user is idle, for everybody; None leaves it as it is.
        absolute_timeout: how long the session may last, for everybody; None leaves it as it is, at first without end.
        patience: how long channels that nobody holds are waited for.

    Raises: InvalidValueError, if one of these makes no sense.

    Attributes:
        session: the tier.
        state: the state, as everybody may edit it.
    """

    def __init__(
        self,
        session: Tier[U],
        *,
        idle_timeout: timedelta | None = None,
        absolute_timeout: timedelta | None = None,
        patience: Patience = Patience(),  # noqa: B008  # it cannot be changed
    ) -> None:
        patience.check()
        self.session: Final = session
        self.state: Final = session.state
        self._observer = Observer(self.state)
        self._presence = Presence(session.replica.awareness, lambda: session.status == "live")
        self._channels = Channels(self.state, self._presence, self.now)
        self._upkeep = Upkeep(self.state, self._channels, self._presence, patience, self.now, self._observer.emit)
        self._wake = asyncio.Event()
        self._stack = AsyncExitStack()
        self.on_event: Final = self._observer.on_event
        self._timeouts = _ms(idle_timeout), _ms(absolute_timeout)

    @staticmethod
    @asynccontextmanager
    async def open(
        client: "Client",
        name: str,
        *,
        ttl: timedelta | None = None,
        idle_timeout: timedelta | None = None,
        absolute_timeout: timedelta | None = None,
        patience: Patience = Patience(),  # noqa: B008  # it cannot be changed
    ) -> AsyncGenerator["UserSessionManager[UserSession]"]:
        """Open a session and enter its manager.

        Args:
            client: the client.
            name: the session's name, with or without ``session/``.
            ttl: its time to live after something happened; see ``Client.session``.
            idle_timeout: see the class.
            absolute_timeout: see the class.
            patience: see the class.
        """
        async with client.session(name, UserSession, ttl=ttl) as session:
            manager = UserSessionManager(
                session, idle_timeout=idle_timeout, absolute_timeout=absolute_timeout, patience=patience
            )
            async with manager:
                yield manager

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._observer.start()
            stack.push_async_callback(self._observer.close)
            stack.callback(self._presence.drop_all)
            stack.callback(self.session.replica.awareness.on_change(self._wake.set))
            stack.callback(self.session.replica.on_status(lambda _status: self._wake.set()))
            stack.callback(self.state.document.on_commit(lambda _commit: self._wake.set()))
            if isinstance(self.session, SessionState):
                stack.callback(self.session.on_ending(lambda at: self._observer.emit(SessionEnding(at))))
            self._set_timeouts()
            task = asyncio.create_task(self._look_after())

            async def stop() -> None:
                task.cancel()
                await asyncio.wait([task])

            stack.push_async_callback(stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    def now(self) -> int:
        """Return the server's time as far as is known, in ms since the Unix epoch."""
        return self.session.replica.estimated_time()

    # Users ------------------------------------------------------------------------------------------------------

    def identify(
        self,
        user: str,
        *,
        name: str | None = None,
        roles: Iterable[str] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> User:
        """Say who a user is, new or known; what is not given stays as it is.

        Args:
            user: the user's id, which must not be empty.
            name: the name to show.
            roles: all of the roles that the user has.
            attributes: more that is known, added to what was.

        Raises: InvalidValueError, if there is no id; StateError, if the session was ended.
        """
        if not user:
            raise InvalidValueError("a user without an id", subject=self.session.room, remedy="give one")
        self._check_not_ended()
        with self.state.transaction():
            if user not in self.state.users:
                self.state.users[user] = UserRow(joined_at=self.now())
            row = self.state.users[user]
            if name is not None:
                row.name.set(name)
            if roles is not None:
                row.roles.assign(set(roles))
            row.attributes.update(attributes or {})
            if self.state.started_at.value is None:
                self.state.started_at.set(self.now())
            self.touch(user)
        return self.user(user)

    def user(self, user: str) -> User:
        """Return a user. Raises StateError, if nobody of that id was identified."""
        return user_of(user, self._user(user))

    @property
    def users(self) -> tuple[User, ...]:
        """All users, by their ids."""
        return tuple(user_of(key, row) for key, row in self.state.users.items())

    def forget_user(self, user: str) -> None:
        """Remove a user with all that is known of them here, and their channels. Raises StateError."""
        self._user(user)
        with self.state.transaction():
            for channel in self.channels(user):
                self._channels.close(channel.id, "forgotten")
                self._channels.remove(channel.id)
            del self.state.users[user]

    def touch(self, user: str) -> None:
        """Note that a user gave a sign; it is written in steps of a tenth of the idle timeout, half a minute at most.

        Raises: StateError, if nobody of that id was identified.
        """
        row = self._user(user)
        at = self.now()
        if at - row.active_at.get(0) > step_of(self.state.idle_timeout.get(0)):
            row.active_at.set(at)

    def is_idle(self, user: str) -> bool:
        """Tell whether a user has given no sign for longer than the idle timeout. Raises StateError."""
        self._user(user)
        return self._upkeep.is_idle(user)

    # Channels ---------------------------------------------------------------------------------------------------

    def open_channel(self, user: str, kind: str, *, device: str = "", transport: str = "") -> Opening:
        """Open a channel of a user and hold it; returns it with the token that resumes it.

        Args:
            user: whose it is.
            kind: such as ``voice``, ``text`` or ``web``.
            device: what the user has in hand.
            transport: what it runs over.

        Raises: StateError, if nobody of that id was identified, or the session was ended.
        """
        self._user(user)
        self._check_not_ended()
        with self.state.transaction():
            self.touch(user)
            return self._channels.open(user, kind, device, transport)

    def resume(self, channel: str, resume_token: str) -> Channel:
        """Hold a channel again after a disconnect, in this process or another; what was missed is there.

        Args:
            channel: its id.
            resume_token: what opening it returned.

        Raises: ForbiddenError, if that is not its token; StateError, if there is no such channel, it was closed, or the
            session was ended.
        """
        self._check_not_ended()
        with self.state.transaction():
            resumed = self._channels.resume(channel, resume_token)
            if resumed.user in self.state.users:
                self.touch(resumed.user)
        return resumed

    def close_channel(self, channel: str, reason: str = "") -> None:
        """Close a channel for good. Raises StateError, if there is no such channel."""
        self._channels.close(channel, reason)

    def beat(self, channel: str, *, round_trip_ms: float | None = None, lost: int = 0) -> Health:
        """Tell how a channel is that this manager holds, as often as is liked.

        Everybody sees it by presence, once a second at most. Stored are only changes between good, fair and poor, once
        in ten seconds at most, and once a minute that the channel is there.

        Args:
            channel: its id.
            round_trip_ms: how long a round trip took.
            lost: how many packets or messages were lost since the last time.

        Raises: StateError, if this manager does not hold it; InvalidValueError, if these are no numbers from 0 on.
        """
        return self._channels.beat(channel, round_trip_ms, lost)

    def health(self, channel: str) -> Health:
        """Return how a channel is. Raises StateError, if there is no such channel."""
        return self._channels.health(channel)

    def channel(self, channel: str) -> Channel:
        """Return a channel. Raises StateError, if there is none of that id."""
        return self._channels.one(channel)

    def channels(self, user: str | None = None) -> tuple[Channel, ...]:
        """Return all channels, or those of one user, the oldest first."""
        return tuple(each for each in self._channels.all() if user in (None, each.user))

    @property
    def active_channels(self) -> tuple[Channel, ...]:
        """The channels that are open, the oldest first."""
        return tuple(each for each in self._channels.all() if each.status is ChannelStatus.OPEN)

    # The end ----------------------------------------------------------------------------------------------------

    @property
    def is_ended(self) -> bool:
        """Whether the session was ended."""
        return self.state.ended_at.value is not None

    async def end(self, reason: str = "") -> None:
        """End the session: its channels are closed, and the server erases it a minute later, if it is a session's tier.

        Ending it again changes nothing.

        Raises: NotConnectedError, if the server is not there: it is ended then, and erased when its time is over.
        """
        if self.is_ended:
            return
        with self.state.transaction():
            for channel in self._channels.all():
                self._channels.close(channel.id, reason)
            self.state.end_reason.set(reason)
            self.state.ended_at.set(self.now())
        if isinstance(self.session, SessionState):
            await self.session.expire_after(ENDED_TTL)

    # Looking after it -------------------------------------------------------------------------------------------

    async def _look_after(self) -> None:
        while True:
            self._wake.clear()
            with suppress(ComityError):  # it goes on by the last estimate
                await self.session.replica.server_time()
            try:
                wait = self._upkeep.look()
                if self._upkeep.is_over():
                    await self.end(TIMED_OUT)
            except ComityError as error:  # it may be gone by now, or the server is
                logger.debug("%s: nobody looks after it for a moment: %s", self.session.room, error)
                wait = 1.0
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
                    await asyncio.sleep(REST)

    def _set_timeouts(self) -> None:
        with self.state.transaction():
            idle, absolute = self._timeouts
            if idle is not None and self.state.idle_timeout.value != idle:
                self.state.idle_timeout.set(idle)
            if absolute is not None and self.state.absolute_timeout.value != absolute:
                self.state.absolute_timeout.set(absolute)

    def _user(self, user: str) -> UserRow:
        if user not in self.state.users:
            raise StateError("nobody of that id", subject=f"user {user!r}", remedy="identify them first")
        return self.state.users[user]

    def _check_not_ended(self) -> None:
        if self.is_ended:
            raise StateError(
                f"the session was ended: {self.state.end_reason.get('') or 'no reason given'}",
                subject=self.session.room,
                remedy="open another one",
            )


def _ms(timeout: timedelta | None) -> int | None:
    if timeout is None:
        return None
    if timeout <= timedelta():
        raise InvalidValueError(f"a timeout of {timeout}", subject="UserSessionManager", remedy="give one above 0")
    return round(timeout.total_seconds() * MS)
