"""The four kinds of tiers, for threads that wait."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from comity.crdt_types import State

from ..local.moving import Moved
from .callbacks import OnError
from .history import BlockingHistory, BlockingPast
from .tier import BlockingTier

S = TypeVar("S", bound=State)


class _WithHistory(BlockingTier[S]):
    """A tier whose history the server keeps."""

    def history(self, *, timeout: float | None = None) -> BlockingHistory:
        """Open the history of the room, for ``with``; it is closed with the tier at the latest.

        Args:
            timeout: for how many seconds each of its calls waits; as long as it takes if None.
        """
        return self._past(BlockingHistory, timeout)


class BlockingShared(_WithHistory[S]):
    """State that many agents share; see `BlockingTier`."""


class BlockingPersistent(_WithHistory[S]):
    """The state of one agent across its lives; see `BlockingTier`."""


class BlockingSession(_WithHistory[S]):
    """The state of one conversation, which is erased some time after it was used last; see `BlockingTier`."""

    @property
    def expires_at(self) -> datetime | None:
        """When the session ends if nothing happens in it; None if that is not known, or never."""
        at: datetime | None = self._get("expires_at")
        return at

    def renew(self, timeout: float | None = None) -> datetime | None:
        """Put the end off as if something had happened; returns when it is now, None if the session does not end.

        Args:
            timeout: for how many seconds to wait; as long as it takes if None.

        Raises: NotConnectedError, if the server is not there; ErasedError, if it is too late; TimeoutError.
        """
        ends: datetime | None = self._wait("renew", timeout=timeout)
        return ends

    def expire_after(self, ttl: timedelta | None, timeout: float | None = None) -> datetime | None:
        """Give the session another time to live, for everybody in it; returns when it ends now.

        Args:
            ttl: how long, rounded up to seconds; None is as long as the server keeps sessions.
            timeout: for how many seconds to wait; as long as it takes if None.

        Raises: InvalidValueError, if that is no time; what `renew` raises.
        """
        ends: datetime | None = self._wait("expire_after", ttl, timeout=timeout)
        return ends

    def on_ending(
        self, callback: Callable[[datetime], object], *, on_error: OnError | None = None
    ) -> Callable[[], None]:
        """Call a function when the session is about to end; returns how to stop it.

        Args:
            callback: gets the time at which it ends if nothing happens; it may wait, and use this tier.
            on_error: as for `subscribe`.
        """
        on_ending: Any = getattr(self._tier, "on_ending")  # noqa: B009  # a method of sessions alone
        return self._proxies.listening(on_ending, callback, on_error=on_error)


class BlockingLocal(BlockingTier[S]):
    """State on this agent's own disk; see `BlockingTier`."""

    def history(self, *, timeout: float | None = None) -> BlockingPast:
        """Open the history, which is on this disk, for ``with``; it is closed with the tier at the latest.

        Args:
            timeout: for how many seconds each of its calls waits; as long as it takes if None.
        """
        return self._past(BlockingPast, timeout)

    def promote(self, room: str, *, merge: bool = False, timeout: float | None = None) -> Moved:
        """Let a room of the server begin with all of this: its state, its versions, and their names.

        Args:
            room: the room, such as ``shared/team-7`` or ``persistent/planner``, which nobody has written to.
            merge: whether a room that was written to takes the state as one version, merged with what is there.
            timeout: for how many seconds to wait; as long as it takes if None. The room may be there then.

        Raises: what `LocalState.promote` does; TimeoutError.
        """
        moved: Moved = self._wait("promote", room, merge=merge, timeout=timeout)
        return moved

    def erase(self, timeout: float | None = None) -> None:
        """Remove all of this from the disk for good: the state, its versions, and what was kept aside of it.

        Args:
            timeout: for how many seconds to wait; as long as it takes if None.

        Raises: what `LocalState.erase` does; TimeoutError.
        """
        self._wait("erase", timeout=timeout)
