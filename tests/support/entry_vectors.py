"""Makes entries.json: typed edits and the exact bytes that every implementation writes for them.

The file holds two lists.

``entries`` are single entries: ``kind`` (its number), ``field``, ``key`` (of a map cell, a list's item or place),
``stamp``, ``ancestor`` (the stamp of what it supersedes, 0 for nothing), ``value``, ``plus`` and ``minus`` of a
counter, ``agent`` of a header, and ``bytes``, the entry in base64.

``documents`` are sessions: ``client`` (the Yjs client id), ``agent``, the ``edits`` in their order, each a
transaction of its own, and ``lane``: the session's lane as it then is, a list of segments, each a list of live
entries in base64. An edit is ``[at, operation, field, ...arguments]``, where ``at`` is the wall clock in
milliseconds since the Unix epoch; operations are ``set value``, ``clear``, ``put key value``, ``delete key``, ``add
element``, ``discard element``, ``count amount``, ``append value``, ``prune keep``, ``insert index value``, ``replace
index value``, ``move index to``, ``remove index`` and ``row key title`` (a row that has a title and nothing else),
the indexes those of the list as it then is.

Values are written losslessly: whole numbers as ``{"$int": "5"}``, floats as ``{"$float": "5.0"}`` (also ``nan``,
``inf``, ``-inf``), bytes as ``{"$bytes": base64}``, mappings as ``{"$map": [[key, value], ...]}``; None, booleans,
text and lists are JSON's own.

The other direction: javascript.json holds ``documents``, each a ``name`` and an ``update``: for each of these
documents, by its name, the whole Yjs update (base64) of a JavaScript session that made the same edits.
scripts/vectors has clients/js/test/support/peer.mjs make them, if Node is there.
"""

import base64
import math
from collections.abc import Iterator
from typing import Any, Final

from comity.crdt_types import StateDocument
from comity.crdt_types.document.clock import EPOCH_MS, HybridClock
from comity.crdt_types.document.entry import (
    CELL,
    LISTED,
    Entry,
    cell_entry,
    counter_entry,
    element_entry,
    header_entry,
    item_entry,
    place_entry,
    register_entry,
)

from .edits import Edit, Everything, perform

BORDERS: Final = (
    0,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0xFFFF,
    0x10000,
    2**31,
    2**32 - 1,
    2**32,
    2**53 - 1,
    2**53,
    2**63,
    2**64 - 1,
)
NEGATIVE: Final = (
    -1,
    -32,
    -33,
    -0x80,
    -0x81,
    -0x8000,
    -0x8001,
    -(2**31),
    -(2**31) - 1,
    -(2**53) + 1,
    -(2**53),
    -(2**63),
)
FLOATS: Final = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    5e-324,
    1.7976931348623157e308,
    2.0**53,
    1e100,
    math.pi,
    math.inf,
    -math.inf,
    math.nan,
)
LENGTHS: Final = (0, 1, 15, 16, 31, 32, 255, 256)

_START: Final = EPOCH_MS + 200_000_000_000
_EDITS_A_SECOND: Final = {"a clock that stands still": 15}  # all at once; of the others one


def lossless(value: Any) -> Any:
    """Return a value as JSON that tells apart whatever msgpack does."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return {"$int": str(value)}
        case float():
            return {"$float": repr(value)}
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case dict():
            return {"$map": [[lossless(key), lossless(item)] for key, item in value.items()]}
        case _:
            return [lossless(item) for item in value]


def restored(value: Any) -> Any:
    """Return what `lossless` was given."""
    match value:
        case {"$int": digits}:
            return int(digits)
        case {"$float": digits}:
            return float(digits)
        case {"$bytes": text}:
            return base64.b64decode(text)
        case {"$map": items}:
            return {restored(key): restored(item) for key, item in items}
        case list():
            return [restored(item) for item in value]
        case _:
            return value


def values() -> Iterator[Any]:
    """Yield values of every sort, at the borders of every msgpack form."""
    yield from (None, True, False, *BORDERS, *NEGATIVE, *FLOATS)
    for length in LENGTHS:
        yield "x" * length
        yield b"\xff" * length
    yield from ("\u00e9", "\u4e2d", "\U0001f600", "e\u0301", "\x00", "\u2028\ufeff", "\ufffd")
    for length in (0, 1, 15, 16):
        yield [0] * length
        yield {f"key {number:02}": number for number in range(length)}
    yield {"b": 1, "a": 2, "": None, "\u00e9": [1.0, {"x": b"\x00"}]}
    yield {"$int": "5", "$bytes": [], "$map": {}}
    yield {1: "whole", "1": "text", 2**40: [], -1: None}
    yield [[[[]]], {}, {"a": {"b": {"c": [None]}}}, b"", "", 0, 0.0, False]


# Single entries -----------------------------------------------------------------------------------------------------


def entries() -> list[dict[str, Any]]:
    """Return single entries of every kind."""
    return [_entry_vector(entry) for entry in _entries()]


def _entry_vector(entry: Entry) -> dict[str, Any]:
    vector: dict[str, Any] = {"kind": entry.kind, "field": entry.field}
    if isinstance(entry.key, str):
        vector["key"] = entry.key
    if entry.stamp:
        vector["stamp"], vector["ancestor"] = entry.stamp, entry.ancestor
    match entry.kind:
        case 3:
            vector["plus"], vector["minus"] = entry.value
        case 5:
            vector["agent"] = entry.value
        case _:
            vector["value"] = lossless(entry.value)
    return {**vector, "bytes": base64.b64encode(entry.raw).decode()}


def _entries() -> Iterator[Entry]:
    for value in values():
        yield register_entry("field", 1, value, 7)
        yield element_entry("field", value, 7)
    for stamp in (1, 0x7F, 0x80, 0x100, 2**31, 2**32, 2**53 - 1):
        for ancestor in sorted({0, 1, stamp // 2, stamp - 1, stamp}):
            yield register_entry("f", stamp, "x", 7, ancestor)
        yield cell_entry(CELL, "f", "key", stamp, [stamp], 7, stamp - 1)
        yield cell_entry(LISTED, "f", "r1710m", stamp, {"a": stamp}, 7, stamp - 1)
        yield item_entry("f", stamp, stamp, 7)
        yield place_entry("f", "r1710m", stamp, "r1711m", 7)
        yield counter_entry("f", stamp, 2**53 - 1 - stamp, 7)
    for name in ("", "\u00e9", "a/b", "tasks/x~1y/~0", "x" * 40, "x" * 300):
        yield cell_entry(CELL, name, name, 1, None, 7)
        yield header_entry(name, 7)


# Sessions -----------------------------------------------------------------------------------------------------------


def sessions() -> list[dict[str, Any]]:
    """Return sessions with all their edits, and the lanes that these come to."""
    return [_session_vector(name, client, edits) for client, (name, edits) in enumerate(_sessions(), 7)]


def _session_vector(name: str, client: int, edits: list[Edit]) -> dict[str, Any]:
    now = [_START]
    document = StateDocument(agent=name, client_id=client, clock=HybridClock(lambda: now[0]))
    state = Everything(document)
    made: list[Any] = []
    for at, edit in enumerate(edits):
        now[0] = _START + at // _EDITS_A_SECOND.get(name, 1) * 1000
        perform(state, edit)
        made.append([now[0], edit.operation, edit.path, *map(lossless, edit.arguments)])
    return {"name": name, "client": client, "agent": name, "edits": made, "lane": lane_of(document, client)}


def lane_of(document: StateDocument, client: int) -> list[list[str]]:
    """Return the live entries of a session's lane, segment by segment, in base64."""
    lane = document.lanes.mirrors[str(client)]
    return [[base64.b64encode(entry.raw).decode() for entry in segment.entries] for segment in lane.segments]


def _sessions() -> Iterator[tuple[str, list[Edit]]]:
    yield "every operation", _every_operation()
    yield "every value", [Edit("put", "steps", (f"{at:03}", value)) for at, value in enumerate(values())]
    yield "a list that is written from both ends", _both_ends()
    yield "more than a segment", [Edit("put", "steps", (str(at), at)) for at in range(300)]
    yield "overwritten all day", [Edit("put", "steps", (str(at % 5), at)) for at in range(700)]
    yield "a segment that was emptied", _emptied()
    yield "rows", _rows()
    yield "a clock that stands still", [Edit("put", "steps", (str(at % 5), at)) for at in range(40)]


def _every_operation() -> list[Edit]:
    return [
        Edit("set", "goal", ("first",)),
        Edit("set", "goal", ("second",)),
        Edit("clear", "goal"),
        Edit("set", "goal", (None,)),
        Edit("put", "steps", ("a", 1)),
        Edit("put", "steps", ("b", 2)),
        Edit("put", "steps", ("a", 3)),
        Edit("delete", "steps", ("b",)),
        Edit("add", "tags", (1,)),
        Edit("add", "tags", (1.0,)),
        Edit("add", "tags", (True,)),
        Edit("add", "tags", (1,)),
        Edit("discard", "tags", (True,)),
        Edit("add", "tags", ({"b": 1, "a": 2},)),
        Edit("add", "tags", ({"a": 2, "b": 1},)),
        Edit("count", "spent", (5,)),
        Edit("count", "spent", (-7,)),
        Edit("count", "errors", (1,)),
        Edit("append", "journal", ("one",)),
        Edit("append", "journal", ("two",)),
        Edit("append", "journal", ("three",)),
        Edit("prune", "journal", (1,)),
        Edit("insert", "plan", (0, "a")),
        Edit("insert", "plan", (1, "c")),
        Edit("insert", "plan", (1, "b")),
        Edit("replace", "plan", (1, "B")),
        Edit("move", "plan", (0, 2)),
        Edit("move", "plan", (0, 1)),
        Edit("insert", "plan", (0, "gone")),
        Edit("move", "plan", (0, 3)),
        Edit("remove", "plan", (3,)),
    ]


def _both_ends() -> list[Edit]:
    ends = [Edit("insert", "plan", (0 if at % 2 else at, at)) for at in range(20)]
    return [*ends, *(Edit("insert", "plan", (10, f"middle {at}")) for at in range(10)), *_shuffled()]


def _shuffled() -> list[Edit]:
    return [Edit("move", "plan", (at * 7 % 30, at * 11 % 30)) for at in range(40) if at * 7 % 30 != at * 11 % 30]


def _emptied() -> list[Edit]:
    filled = [Edit("put", "steps", (str(at), at)) for at in range(600)]
    return [*filled, *(Edit("delete", "steps", (str(at),)) for at in range(590))]


def _rows() -> list[Edit]:
    return [
        Edit("set", "profile/name", ("a",)),
        Edit("count", "profile/visits", (3,)),
        Edit("row", "tasks", ("x/y", "reef")),
        Edit("set", "tasks/x~1y/title", ("atoll",)),
        Edit("set", "tasks/~0/parts//title", ("of a row without a name",)),
        Edit("insert", "tasks/x~1y/steps", (0, [])),
    ]


def entry_vectors() -> dict[str, Any]:
    """Return what entries.json holds."""
    return {"entries": entries(), "documents": sessions()}
