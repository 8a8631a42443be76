"""The rope: a string, however it is edited, whose positions in bytes are those of its UTF-8."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types.document.rope import CHUNK, Rope, size_of
from tests.support.profiles import examples

PIECES = st.sampled_from(
    ["", "a", "\u00e9", "\U0001f420", "\udcff", "ab\u4e2d" * 700, "x" * CHUNK, "\udcff\u00e9" * CHUNK]
)
EDITS = st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 5, 900, 3000, 20_000]), PIECES, st.booleans())


def raw(chars: str) -> bytes:
    return chars.encode("utf-8", "surrogateescape")


@given(st.lists(PIECES, max_size=4), st.lists(EDITS, max_size=12))
@settings(max_examples=examples(100, 3000))
def test_rope_agrees_with_a_plain_string(start: list[str], edits: list[tuple[Any, ...]]) -> None:
    model = "".join(start)
    rope = Rope(model)
    kept: list[tuple[str, Rope]] = []
    for place, gone, come, keep in edits:
        if keep:
            kept.append((model, rope.copy()))
        at = round(place * len(model))
        gone = min(gone, len(model) - at)
        rope.splice(at, gone, come)
        model = model[:at] + come + model[at + gone :]
        offset = len(raw(model[:at]))
        assert (rope.bytes_before(at), rope.chars_before(offset), len(rope)) == (offset, at, len(model))
    assert str(rope) == model
    for known, copy in kept:
        assert str(copy) == known
        for at in {0, len(known) // 2, len(known)}:
            assert copy.bytes_before(at) == len(raw(known[:at]))


def test_rope_does_not_keep_small_chunks() -> None:
    rope = Rope("\u00e9" * (40 * CHUNK))
    for number in range(80):
        rope.splice(48 * number + 10, CHUNK // 2 - 48, "")
    assert len(rope) == 80 * 48
    assert len(rope._chunks) < 8  # pyright: ignore[reportPrivateUsage]
    assert rope.bytes_before(3000) == size_of("\u00e9" * 3000)
