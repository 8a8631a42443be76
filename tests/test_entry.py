"""Entries: stored bytes are understood or passed over, and never raise."""

from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types.entry import (
    OPAQUE,
    Entry,
    cell_entry,
    counter_entry,
    element_entry,
    header_entry,
    item_entry,
    read_entry,
    register_entry,
)
from comity.crdt_types.values import canonical

ANY: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
STAMPS = st.integers(0, 2**53 - 1)


def fields(entry: Entry) -> tuple[Any, ...]:
    """Return what an entry says; values by their bytes, since NaN is not equal to itself."""
    return entry.kind, entry.field, entry.key, entry.stamp, canonical(entry.value), entry.raw, entry.client


@given(st.text(), st.text(), STAMPS, ANY)
def test_entries_are_read_as_they_were_made(field: str, key: str, stamp: int, value: Any) -> None:
    for made in (
        register_entry(field, stamp, value, 7),
        cell_entry(field, key, stamp, value, 7),
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
