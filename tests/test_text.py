"""Texts: characters, not bytes; the same here, elsewhere and in an editor."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array

from comity.crdt_types import Change, State, StateDocument, Text
from comity.crdt_types.errors import InvalidValueError, SchemaError
from comity.crdt_types.textmirror import net_delta
from tests.support.invariants import check_text
from tests.support.profiles import examples

CHARACTERS = st.text(alphabet="ab\u00e9\u4e2d\U0001f600\U0001f469\u200d\u0301\ufffc\n\x00", max_size=5)
ATTRIBUTES: st.SearchStrategy[Any] = st.sampled_from([None, {"bold": True}, {"bold": None}, {"link": {"href": "x"}}])


class Note(State):
    body: Text


def play(text: str, delta: list[dict[str, Any]]) -> str:
    """Apply a delta to a text; an object reads as U+FFFC."""
    out: list[str] = []
    at = 0
    for op in delta:
        if "insert" in op:
            out.append(op["insert"] if isinstance(op["insert"], str) else "\ufffc")
        elif "delete" in op:
            at += op["delete"]
        else:
            out.append(text[at : at + op["retain"]])
            at += op["retain"]
    return "".join(out) + text[at:]


def pair() -> tuple[Note, Note]:
    """Return two states over documents of their own."""
    return Note(StateDocument(agent="one")), Note(StateDocument(agent="two"))


def sync(one: Note, two: Note) -> None:
    """Bring each what it lacks."""
    two.document.apply(one.document.update_since(two.document.state_vector()))
    one.document.apply(two.document.update_since(one.document.state_vector()))


def test_text_counts_in_characters() -> None:
    note, _ = pair()
    note.body.append("h\u00e9\U0001f600 \u4e2d")
    note.body.insert(3, "<")
    note.body.delete(1, 1)
    note.body.replace(1, 1, "\U0001f468\u200d\U0001f469")
    assert note.body.value == "h\U0001f468\u200d\U0001f469< \u4e2d"
    assert len(note.body) == 7
    assert str(note.body) == note.body.value


EDIT = st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 4), CHARACTERS, ATTRIBUTES, st.booleans())


@given(st.lists(EDIT, max_size=20))
@settings(max_examples=examples(150, 3000))
def test_text_agrees_with_a_plain_string_and_with_its_peer_however_edited(edits: list[tuple[Any, ...]]) -> None:
    one, two = pair()
    model = ""
    heard: dict[str, str] = {"one": "", "two": ""}

    def follow(name: str, change: Change) -> None:
        heard[name] = play(heard[name], change.new)

    one.on_change(lambda change: follow("one", change))
    two.on_change(lambda change: follow("two", change))
    for first, at, gone, come, attributes, by_editor in edits:
        note = one if first else two
        at = min(at, len(model))
        gone = min(gone, len(model) - at)
        if by_editor:
            edit_as_editor(note, model, at, gone, come)
        else:
            with note.transaction():
                note.body.delete(at, gone)
                note.body.insert(at, come, attributes)
                note.body.format(0, at, {"seen": 1})
        model = model[:at] + come + model[at + gone :]
        sync(one, two)
        assert one.body.value == two.body.value == heard["one"] == heard["two"] == model
        check_text(one.document, "body")


def edit_as_editor(note: Note, model: str, at: int, gone: int, come: str) -> None:
    """Edit the Yjs text itself, which counts in bytes."""
    ytext = note.document.text("body").ytext
    start = len(model[:at].encode())
    with note.document.ydoc.transaction():
        if gone:
            del ytext[start : start + len(model[at : at + gone].encode())]
        ytext.insert(start, come)


def test_text_delta_is_the_same_here_and_elsewhere() -> None:
    one, two = pair()
    heard: list[tuple[bool, list[dict[str, Any]]]] = []
    one.on_change(lambda change: heard.append((change.local, change.new)))
    two.on_change(lambda change: heard.append((change.local, change.new)))
    one.body.insert(0, "b\u00e9\U0001f600d", {"bold": True})
    sync(one, two)
    with one.transaction():
        one.body.insert(2, "\u4e2d")
        one.body.delete(0, 1)
        one.body.format(0, 1, {"bold": None})
    sync(one, two)
    assert [local for local, _delta in heard] == [True, False, True, False]
    assert heard[0][1] == heard[1][1]
    assert heard[2][1] == heard[3][1]
    assert play("b\u00e9\U0001f600d", heard[2][1]) == "\u00e9\u4e2d\U0001f600d"


def test_text_reads_an_embedded_object_as_one_character() -> None:
    one, two = pair()
    one.body.append("a\u00e9b")
    ytext = one.document.text("body").ytext
    ytext.insert_embed(3, {"image": "reef.png"})
    ytext.insert_embed(0, Array(["a shared type"]))  # type: ignore[no-untyped-call, unused-ignore]
    assert one.body.value == "\ufffca\u00e9\ufffcb"
    assert len(one.body) == 5
    sync(one, two)
    assert two.body.value == one.body.value
    two.body.delete(3, 1)
    two.body.insert(1, "\ufffc")
    sync(one, two)
    assert one.body.value == "\ufffc\ufffca\u00e9b"
    check_text(one.document, "body")


def test_text_merges_concurrent_edits() -> None:
    one, two = pair()
    one.body.append("the reef")
    sync(one, two)
    one.body.insert(4, "\U0001f420 ")
    two.body.append(" at night")
    two.body.delete(0, 4)
    sync(one, two)
    assert one.body.value == two.body.value == "\U0001f420 reef at night"


def test_text_edit_outside_of_the_text_raises_and_writes_nothing() -> None:
    note, _ = pair()
    note.body.append("ab")
    before = note.document.state_vector()
    edits: list[Callable[[], None]] = [
        lambda: note.body.insert(3, "x"),
        lambda: note.body.insert(-1, "x"),
        lambda: note.body.delete(1, 2),
        lambda: note.body.delete(1, -1),
        lambda: note.body.replace(3, 1, ""),
        lambda: note.body.format(0, 3, {"bold": True}),
        lambda: note.body.append("\ud800"),
    ]
    for edit in edits:
        with pytest.raises(InvalidValueError):
            edit()
    assert note.document.state_vector() == before
    assert note.body.value == "ab"


@pytest.mark.parametrize(
    "attributes",
    [{"a": object()}, {"a": 2**60}, {"a": {1, 2}}, {"a": b"x"}, {"a": float("nan")}, {"a": "\ud800"}, {"\udc00": 1}],
    ids=repr,
)
def test_text_formatting_that_is_not_json_raises_and_writes_nothing(attributes: dict[str, Any]) -> None:
    note, _ = pair()
    note.body.append("ab")
    before = note.document.state_vector()
    with pytest.raises(InvalidValueError):
        note.body.insert(0, "x", attributes)
    with pytest.raises(InvalidValueError):
        note.body.format(0, 1, attributes)
    assert (note.document.state_vector(), note.body.value) == (before, "ab")


def test_text_formatting_with_keys_that_json_makes_strings_of_is_written_as_such() -> None:
    note, _ = pair()
    formatting: Any = {"a": {1: (1, 2)}}
    note.body.insert(0, "x", formatting)
    assert note.document.text("body").ytext.diff() == [("x", {"a": {"1": [1.0, 2.0]}})]


def test_text_may_not_bear_the_name_of_the_lanes() -> None:
    with pytest.raises(SchemaError):
        StateDocument().text("lanes")


@given(CHARACTERS, CHARACTERS, CHARACTERS, CHARACTERS)
def test_net_delta_turns_one_text_into_the_other(start: str, before: str, after: str, end: str) -> None:
    old, new = start + before + end, start + after + end
    delta = net_delta(old, new)
    assert play(old, delta) == new
    assert bool(delta) == (old != new)
