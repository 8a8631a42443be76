"""Streaming: a message that is written token by token."""

from types import TracebackType
from typing import Any, Self

from .messages import Messages, role_of
from .observing import C, Holder
from .projection import chunk_key, owner
from .records import Message, Stream, new_id
from .status import Role


class Streams(Messages[C]):
    """What a manager does with messages that are being written.

    Args:
        source: a tier that holds a `Conversation`, or a `Conversation` itself.
    """

    def __init__(self, source: C | Holder[C]) -> None:
        super().__init__(source)
        self._own_streams: set[str] = set()

    def stream(
        self, role: Role | str = Role.ASSISTANT, *, turn: str | None = None, name: str | None = None
    ) -> "MessageStream":
        """Begin a message that is written token by token, all of which everybody sees as they come.

        ::

            async with manager.stream() as stream:
                async for token in model:
                    stream.write(token)

        Args:
            role: who it is from.
            turn: the id of the turn that it belongs to; the current one if None.
            name: the name of the participant.

        Raises: InvalidValueError, if something does not fit; nothing is written then.
        """
        id = new_id(self._document)
        turn = self._current_turn_id() if turn is None else turn
        self.live.streams[id] = Stream(id, role_of(role), turn=turn, name=name, agent=self._document.agent)
        self._wrote("streams", id)
        self._own_streams.add(id)
        return MessageStream(self, id)

    def write_chunk(self, id: str, number: int, text: str) -> None:
        """Write a piece of a message that is being streamed; `MessageStream.write` is what calls it."""
        self.live.chunks[key := chunk_key(id, number)] = text
        self._wrote("chunks", key)

    def end_stream(self, id: str, *, interrupted: bool = False, tokens: int | None = None) -> Message | None:
        """End a message that is being streamed, by whomever, and return it; None if nothing was written.

        Args:
            id: its id.
            interrupted: whether it was cut off.
            tokens: how many tokens it has, if that is known.
        """
        stream = next((stream for stream in self.state.streaming if stream.id == id), None)
        self._own_streams.discard(id)
        if stream is None:
            return None
        with self.transaction():
            self._clear_stream(id)
            if not stream.text:
                return None
            return self._add(
                id,
                stream.role,
                stream.text,
                None,
                {"name": stream.name, "turn": stream.turn, "tokens": tokens, "interrupted": interrupted},
            )

    def _clear_stream(self, id: str) -> None:
        if id in self.live.streams:
            del self.live.streams[id]
            self._wrote("streams", id)
        for key in [key for key in self.live.chunks if owner(key) == id]:
            del self.live.chunks[key]
            self._wrote("chunks", key)

    def recover_streams(self) -> list[Message]:
        """End all messages that others left behind while they wrote them, and return these, marked as interrupted.

        Call it where it is known that those who wrote them are gone, as after a restart: a writer who is there after
        all is cut off.
        """
        with self.transaction():
            left = [stream.id for stream in self.state.streaming if stream.id not in self._own_streams]
            ended = [self.end_stream(id, interrupted=True) for id in left]
            known = set(self.live.streams)
            for id in {owner(key) or "" for key in self.live.chunks} - known:
                self._clear_stream(id)  # pieces that came after somebody else had ended their message
        return [message for message in ended if message is not None]


class MessageStream:
    """A message that is being written; made by `stream`, and used with ``with`` or ``async with``.

    At the end of the block the message is there. If the block fails or is cancelled, what was written until then is
    there, marked as interrupted. It can be interrupted by others as well; what is written after that is not taken.

    Args:
        manager: the conversation's manager.
        id: the id that the message will have.

    Attributes:
        id: the id that the message will have.
        message: the message, once it is there; None before, and if nothing was written.
    """

    def __init__(self, manager: Streams[Any], id: str) -> None:
        self._manager = manager
        self.id = id
        self.message: Message | None = None
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self._pieces)

    @property
    def is_open(self) -> bool:
        """Whether more can be written: nobody has ended or interrupted it."""
        return self.id in self._manager.live.streams

    def write(self, token: str) -> bool:
        """Write more of the message; returns False, and writes nothing, if it has been ended or interrupted."""
        if not self.is_open:
            return False
        if token:
            self._manager.write_chunk(self.id, len(self._pieces), token)
            self._pieces.append(token)
        return True

    def complete(self, *, tokens: int | None = None) -> Message | None:
        """End the message, and return it; None if nothing was written.

        Args:
            tokens: how many tokens it has, if that is known.
        """
        return self._end(interrupted=False, tokens=tokens)

    def interrupt(self) -> Message | None:
        """End the message as it is and mark it as interrupted; returns it, or None if nothing was written."""
        return self._end(interrupted=True, tokens=None)

    def _end(self, *, interrupted: bool, tokens: int | None) -> Message | None:
        if self.is_open:
            self.message = self._manager.end_stream(self.id, interrupted=interrupted, tokens=tokens)
        elif self.message is None:
            self.message = self._manager.state.message(self.id)  # somebody else ended it
        return self.message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(interrupted=error is not None, tokens=None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(interrupted=error is not None, tokens=None)
