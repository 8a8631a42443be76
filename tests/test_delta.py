"""Deltas of text: the laws of composing, undoing and transforming them, formatting and objects among it."""

import json
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types.document.delta import (
    Delta,
    apply_to,
    check,
    check_document,
    compose,
    growth_of,
    invert,
    length_of,
    normalized,
    transform,
)
from comity.crdt_types.errors import InvalidValueError
from tests.support.profiles import examples

CHARACTERS = st.text(alphabet="ab\u00e9\U0001f420", min_size=1, max_size=4)
VALUES: st.SearchStrategy[Any] = st.sampled_from([True, 1, 2.5, "red", {"href": "x"}, [1, True]])
FORMATTING = st.dictionaries(st.sampled_from("bc"), VALUES, max_size=2)
CHANGES = st.dictionaries(st.sampled_from("bc"), st.none() | VALUES, max_size=2)
LAWS = settings(max_examples=examples(60, 5000))


def op(kind: str, operand: Any, attributes: dict[str, Any] | None = None) -> dict[str, Any]:
    return {kind: operand, "attributes": attributes} if attributes else {kind: operand}


INSERTIONS = st.builds(
    op, st.just("insert"), CHARACTERS | st.sampled_from([{"image": 1}, {"image": True}, 7, [7]]), FORMATTING
)
DOCUMENTS = st.lists(INSERTIONS, max_size=5)
PLAIN = st.text(alphabet="ab\u00e9\U0001f420", max_size=12)


@st.composite
def deltas(draw: st.DrawFn, length: int) -> Delta:
    """Draw a delta on a text of some length, in no special order and with pieces of nothing in it."""
    delta: Delta = []
    for _ in range(draw(st.integers(0, 7))):
        kind = draw(st.sampled_from(["insert", "retain", "retain", "delete"]))
        if kind == "insert":
            delta.append(draw(INSERTIONS | st.just(op("insert", ""))))
            continue
        taken = draw(st.integers(0, min(length, 4)))
        length -= taken
        delta.append(op(kind, taken, draw(CHANGES) if kind == "retain" else None))
    return delta


def after(base: Delta, *steps: Delta) -> Delta:
    """Return what becomes of a document."""
    document = normalized(base)
    for step in steps:
        check(step, length_of(document))
        document = compose(document, step)
    check_document(document)
    return document


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal, and True is no 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(st.data(), DOCUMENTS)
@LAWS
def test_compose_is_one_edit_after_the_other(data: st.DataObject, base: Delta) -> None:
    a = data.draw(deltas(length_of(base)))
    between = after(base, a)
    b = data.draw(deltas(length_of(between)))
    assert after(base, compose(a, b)) == after(between, b)
    assert length_of(between) == length_of(base) + growth_of(a)


@given(st.data(), PLAIN)
@LAWS
def test_compose_is_the_same_to_a_plain_text(data: st.DataObject, text: str) -> None:
    a = data.draw(deltas(len(text)))
    between = apply_to(text, a)
    b = data.draw(deltas(len(between)))
    assert apply_to(text, compose(a, b)) == apply_to(between, b)


@given(st.data(), DOCUMENTS)
@LAWS
def test_compose_is_associative(data: st.DataObject, base: Delta) -> None:
    a = data.draw(deltas(length_of(base)))
    b = data.draw(deltas(length_of(after(base, a))))
    c = data.draw(deltas(length_of(after(base, a, b))))
    assert compose(compose(a, b), c) == compose(a, compose(b, c))


@given(deltas(12))
@LAWS
def test_normalized_does_the_same_in_its_only_form(delta: Delta) -> None:
    short = normalized(delta)
    assert compose(delta, []) == compose([], delta) == normalized(short) == short
    assert growth_of(short) == growth_of(delta)
    assert all(length_of([one]) for one in short)
    assert not any("delete" in one and "insert" in other for one, other in pairwise(short))


@given(st.data(), DOCUMENTS)
@LAWS
def test_invert_undoes(data: st.DataObject, base: Delta) -> None:
    delta = data.draw(deltas(length_of(base)))
    assert same(after(base, delta, invert(delta, base)), after(base))


@given(st.data(), DOCUMENTS)
@LAWS
def test_transform_lets_concurrent_edits_converge(data: st.DataObject, base: Delta) -> None:
    a, b = data.draw(deltas(length_of(base))), data.draw(deltas(length_of(base)))
    one = after(base, a, transform(a, b, True))
    other = after(base, b, transform(b, a, False))
    assert same(one, other)


@given(st.data(), PLAIN, st.booleans())
@LAWS
def test_transform_leaves_every_insertion_between_the_characters_it_was_made_between(
    data: st.DataObject, text: str, priority: bool
) -> None:
    a, b = data.draw(deltas(len(text))), data.draw(deltas(len(text)))
    first, second = (a, b) if priority else (b, a)
    merged: list[str] = []
    for at in range(len(text) + 1):
        merged += inserted(first)[at] + inserted(second)[at]
        if at not in deleted(a) | deleted(b):
            merged += text[at : at + 1]
    assert apply_to(apply_to(text, a), transform(a, b, priority)) == "".join(merged)


def inserted(delta: Delta) -> defaultdict[int, list[str]]:
    """Return what a delta inserts before which character of the text."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    at = 0
    for one in delta:
        if "insert" in one:
            found[at].append(one["insert"] if isinstance(one["insert"], str) else "\ufffc")
        else:
            at += length_of([one])
    return found


def deleted(delta: Delta) -> set[int]:
    """Return which characters of the text a delta deletes."""
    gone: set[int] = set()
    at = 0
    for one in delta:
        if "delete" in one:
            gone.update(range(at, at + one["delete"]))
        if "insert" not in one:
            at += length_of([one])
    return gone


def test_transform_gives_formatting_to_the_one_with_priority() -> None:
    red, blue = [op("retain", 3, {"c": "red", "b": True})], [op("retain", 2, {"c": "blue", "i": True})]
    assert transform(red, blue, True) == [op("retain", 2, {"i": True})]
    assert transform(red, blue, False) == blue
    assert transform(red, [op("retain", 5, {"c": None})], True) == [op("retain", 3), op("retain", 2, {"c": None})]


def test_transform_keeps_insertions_behind_the_deletions_that_they_were_behind() -> None:
    delta = [op("delete", 1), op("retain", 1), op("insert", "x")]
    moved = transform([op("retain", 1), op("delete", 1)], delta, True)
    assert moved == [op("delete", 1), op("insert", "x")]
    assert apply_to("ayc", transform([op("retain", 1), op("insert", "y")], moved, True)) == "yxc"


def test_compose_takes_away_formatting_where_it_knows_it() -> None:
    bold, plain = op("insert", "ab", {"bold": True}), [op("retain", 1, {"bold": None})]
    assert compose([bold], plain) == [op("insert", "a"), op("insert", "b", {"bold": True})]
    assert compose(plain, plain) == plain
    assert compose([op("insert", "a", {"bold": None})], []) == [op("insert", "a")]


def test_deltas_tell_true_from_one() -> None:
    document = [op("insert", "a", {"b": True}), op("insert", "b", {"b": 1}), op("insert", 1), op("insert", 1)]
    assert normalized(document) == document
    bold = [op("retain", 2, {"b": 1})]
    assert same(invert(bold, document[:2]), [op("retain", 1, {"b": True})])


@given(st.data(), DOCUMENTS)
@LAWS
def test_deltas_are_not_changed_by_what_is_done_with_them(data: st.DataObject, base: Delta) -> None:
    a, b = data.draw(deltas(length_of(base))), data.draw(deltas(length_of(base)))
    known = deepcopy((a, b, base))
    for result in (transform(a, b, True), compose(base, a), invert(a, base), normalized(a)):
        result.append(op("insert", "more"))
    assert same([a, b, base], list(known))


MALFORMED: list[Any] = [
    {"insert": "a"},
    "a",
    None,
    ["a"],
    [None],
    [{}],
    [{"insert": "a", "delete": 1}],
    [{"attributes": {}}],
    [{"retain": -1}],
    [{"retain": 1.0}],
    [{"retain": True}],
    [{"delete": "1"}],
    [{"delete": None}],
    [{"delete": 1, "attributes": {}}],
    [{"retain": 1, "attributes": None}],
    [{"insert": "a", "attributes": [1]}],
    [{"insert": "a", "attributes": {1: 2}}],
    [{"insert": "a", "other": 1}],
    [{"insert": "a", "attributes": {}, "other": 1}],
]


@pytest.mark.parametrize("delta", MALFORMED, ids=repr)
def test_a_malformed_delta_raises_wherever_it_is_given(delta: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: check(delta),
        lambda: check_document(delta),
        lambda: normalized(delta),
        lambda: compose(delta, []),
        lambda: compose([], delta),
        lambda: transform(delta, [], True),
        lambda: transform([], delta, True),
        lambda: invert(delta, []),
        lambda: invert([], delta),
        lambda: apply_to("abc", delta),
    ]
    for call in calls:
        with pytest.raises(InvalidValueError):
            call()


def test_a_delta_that_reaches_past_the_end_raises() -> None:
    delta = [op("insert", "long enough"), op("retain", 2), op("delete", 2)]
    check(delta, 4)
    assert apply_to("abcd", delta) == "long enoughab"
    for call in (
        lambda: check(delta, 3, "notes"),
        lambda: apply_to("abc", delta),
        lambda: invert(delta, [op("insert", "abc")]),
    ):
        with pytest.raises(InvalidValueError, match="reaches over 4 characters of 3"):
            call()
    with pytest.raises(InvalidValueError, match=r"^notes: "):
        check(delta, 3, "notes")


def test_only_insertions_are_a_document() -> None:
    check_document([op("insert", "a"), op("insert", {"image": 1})])
    for part in (op("retain", 1), op("delete", 1)):
        with pytest.raises(InvalidValueError, match="no insertion in a document"):
            invert([], [op("insert", "a"), part])
