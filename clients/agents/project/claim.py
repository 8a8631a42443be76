"""Claims: a task that is one agent's for a while."""

import asyncio
from typing import Final

from ...leases import Lease


class Claim:
    """A task that this agent has claimed. It is over when its time is, unless it is renewed.

    Attributes:
        task: the task's id.
        lease: the lease that it rests on; its `token` grows with every claim of the task.
    """

    def __init__(self, task: str, lease: Lease) -> None:
        self.task: Final = task
        self.lease: Final = lease

    @property
    def lost(self) -> asyncio.Event:
        """Is set when somebody else has the task."""
        return self.lease.lost

    @property
    def until(self) -> int:
        """When it expires, in ms since the Unix epoch by the server's clock."""
        return self.lease.until

    async def renew(self) -> None:
        """Have the task for the full time from now on.

        Raises: PreconditionError, if somebody else has it; NotConnectedError, if the server is not there.
        """
        await self.lease.renew()

    def __repr__(self) -> str:
        return f"<Claim of {self.task!r} by {self.lease.holder!r}>"
