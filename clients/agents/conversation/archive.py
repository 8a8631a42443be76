"""Conversations as files: all that a conversation holds, audio included, checked as a whole when it is read.

docs/agents-conversation.md states the format byte by byte.
"""

import asyncio
import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgpack

from comity.crdt_types import StateDocument
from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import InvalidValueError, NotConnectedError, ProtocolError, StorageError

from .document import Conversation
from .frozen import thaw
from .messages import AUDIO_CHUNK
from .projection import chunk_key
from .records import Stream
from .snapshots import ConversationSnapshot

# As PNG's: the first byte is no text, and what mangles line ends or stops at a ^Z damages it.
MAGIC: Final = b"\x89ComityT\r\n\x1a\n"
FORMAT: Final = 1

_HEAD: Final = struct.Struct(f">{len(MAGIC)}sBI")  # the magic, the format, the length of what is said about the file
_DIGEST_BYTES: Final = hashlib.sha256().digest_size

# What zlib calls a good compromise. Audio hardly shrinks at any level, and text by a factor of 3 to 5.
_LEVEL: Final = 6

AUDIO: Final = "audio_clips"  # the field that may be larger than one message to the server

# Bytes of audio that are loaded in one transaction: a fourth of the largest message that a server takes by default.
AUDIO_BATCH: Final = 16 * 1024 * 1024


class About(NamedTuple):
    """What a file says about itself.

    Attributes:
        saved_at: when it was written, in milliseconds since the Unix epoch.
        agent: who wrote it.
        size: the size of the state in it, in bytes.
    """

    saved_at: int
    agent: str
    size: int


C = TypeVar("C", bound=Conversation)


async def save(conversation: Conversation, path: str | Path) -> About:
    """Write a conversation to a file, which is there whole and on disk when this returns, or as it was before.

    Args:
        conversation: the conversation, as it is at this moment.
        path: the file; one that is there is replaced.

    Raises: StorageError, if it cannot be written; TransactionError, while a transaction is under way.
    """
    document = conversation.document
    state = document.update_since()
    about = About(wall_ms(), document.agent, len(state))
    await asyncio.to_thread(_write, Path(path), about, state)
    return about


async def read(path: str | Path, schema: type[C]) -> tuple[About, C]:
    """Read a conversation from a file, into a document of its own; an older version's is migrated.

    Args:
        path: the file.
        schema: `Conversation`, or a class of one's own that extends it.

    Raises: StorageError, if the file is damaged, of a newer format, or cannot be read; SchemaError, if a newer version
        of the schema wrote it.
    """
    path = Path(path)
    about, state = await asyncio.to_thread(_read, path)
    # Here and not in the thread: a Yjs document may be used only by the thread that made it.
    try:
        return about, schema(StateDocument(update=state))
    except ProtocolError as error:
        raise _damaged(path, str(error)) from error


def _write(path: Path, about: About, state: bytes) -> None:
    try:
        _write_whole(path, packed(about, state))
    except OSError as error:
        raise _failed(path, error, "check that its folder is there, can be written and has room") from error


def packed(about: About, state: bytes) -> bytes:
    """Return the content of a file."""
    head: bytes = msgpack.packb(about._asdict())
    content = _HEAD.pack(MAGIC, FORMAT, len(head)) + head + zlib.compress(state, _LEVEL)
    return content + hashlib.sha256(content).digest()


def _write_whole(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make sure that the names in a directory are on disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> tuple[About, bytes]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _failed(path, error, "check that it is there and can be read") from error
    return opened(path, content)


def opened(path: Path, content: bytes) -> tuple[About, bytes]:
    """Return what the content of a file says about it, and the state in it.

    Nothing but its format is looked at before all of it is known to be what was written.

    Raises: StorageError, if it is damaged or of a newer format.
    """
    if len(content) < _HEAD.size + _DIGEST_BYTES:
        raise _damaged(path, "it is no conversation, or cut short")
    magic, number, length = _HEAD.unpack_from(content)
    if magic != MAGIC:
        raise _damaged(path, "it is no conversation, or its beginning is damaged")
    if number > FORMAT:
        raise StorageError(
            f"it has format {number}; this version knows {FORMAT}", subject=str(path), remedy="upgrade comity"
        )
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise _damaged(path, "it does not fit its checksum")
    try:
        about = About(**msgpack.unpackb(body[_HEAD.size : _HEAD.size + length]))
        return about, _inflated(body[_HEAD.size + length :], about.size)
    except (ValueError, TypeError, zlib.error) as error:
        raise _damaged(path, f"it cannot be read: {error}") from error


def _inflated(packed: bytes, size: int) -> bytes:
    """Return what was compressed, and never more than it says it is."""
    inflater = zlib.decompressobj()
    state = inflater.decompress(packed, size + 1)
    if len(state) != size or not inflater.eof:
        raise ValueError("its state has another size")
    return state


def _damaged(path: Path, what: str) -> StorageError:
    return StorageError(what, subject=str(path), remedy="use another copy of it; nothing was changed")


def _failed(path: Path, error: OSError, remedy: str) -> StorageError:
    return StorageError(error.strerror or str(error), subject=str(path), remedy=remedy)


async def load(conversation: Conversation, path: str | Path, *, replace: bool = False) -> About:
    """Make a conversation hold what a file holds.

    Audio comes first, in several transactions if there is much of it, each of which the server has before the next is
    made; then all else in one.

    Args:
        conversation: the conversation.
        path: the file.
        replace: whether what the conversation holds gives way to it.

    Raises: StorageError or SchemaError, as `read` does; InvalidValueError, if the conversation is not empty, and not to
        be replaced. Nothing is changed then.
    """
    about, source = await read(path, type(conversation))
    if not replace and not is_empty(conversation):
        raise InvalidValueError(
            "there is a conversation already", subject=str(path), remedy="load with replace=True, or into a new one"
        )
    values = source.to_dict(defaults=False)
    batches = list(_batches(values.pop(AUDIO, {})))
    for batch in batches:
        conversation.audio_clips.update(batch)
        if len(batches) > 1:
            await _sent(conversation)
    with conversation.transaction():
        conversation.erase_grown()
        conversation.assign({**values, AUDIO: source.audio_clips.value}, others=True)
    return about


async def _sent(conversation: Conversation) -> None:
    """Return once the server has what was written, if it is there: edits that wait together become one message."""
    try:
        replica = conversation.replica
    except NotConnectedError:
        return
    if replica.status == "live":
        await replica.durable()


def unfolded(snapshot: ConversationSnapshot) -> Conversation:
    """Return a document of its own that holds what a snapshot does."""
    state = snapshot.state
    live = Conversation()
    live.assign(
        {
            "status": state.status,
            "error": state.error,
            "connection": asdict(state.connection),
            "audio": asdict(state.audio),
            "messages": {message.id: message for message in state.messages},
            "turns": {turn.id: turn for turn in state.turns},
            "tool_calls": {call.id: call for call in state.tool_calls},
            "streams": {stream.id: replace_fields(stream, text="", chunks=0) for stream in state.streaming},
            "chunks": {key: piece for stream in state.streaming for key, piece in _chunks_of(stream)},
            AUDIO: {key: piece for id, data in snapshot.audio.items() for key, piece in _pieces_of(id, data)},
            "pinned": state.pinned,
            "summaries": {summary.id: summary for summary in state.summaries},
            "metadata": thaw(state.metadata),
            "counts": asdict(state.metrics),
        }
    )
    return live


def _chunks_of(stream: Stream) -> Iterator[tuple[str, str]]:
    """Yield as many pieces as a stream had, of which the first has all of the text."""
    for number in range(stream.chunks):
        yield chunk_key(stream.id, number), "" if number else stream.text


def _pieces_of(id: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    for number, start in enumerate(range(0, len(data), AUDIO_CHUNK)):
        yield chunk_key(id, number), data[start : start + AUDIO_CHUNK]


def is_empty(conversation: Conversation) -> bool:
    """Tell whether nothing was said in a conversation yet."""
    return not (conversation.messages or conversation.turns or conversation.tool_calls or conversation.summaries)


def _batches(clips: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    batch: dict[str, bytes] = {}
    size = 0
    for key, clip in clips.items():
        if batch and size + len(clip) > AUDIO_BATCH:
            yield batch
            batch, size = {}, 0
        batch[key] = clip
        size += len(clip)
    if batch:
        yield batch
