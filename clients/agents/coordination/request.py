"""A request while it runs: what its agent says became of it."""

import asyncio
from typing import Any, Final

from comity.crdt_types.errors import InvalidValueError

from . import health
from .document import RequestRecord, RequestStatus
from .quotas import Grant
from .tracking import MAX_TEXT


class Request:
    """A request that has begun.

    Args:
        record: what is known of it to all agents.
        grant: what it was granted.

    Attributes:
        retry_after: in how many seconds the provider wants to be asked again, if it said so.
        is_cancelled: whether its own agent gave it up, which says nothing of the provider.
    """

    def __init__(self, record: RequestRecord, grant: Grant) -> None:
        self.record: Final = record
        self.grant: Final = grant
        self.retry_after: float | None = None
        self.is_cancelled = False
        self._outcome: dict[str, Any] = {"status": RequestStatus.OK}

    def ok(self, *, tokens: int = 0, cost: int = 0) -> None:
        """Say that it went well.

        Args:
            tokens: what it took.
            cost: the same, in whatever unit the agents agree on.

        Raises: InvalidValueError, if these are no whole numbers from 0 on.
        """
        self._outcome = {"status": RequestStatus.OK, **_taken(tokens, cost)}

    def fail(self, error: str, *, retry_after: float | None = None, tokens: int = 0, cost: int = 0) -> None:
        """Say that it failed.

        Args:
            error: why.
            retry_after: in how many seconds the provider wants to be asked again, if it said so.
            tokens: what it took all the same.
            cost: the same, in whatever unit the agents agree on.

        Raises: InvalidValueError, if one of these makes no sense, such as a pause of more than a day.
        """
        health.check_pause(retry_after)
        taken = _taken(tokens, cost)
        self.retry_after = retry_after
        self._outcome = {"status": RequestStatus.FAILED, "error": error[:MAX_TEXT], **taken}

    def broke(self, error: BaseException) -> None:
        """Note that it was left by an exception, unless it was said before that it failed."""
        if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt):
            self.is_cancelled = True
            self._outcome = {"status": RequestStatus.ABANDONED, "error": type(error).__name__}
        elif self._outcome["status"] is RequestStatus.OK:
            self.fail(f"{type(error).__name__}: {error}")
            if isinstance(error, TimeoutError):
                self._outcome["status"] = RequestStatus.TIMED_OUT

    def outcome(self) -> dict[str, Any]:
        """Return the fields of the record that its end sets."""
        return self._outcome


def _taken(tokens: object, cost: object) -> dict[str, object]:
    for amount in (tokens, cost):
        if not isinstance(amount, int) or amount < 0:
            raise InvalidValueError(
                f"{amount!r} of tokens or cost", subject="request", remedy="give whole numbers from 0 on"
            )
    return {"tokens": tokens, "cost": cost}
