"""The messages of a conversation: adding, reading, changing, pinning and removing them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypedDict, Unpack

from comity.crdt_types.errors import InvalidValueError, StateError

from .frozen import freeze, frozen_map
from .observing import C
from .projection import chunk_key
from .records import AudioClip, Content, Message, Recording, new_id, time_of
from .status import Role, named
from .updates import Updates

# Half of what a server takes as one value by default, so that a piece passes with all that surrounds it.
AUDIO_CHUNK: Final = 512 * 1024


class MessageFields(TypedDict, total=False):
    """What of a message may be given beside its role and content; see `Message`."""

    name: str | None
    turn: str | None
    call: str | None
    tool_call_id: str | None
    created_at: int
    tokens: int | None
    interrupted: bool
    metadata: Mapping[str, Any]


class MessageChanges(MessageFields, total=False):
    """What of a message may be changed."""

    content: str | Iterable[Mapping[str, Any]] | None


class Messages(Updates[C]):
    """What a manager does with messages."""

    def add_message(
        self,
        role: Role | str,
        content: str | Iterable[Mapping[str, Any]] | None,
        *,
        audio: Recording | None = None,
        **fields: Unpack[MessageFields],
    ) -> Message:
        """Add a message at the end, and return it.

        Args:
            role: who it is from.
            content: text, a list of parts, or None.
            audio: its audio.
            fields: what else it has, see `Message`; it belongs to the current turn, unless another is named.

        Raises: InvalidValueError, if something does not fit; nothing is written then.
        """
        return self._add(new_id(self._document), role, content, audio, fields)

    def _add(
        self,
        id: str,
        role: Role | str,
        content: str | Iterable[Mapping[str, Any]] | None,
        audio: Recording | None,
        fields: MessageFields,
    ) -> Message:
        message = Message(
            id,
            role if isinstance(role, Role) else role_of(role),
            _frozen(content),
            fields.get("name"),
            fields["turn"] if "turn" in fields else self._current_turn_id(),
            fields.get("call"),
            fields.get("tool_call_id"),
            fields.get("created_at", time_of(id)),
            fields.get("tokens"),
            fields.get("interrupted", False),
            None if audio is None else _clip(audio),
            frozen_map(fields.get("metadata", {})),
        )
        with self.transaction():
            self._write_message(message)
            if audio is not None:
                self._write_audio(id, audio.data)
            self._count_message(message)
        return message

    def _current_turn_id(self) -> str | None:
        turn = self.state.current_turn
        return None if turn is None else turn.id

    def _write_message(self, message: Message) -> None:
        self.live.messages[message.id] = message
        self._wrote("messages", message.id)

    def _count_message(self, message: Message) -> None:
        counts = self.live.counts
        counts.messages.add(1)
        if message.role is Role.USER:
            counts.user_messages.add(1)
        elif message.role is Role.ASSISTANT:
            counts.assistant_messages.add(1)
        if message.tokens:
            counts.tokens.add(message.tokens)
        self._wrote("counts")

    def get_history(
        self, limit: int | None = None, *, role: Role | str | None = None, since: int | None = None
    ) -> tuple[Message, ...]:
        """Return messages in order.

        Args:
            limit: only so many, the newest.
            role: only those of a role.
            since: only those from that time on, in milliseconds since the Unix epoch.
        """
        found: tuple[Message, ...] = self.state.messages
        if role is not None:
            wanted = role_of(role)
            found = tuple(message for message in found if message.role is wanted)
        if since is not None:
            found = tuple(message for message in found if message.created_at >= since)
        return found if limit is None else found[max(0, len(found) - limit) :]

    def change_message(self, id: str, **changes: Unpack[MessageChanges]) -> Message:
        """Write a message again with some of its fields changed, and return it.

        Raises:
            StateError: if there is no such message.
            InvalidValueError: if something does not fit; nothing is written then.
        """
        frozen: dict[str, Any] = {name: freeze(value) for name, value in changes.items()}
        changed = replace(self._known_message(id), **frozen)
        self._write_message(changed)
        return changed

    def remove_messages(self, ids: Iterable[str]) -> None:
        """Remove messages in one transaction, with their audio, their pins and the tool calls that they make.

        What was counted stays.
        """
        with self.transaction():
            for id in ids:
                self._remove_message(id)

    def _remove_message(self, id: str) -> None:
        state = self.state
        message = state.message(id)
        if message is None:
            return
        del self.live.messages[id]
        self._wrote("messages", id)
        for call in state.calls_of(id):
            del self.live.tool_calls[call.id]
            self._wrote("tool_calls", call.id)
        if message.audio is not None:
            self._delete_audio(id, message.audio.chunks)
        self.unpin(id)

    def _known_message(self, id: str) -> Message:
        message = self.state.message(id)
        if message is None:
            raise StateError("no such message", subject=id, remedy="it may have been pruned; see state.messages")
        return message

    def pin(self, id: str) -> None:
        """Have pruning keep a message; raises StateError if there is none of that id."""
        self.live.pinned.add(self._known_message(id).id)
        self._wrote("pinned")

    def unpin(self, id: str) -> None:
        """Let pruning take a message."""
        self.live.pinned.discard(id)
        self._wrote("pinned")

    # Audio ------------------------------------------------------------------------------------------------------

    def set_audio(self, id: str, audio: Recording) -> Message:
        """Give a message its audio, in place of what it had; raises StateError if there is no such message."""
        message = self._known_message(id)
        changed = replace(message, audio=_clip(audio))
        with self.transaction():
            if message.audio is not None:
                self._delete_audio(id, message.audio.chunks)
            self._write_audio(id, audio.data)
            self._write_message(changed)
        return changed

    def audio_of(self, id: str) -> bytes:
        """Return the audio of a message.

        Raises: StateError, if there is no such message, it has no audio, or not all of it is here yet.
        """
        clip = self._known_message(id).audio
        if clip is None:
            raise StateError("the message has no audio", subject=id)
        pieces = [self.live.audio_clips.get(chunk_key(id, number)) for number in range(clip.chunks)]
        data = b"".join(piece for piece in pieces if piece is not None)
        if len(data) != clip.size:
            raise StateError("the audio is not complete", subject=id, remedy="wait until the state is synced()")
        return data

    def _write_audio(self, id: str, data: bytes) -> None:
        for number in range(_chunks(data)):
            self.live.audio_clips[chunk_key(id, number)] = data[number * AUDIO_CHUNK : (number + 1) * AUDIO_CHUNK]

    def _delete_audio(self, id: str, chunks: int) -> None:
        for number in range(chunks):
            if (key := chunk_key(id, number)) in self.live.audio_clips:
                del self.live.audio_clips[key]


def role_of(role: Role | str) -> Role:
    """Return a role by its name; raises InvalidValueError if there is none of it."""
    return named(Role, role, "role", subject="message")


def _frozen(content: str | Iterable[Mapping[str, Any]] | None) -> Content:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, (bytes, Mapping)) or not isinstance(content, Iterable):
        raise InvalidValueError(
            f"content {content!r:.200}", subject="message", remedy="give a text, a list of parts, or None"
        )
    return tuple(map(freeze, content))


def _chunks(data: bytes) -> int:
    return -(-len(data) // AUDIO_CHUNK)


def _clip(audio: Recording) -> AudioClip:
    if not isinstance(audio, Recording):
        raise InvalidValueError(f"{type(audio).__name__} is no recording", subject="audio", remedy="give a Recording")
    return AudioClip(
        audio.mime, len(audio.data), _chunks(audio.data), audio.duration_ms, audio.sample_rate, audio.transcript
    )
