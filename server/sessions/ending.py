"""How a conversation ends, whatever it was held over."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from comity.crdt_types.errors import ComityError, OverloadError, mistake

logger = logging.getLogger(__name__)

# RFC 6455: a control frame carries 125 bytes, two of which are the code.
MAX_REASON: Final = 123
# What is queued for a connection that is being ended is worth a moment, and no more: it may be taking nothing.
FLUSH_SECONDS: Final = 1.0


async def see_through(work: Awaitable[None], close: Callable[[ComityError], Awaitable[None]], path: str) -> None:
    """Do the work of a connection to its end; nothing that happens in it is raised, and ``close`` tells the client."""
    try:
        await work
    except ComityError as error:
        await close(error)
    except OSError:
        return  # the client is gone
    except Exception:
        logger.exception("a connection to %s failed", path)
        await close(mistake())


def reason_of(error: ComityError) -> str:
    """Return an error's text as far as a close frame holds it."""
    return str(error).encode()[:MAX_REASON].decode(errors="ignore")


class IdleWatch:
    """Ends a connection on which nothing was sent either way for long.

    Args:
        seconds: how long; 0 is for ever.
        progress: returns what changes whenever something is sent.
        fail: ends the connection with an error.
    """

    def __init__(self, seconds: float, progress: Callable[[], object], fail: Callable[[BaseException], None]) -> None:
        self._seconds = seconds
        self._progress = progress
        self._fail = fail
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look once in a while from now on."""
        if self._seconds:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look, self._progress())

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, before: object) -> None:
        if self._progress() != before:
            self.start()
            return
        what = f"nothing was sent for {self._seconds:g} s"
        self._fail(OverloadError(what, remedy="come back", limit="idle_timeout"))
