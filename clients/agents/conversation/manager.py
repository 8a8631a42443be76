"""The manager of a conversation: all that an agent does with it, and all that it hears of it."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar, overload

from comity.crdt_types.document.clock import wall_ms

from ...client import Client
from .document import Conversation
from .observing import C
from .snapshots import ConversationMetrics, ConversationSnapshot
from .upkeep import Upkeep

D = TypeVar("D", bound=Conversation)


class ConversationManager(Upkeep[C]):
    """Manages a conversation: its status, connection and audio, its messages and turns, and the calls of tools.

    ::

        async with ConversationManager.open(client, "call-42") as conversation:
            conversation.start_turn("Is my flight on time?")
            async with conversation.stream() as stream:
                async for token in model:
                    stream.write(token)
            conversation.complete_turn()

    `state` is what the conversation is now, as an immutable value. Every edit is made at once on the shared document,
    `live`, and travels by itself; what others do is in `state` as soon as it is here, and raises the same events. The
    manager keeps no data of its own but the last `state`.

    Args:
        source: a tier that holds a `Conversation`, or a `Conversation` itself.
    """

    @overload
    @staticmethod
    def open(
        client: Client, name: str, *, ttl: timedelta | None = None
    ) -> "AbstractAsyncContextManager[ConversationManager[Conversation]]": ...

    @overload
    @staticmethod
    def open(
        client: Client, name: str, schema: type[D], *, ttl: timedelta | None = None
    ) -> "AbstractAsyncContextManager[ConversationManager[D]]": ...

    @staticmethod
    def open(
        client: Client, name: str, schema: type[Any] = Conversation, *, ttl: timedelta | None = None
    ) -> "AbstractAsyncContextManager[ConversationManager[Any]]":
        """Open a conversation as a session of a server, with its manager; use it with ``async with``.

        Args:
            client: the client that opens it.
            name: the session's name, with or without ``session/``.
            schema: `Conversation`, or a subclass of it.
            ttl: how long after the last thing that happened in it the server erases it; None leaves it as it is.
        """
        return _opened(client, name, schema, ttl)

    def get_metrics(self) -> ConversationMetrics:
        """Return what was counted over the life of the conversation."""
        return self.state.metrics

    def create_snapshot(self) -> ConversationSnapshot:
        """Return all that the conversation holds now, audio included.

        Raises: StateError, if not all of the audio is here yet.
        """
        state = self.state
        audio = {message.id: self.audio_of(message.id) for message in state.messages if message.audio is not None}
        return ConversationSnapshot(state, audio, wall_ms())


@asynccontextmanager
async def _opened(
    client: Client, name: str, schema: type[D], ttl: timedelta | None
) -> AsyncGenerator[ConversationManager[D]]:
    async with client.session(name, schema, ttl=ttl) as session, ConversationManager(session) as manager:
        yield manager
