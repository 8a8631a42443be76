"""Entries: stored bytes are understood or passed over, and never raise."""

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types.document.entry import (
    CELL,
    LISTED,
    OPAQUE,
    Entry,
    cell_entry,
    counter_entry,
    element_entry,
    header_entry,
    item_entry,
    place_entry,
    read_entry,
    register_entry,
)
from comity.crdt_types.document.values import canonical

ANY: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
STAMPS = st.integers(0, 2**53 - 1)
IDS = st.text(st.characters(max_codepoint=127))


def fields(entry: Entry) -> tuple[Any, ...]:
    """Return what an entry says; values by their bytes, since NaN is not equal to itself."""
    value = canonical(entry.value)
    return entry.kind, entry.field, entry.key, entry.stamp, entry.ancestor, value, entry.raw, entry.client


@given(st.text(), st.text(), IDS, STAMPS, STAMPS, ANY)
def test_entries_are_read_as_they_were_made(field: str, key: str, id: str, one: int, other: int, value: Any) -> None:
    ancestor, stamp = sorted((one, other)) if one != other else (0, one)
    for made in (
        register_entry(field, stamp, value, 7, ancestor),
        cell_entry(CELL, field, key, stamp, value, 7, ancestor),
        cell_entry(LISTED, field, id, stamp, value, 7, ancestor),
        place_entry(field, id, stamp, id, 7),
        element_entry(field, value, 7),
        item_entry(field, stamp, value, 7),
        counter_entry(field, stamp, 3, 7),
        header_entry(key, 7),
    ):
        assert fields(read_entry(made.raw, 7)) == fields(made)


@given(st.one_of(st.binary(), ANY.map(msgpack.packb), st.lists(ANY, max_size=6).map(msgpack.packb)))
def test_bytes_of_any_kind_become_an_entry_that_can_be_read(raw: bytes) -> None:
    entry = read_entry(raw, 7)
    assert entry.raw == raw
    assert entry.order == (entry.stamp, 7, raw)
    assert entry.kind == OPAQUE or entry.value is not entry
    assert repr(entry)


def test_entries_that_are_wrapped_too_deep_are_passed_over() -> None:
    assert read_entry(b"\x91" * 5000 + b"\x90", 7).kind == OPAQUE
    assert read_entry(msgpack.packb([0, "f", 1])[:-1] + b"\x91" * 5000, 7).kind == OPAQUE


def test_entries_hold_scalars_and_decode_the_rest_at_each_read() -> None:
    entry = register_entry("f", 1, {"a": [1]}, 7)
    assert entry.value == {"a": [1]}
    assert entry.value is not entry.value
    text = "a text that is kept"
    assert register_entry("f", 1, text, 7).value is text


def stored(*parts: Any) -> Entry:
    """Return what is read of these members."""
    return read_entry(msgpack.packb(parts), 7)


def test_entries_say_how_far_their_ancestor_lies_back() -> None:
    assert register_entry("f", 9, "x", 7, 4).raw == msgpack.packb([0, "f", 9, "x", 5])
    assert cell_entry(LISTED, "f", "i", 9, "x", 7, 4).raw == msgpack.packb([6, "f", "i", 9, "x", 5])
    assert [stored(1, "f", "k", 9, "x", step).ancestor for step in (1, 5, 9)] == [8, 4, 0]


@pytest.mark.parametrize("ancestor", [0, 9, 10, 2**53 - 1])
def test_entries_that_supersede_nothing_or_the_future_have_no_step(ancestor: int) -> None:
    made = register_entry("f", 9, "x", 7, ancestor)
    assert made.raw == msgpack.packb([0, "f", 9, "x"])
    assert read_entry(made.raw, 7).ancestor == 0


@pytest.mark.parametrize("step", [0, -1, 10, 2**53, 1.0, True, None, "1", [1]])
def test_entries_with_a_step_that_leads_nowhere_are_not_understood(step: Any) -> None:
    assert stored(0, "f", 9, "x", step).kind == OPAQUE
    assert stored(1, "f", "k", 9, "x", step).kind == OPAQUE
    assert stored(6, "f", "i", 9, "x", step).kind == OPAQUE


MALFORMED: list[tuple[Any, ...]] = [
    (6,),
    (6, "f", "i", 9),
    (6, "f", "i", 9, "x", 1, 1),
    (6, "f", 5, 9, "x"),
    (6, None, "i", 9, "x"),
    (6, "f", "i", 9.0, "x"),
    (6, "f", "i", True, "x"),
    (6, "f", "i", -1, "x"),
    (6, "f", "i", 2**53, "x"),
    (6, b"f", "i", 9, "x"),
    (6, "f", "\u00e9", 9, "x"),
    (6, "f", "\x80", 9, "x"),
    (7, "f", "\U0001f600", 9, "m"),
    (7, "f", "i", 9, "\uffff"),
    (7,),
    (7, "f", "i", 9),
    (7, "f", "i", 9, "m", 1),
    (7, "f", "i", 9, b"m"),
    (7, "f", "i", 9, None),
    (7, "f", 5, 9, "m"),
    (7, 5, "i", 9, "m"),
    (7, "f", "i", 9.0, "m"),
    (7, "f", "i", -1, "m"),
    (8, "f", "i", 9, "m"),
    (-1, "f", 9, "x"),
    (4, "f", 9, "x", 1),
    (2, "f", "x", 1),
]


@pytest.mark.parametrize("parts", MALFORMED, ids=repr)
def test_entries_of_lists_that_are_malformed_are_not_understood(parts: tuple[Any, ...]) -> None:
    assert stored(*parts).kind == OPAQUE


def test_entries_of_lists_are_read() -> None:
    item, place = stored(6, "f", "i", 9, [1], 3), stored(7, "f", "i", 9, "m")
    assert (item.kind, item.field, item.key, item.stamp, item.value, item.ancestor) == (6, "f", "i", 9, [1], 6)
    assert (place.kind, place.field, place.key, place.stamp, place.value, place.ancestor) == (7, "f", "i", 9, "m", 0)


@pytest.mark.parametrize(("depth", "kind"), [(256, 0), (257, OPAQUE), (5000, OPAQUE)])
def test_entries_nested_deeper_than_readers_go_are_passed_over(depth: int, kind: int) -> None:
    raw = b"\x94\x00\xa1r\x01" + b"\x91" * depth + b"\xc0"
    assert read_entry(raw, 1).kind == kind
