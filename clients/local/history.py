"""The history of a local tier: what its versions were, from this machine's disk."""

from contextlib import ExitStack
from typing import Self

from ..history.past import Past
from .line import LocalLine
from .replica import VersionReplica


class LocalHistory(Past):
    """The history of a local tier, which needs no server; an asynchronous context manager.

    ::

        async with client.local("memory", Memory) as memory, memory.history() as history:
            await history.checkpoint("before-the-move")

    It reads and goes back as the `History` of a room does, has no branches, and lasts as long as the tier is open.

    Args:
        replica: the tier's replica.
    """

    def __init__(self, replica: VersionReplica) -> None:
        super().__init__(LocalLine(replica), replica.agent)
        self.room = replica.room
        self._replica = replica
        self._stack = ExitStack()

    async def __aenter__(self) -> Self:
        self._stack.callback(self._replica.on_anew(self._source.forget))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stack.close()
