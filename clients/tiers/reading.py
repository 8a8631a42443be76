"""Reading: which keys a state has, which writes a value consists of, and which versions changed it."""

from collections import deque
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from typing import Any, Final, NamedTuple

from comity.crdt_types import State
from comity.crdt_types.document.cells import Items
from comity.crdt_types.document.entry import Entry
from comity.crdt_types.history.timeline import LogEntry

from ..history.past import Past
from .keys import Keys
from .typedkeys import TypedKeys
from .untyped import Untyped, UntypedKeys

_DIGEST: Final = 16  # bytes of a version; two sets of entries never have the same by chance


class WithHistory(NamedTuple):
    """A value and where it comes from.

    Attributes:
        value: the value now; `ABSENT` if there is none.
        entries: the versions that changed it, the oldest first, each with what it changed of it.
    """

    value: Any
    entries: list[LogEntry]


async def changes_of(past: Past, field: str, key: str | None, limit: int | None) -> list[LogEntry]:
    """Return the latest versions that changed a field, or one key of it, the oldest first; all if there is no limit."""
    found: deque[LogEntry] = deque(maxlen=limit)
    async for entry in past.log(field=field):
        changes = entry.changes if key is None else tuple(change for change in entry.changes if change.key == key)
        if changes or entry.texts:
            found.append(entry._replace(changes=changes))
    return list(found)


def keys_of(state: State) -> Keys:
    """Return the keys of a state."""
    return UntypedKeys(state) if isinstance(state, Untyped) else TypedKeys(state)


def version_of(state: State, keys: Keys, key: str) -> str:
    """Return which live entries a key's value consists of; empty if there are none."""
    entries = sorted(
        (entry.client, entry.raw) for path, cell in keys.cells(key) for entry in _entries(state, path, cell)
    )
    if not entries:
        return ""
    digest = blake2b(digest_size=_DIGEST)
    for client, raw in entries:
        digest.update(b"%d %d " % (client, len(raw)) + raw)
    return digest.hexdigest()


def _entries(state: State, path: str, cell: str | None) -> Iterator[Entry]:
    for found in state.document.index.at(path):
        if isinstance(found, Items):
            yield from found.entries
        elif cell is not None:
            yield from found.get(cell, ())
        else:
            yield from chain.from_iterable(found.values())
