"""The projection: makes the immutable state of a conversation from its document, and again only what changed."""

from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar

from comity.crdt_types import Map

from .document import Conversation
from .frozen import FrozenMap, freeze
from .records import Message, Stream, Summary, ToolCall, Turn, adopt
from .snapshots import AudioState, ConnectionState, ConversationMetrics, ConversationState, find, position
from .status import ConversationStatus

Touched = tuple[str, Any]
"""A field's path and the key of one of its cells; all of the field if that is None."""
Keys = Collection[str | None]

# Where in a ConversationState each part stands.
_PARTS: Final = {name: at for at, name in enumerate(ConversationState.__slots__)}
_FIELD_PARTS: Final = {"chunks": "streams", "connection": "connection", "audio": "audio", "counts": "counts"}
_MANY: Final = 512  # so many records are rather read anew with all the others than one by one

R = TypeVar("R", bound=Message | Turn | ToolCall | Summary)


class Projection:
    """Makes states of a conversation.

    Args:
        live: the conversation.
    """

    def __init__(self, live: Conversation) -> None:
        self._live = live
        self._makers: dict[str, Callable[[list[Any], Keys], None]] = {
            "status": self._status,
            "error": self._error,
            "connection": self._connection,
            "audio": self._audio,
            "messages": self._messages,
            "turns": self._turns,
            "tool_calls": self._tool_calls,
            "streams": self._streams,
            "pinned": self._pinned,
            "summaries": self._summaries,
            "metadata": self._metadata,
            "counts": self._counts,
        }

    def part(self, path: str) -> str | None:
        """Return what part of the state a field belongs to; None if it belongs to none."""
        name = path.partition("/")[0]
        name = _FIELD_PARTS.get(name, name)
        return name if name in self._makers else None

    @property
    def all(self) -> list[Touched]:
        """What is touched where everything may have changed."""
        return [(name, None) for name in self._makers]

    def after(self, state: ConversationState, touched: list[Touched]) -> ConversationState:
        """Return the state after cells were written, given that before."""
        if len(touched) == 1 and touched[0][0] == "status":  # what a voice loop writes most often
            return _with_status(state, self._read_status())
        keys: dict[str, dict[str | None, None]] = {}
        for path, key in touched:
            if (part := self.part(path)) is not None:
                keys.setdefault(part, {})[key] = None
        if not keys:
            return state
        parts = [getattr(state, name) for name in _PARTS]
        for part, among in keys.items():
            self._makers[part](parts, among)
        return ConversationState(*parts)

    def _read_status(self) -> ConversationStatus:
        return self._live.status.value or ConversationStatus.IDLE

    def _status(self, parts: list[Any], _keys: Keys) -> None:
        parts[_PARTS["status"]] = self._read_status()

    def _error(self, parts: list[Any], _keys: Keys) -> None:
        parts[_PARTS["error"]] = self._live.error.value

    def _connection(self, parts: list[Any], _keys: Keys) -> None:
        parts[_PARTS["connection"]] = ConnectionState(**self._live.connection.to_dict())

    def _audio(self, parts: list[Any], _keys: Keys) -> None:
        parts[_PARTS["audio"]] = AudioState(**self._live.audio.to_dict())

    def _messages(self, parts: list[Any], keys: Keys) -> None:
        _patch(parts, "messages", self._live.messages, keys)

    def _turns(self, parts: list[Any], keys: Keys) -> None:
        _patch(parts, "turns", self._live.turns, keys)
        parts[_PARTS["active_turns"]] = _still_active(parts, keys)

    def _tool_calls(self, parts: list[Any], keys: Keys) -> None:
        _patch(parts, "tool_calls", self._live.tool_calls, keys)

    def _summaries(self, parts: list[Any], keys: Keys) -> None:
        _patch(parts, "summaries", self._live.summaries, keys)

    def _pinned(self, parts: list[Any], _keys: Keys) -> None:
        parts[_PARTS["pinned"]] = frozenset(self._live.pinned)

    def _metadata(self, parts: list[Any], _keys: Keys) -> None:
        parts[_PARTS["metadata"]] = FrozenMap({key: freeze(value) for key, value in self._live.metadata.items()})

    def _counts(self, parts: list[Any], _keys: Keys) -> None:
        parts[_PARTS["metrics"]] = ConversationMetrics(**self._live.counts.to_dict())

    def _streams(self, parts: list[Any], keys: Keys) -> None:
        at = _PARTS["streaming"]
        parts[at] = streams_after(self._live, parts[at], keys)


def _with_status(state: ConversationState, status: ConversationStatus) -> ConversationState:
    return ConversationState(
        status,
        state.error,
        state.connection,
        state.audio,
        state.messages,
        state.turns,
        state.tool_calls,
        state.streaming,
        state.active_turns,
        state.pinned,
        state.summaries,
        state.metadata,
        state.metrics,
    )


def _patch(parts: list[Any], name: str, live: Map[R], keys: Keys) -> None:
    at = _PARTS[name]
    parts[at] = records_after(parts[at], live, keys)


def records_after(before: tuple[R, ...], live: Map[R], keys: Keys) -> tuple[R, ...]:
    """Return the records of a map in the order of their ids, of which only those of some keys have changed."""
    changed = [key for key in keys if key is not None]
    if None in keys or len(changed) > _MANY:
        return tuple(adopt(record, key) for key, record in live.items())
    if len(changed) == 1 and (not before or before[-1].id < changed[0]):
        record = live.get(changed[0])
        return before if record is None else (*before, adopt(record, changed[0]))
    items = list(before)
    for key in changed:
        at = position(items, key)
        there = at < len(items) and items[at].id == key
        record = live.get(key)
        items[at : at + there] = [] if record is None else [adopt(record, key)]
    return tuple(items)


def _still_active(parts: list[Any], keys: Keys) -> tuple[Turn, ...]:
    turns: tuple[Turn, ...] = parts[_PARTS["turns"]]
    if None in keys:
        return tuple(turn for turn in turns if turn.is_active)
    untouched = [turn for turn in parts[_PARTS["active_turns"]] if turn.id not in keys]
    touched = [turn for key in keys if (turn := find(turns, key or "")) is not None and turn.is_active]
    return tuple(sorted(untouched + touched, key=lambda turn: turn.id))


# Streams ------------------------------------------------------------------------------------------------------------


def chunk_key(id: str, number: int) -> str:
    """Return the key of a piece of a message's text or audio."""
    return f"{id}/{number:08}"


def owner(key: str | None) -> str | None:
    """Return the id of the message that a piece belongs to."""
    return None if key is None else key.partition("/")[0]


def streams_after(live: Conversation, before: tuple[Stream, ...], keys: Keys) -> tuple[Stream, ...]:
    """Return the messages that are being written, given what they were before some cells were written."""
    texts: dict[str, list[str]] = {}
    ids = set(live.streams) if None in keys else {owner(key) or "" for key in keys}
    streams = {stream.id: stream for stream in before if stream.id not in ids and None not in keys}
    known = {stream.id: stream for stream in before}
    for id in ids:
        header = live.streams.get(id)
        if header is None:
            continue
        was = known.get(id)
        if was is not None and None not in keys and (grown := _grown(live, was, keys)) is not None:
            streams[id] = grown
        else:
            texts.setdefault(id, [])
            streams[id] = adopt(header, id)
    if texts:
        _collect(live, texts)
        for id, pieces in texts.items():
            streams[id] = _with_text(streams[id], "".join(pieces), len(pieces))
    return tuple(streams[id] for id in sorted(streams))


def _grown(live: Conversation, was: Stream, keys: Keys) -> Stream | None:
    """Return a stream with the pieces that came, if they follow each other and what was there."""
    text, number = was.text, was.chunks
    came = sorted(key for key in keys if key is not None and "/" in key and owner(key) == was.id)
    for key in came:
        piece = live.chunks.get(key)
        if piece is None or key != chunk_key(was.id, number):
            return None
        text, number = text + piece, number + 1
    return _with_text(was, text, number)


def _collect(live: Conversation, texts: dict[str, list[str]]) -> None:
    for key in live.chunks:
        if (pieces := texts.get(owner(key) or "")) is not None and (piece := live.chunks.get(key)) is not None:
            pieces.append(piece)


def _with_text(stream: Stream, text: str, chunks: int) -> Stream:
    return Stream(stream.id, stream.role, text, stream.turn, stream.name, stream.agent, chunks)
