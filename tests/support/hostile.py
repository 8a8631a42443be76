"""A peer that writes into the lanes whatever Yjs lets it, by the rules or not."""

from typing import Any

import msgpack
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text

JUNK: st.SearchStrategy[Any] = st.one_of(
    st.binary(max_size=6),
    st.integers(-5, 5),
    st.text(max_size=3),
    st.none(),
    st.just(b""),
    st.lists(st.one_of(st.integers(0, 6), st.text(max_size=2), st.none()), max_size=6).map(msgpack.packb),
)
# Entries that are well formed, though not the writer's to write.
FORGED: st.SearchStrategy[bytes] = st.sampled_from(
    [
        [0, "goal", 5, "forged"],
        [0, "goal", 2**53 - 1, [1]],
        [1, "steps", "a", 5, {"x": 1}],
        [1, "steps", "", 0, None],
        [2, "tags", 1],
        [2, "tags", {"b": 1, "a": 1}],
        [3, "spent", 5, 7],
        [3, "spent", 2**53 - 1, 0],
        [4, "journal", 5, "forged"],
        [4, "journal", 5, 7],
        [5, "somebody else"],
        [5, ""],
    ]
).map(msgpack.packb)
ITEMS = st.lists(st.one_of(JUNK, FORGED, FORGED), min_size=1, max_size=4)
NESTED: st.SearchStrategy[Any] = st.sampled_from(["array", "map", "text", "segment"])
KEYS = st.sampled_from(["own", "7", "07", "x", "", "-1", "\u0665", "9" * 30])

STEPS = st.one_of(
    st.tuples(st.just("insert_items"), KEYS, st.integers(0, 9), st.integers(0, 99), ITEMS),
    st.tuples(st.just("delete_items"), KEYS, st.integers(0, 9), st.integers(0, 99), st.integers(1, 4)),
    st.tuples(st.just("insert_segment"), KEYS, st.integers(0, 9), NESTED, ITEMS),
    st.tuples(st.just("insert_plain"), KEYS, st.integers(0, 9), ITEMS),
    st.tuples(st.just("delete_segment"), KEYS, st.integers(0, 9)),
    st.tuples(st.just("put_lane"), KEYS, NESTED, ITEMS),
    st.tuples(st.just("delete_lane"), KEYS),
    st.tuples(st.just("touch_nested"), KEYS, st.integers(0, 9), st.integers(0, 99)),
)


class Hostile:
    """Writes into the lanes of a document through pycrdt itself.

    Args:
        own: the client id of the replica to be hurt.
    """

    def __init__(self, own: int) -> None:
        self.ydoc = Doc[Any]()
        self.root: Map[Any] = self.ydoc.get("lanes", type=Map)
        self._own = str(own)

    def run(self, steps: list[tuple[Any, ...]]) -> None:
        """Take some steps in one Yjs transaction."""
        with self.ydoc.transaction():
            for name, key, *arguments in steps:
                getattr(self, name)(self._own if key == "own" else key, *arguments)

    def _lane(self, key: str) -> Array[Any] | None:
        lane = self.root.get(key, None)
        return lane if isinstance(lane, Array) else None

    def _segment(self, key: str, number: int) -> Array[Any] | None:
        lane = self._lane(key)
        segment = lane[number % len(lane)] if lane is not None and len(lane) else None
        return segment if isinstance(segment, Array) else None

    def insert_items(self, key: str, number: int, at: int, items: list[Any]) -> None:
        """Insert anywhere into a segment."""
        segment = self._segment(key, number)
        if segment is not None:
            at %= len(segment) + 1
            segment[at:at] = items

    def delete_items(self, key: str, number: int, at: int, count: int) -> None:
        """Delete a range of a segment."""
        segment = self._segment(key, number)
        if segment is not None and len(segment):
            at %= len(segment)
            del segment[at : min(at + count, len(segment))]

    def insert_segment(self, key: str, number: int, nested: str, items: list[Any]) -> None:
        """Insert a segment, or something else, anywhere into a lane."""
        lane = self._lane(key)
        if lane is not None:
            lane.insert(number % (len(lane) + 1), _nested(nested, items))

    def insert_plain(self, key: str, number: int, items: list[Any]) -> None:
        """Insert values where segments should be."""
        lane = self._lane(key)
        if lane is not None:
            at = number % (len(lane) + 1)
            lane[at:at] = items

    def delete_segment(self, key: str, number: int) -> None:
        """Delete a segment."""
        lane = self._lane(key)
        if lane is not None and len(lane):
            del lane[number % len(lane)]

    def put_lane(self, key: str, nested: str, items: list[Any]) -> None:
        """Put something where a lane is or should be."""
        self.root[key] = Array([_nested(nested, items)]) if nested != "text" else _nested(nested, items)

    def delete_lane(self, key: str) -> None:
        """Delete a lane."""
        if key in self.root:
            del self.root[key]

    def touch_nested(self, key: str, number: int, at: int) -> None:
        """Change something that lies in the place of a segment, or of an entry."""
        lane = self._lane(key)
        if lane is None or not len(lane):
            return
        found = lane[number % len(lane)]
        if isinstance(found, Array) and len(found):
            found = found[at % len(found)]
        if isinstance(found, Array):
            found.append(b"deeper")
        elif isinstance(found, Map):
            found["k"] = b"deeper"
        elif isinstance(found, Text):
            found.insert(0, "deeper")


def _nested(nested: str, items: list[Any]) -> Any:
    if nested == "array":
        return Array([*items, Array(items), Map({"a": 1}), Text("in a segment")])
    if nested == "map":
        return Map({"a": Array(items)})
    return Text("text") if nested == "text" else Array(items)
