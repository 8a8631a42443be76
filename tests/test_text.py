"""Texts: characters, not bytes; the same here, elsewhere and in an editor."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array

from comity.crdt_types import Change, Map, State, StateDocument, Text
from comity.crdt_types.document.delta import Delta, apply_to, compose
from comity.crdt_types.document.textmirror import net_delta
from comity.crdt_types.errors import InvalidValueError, SchemaError
from tests.support.invariants import check_text
from tests.support.profiles import examples

CHARACTERS = st.text(alphabet="ab\u00e9\u4e2d\U0001f600\U0001f469\u200d\u0301\ufffc\n\x00", max_size=5)
ATTRIBUTES: st.SearchStrategy[Any] = st.sampled_from([None, {"bold": True}, {"bold": None}, {"link": {"href": "x"}}])


class Note(State):
    body: Text


class Board(State):
    tasks: Map[Note]


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
        heard[name] = apply_to(heard[name], change.new)

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
    assert apply_to("b\u00e9\U0001f600d", heard[2][1]) == "\u00e9\u4e2d\U0001f600d"


STYLED = st.tuples(
    st.sampled_from(["insert", "insert", "delete", "replace", "format", "embed", "delta"]),
    st.floats(0, 1),
    st.integers(0, 4),
    CHARACTERS,
    ATTRIBUTES,
)


def style(note: Note, edit: tuple[Any, ...]) -> None:
    """Make one of all edits that there are, somewhere in the text."""
    how, place, length, come, attributes = edit
    at = round(place * len(note.body))
    length = min(length, len(note.body) - at)
    if how == "insert":
        note.body.insert(at, come, attributes)
    elif how == "delete":
        note.body.delete(at, length)
    elif how == "replace":
        note.body.replace(at, length, come)
    elif how == "format":
        note.body.format(at, length, attributes or {"seen": 1})
    elif how == "embed":
        note.body.insert_embed(at, {"image": come}, attributes)
    else:
        extra = {} if attributes is None else {"attributes": attributes}
        note.body.apply_delta([{"retain": at}, {"delete": length}, {"insert": come, **extra}])


@given(st.lists(st.tuples(st.booleans(), st.lists(STYLED, max_size=5)), max_size=5))
@settings(max_examples=examples(150, 5000))
def test_text_delta_is_the_same_in_a_transaction_and_after_it(transactions: list[Any]) -> None:
    one, two = pair()
    for first, edits in transactions:
        note = one if first else two
        with note.transaction():
            for edit in edits:
                style(note, edit)
            seen = note.body.delta()
            assert apply_to("", seen) == note.body.value
        assert note.body.delta() == seen
        sync(one, two)
        assert one.body.delta() == two.body.delta() == seen
        check_text(one.document, "body")


@given(st.lists(STYLED, max_size=8), st.lists(STYLED, max_size=3))
@settings(max_examples=examples(75, 3000))
def test_text_is_what_its_changes_come_to(edits: list[Any], staged: list[Any]) -> None:
    one, two = pair()
    content: Delta = []

    def follow(change: Change) -> None:
        content[:] = compose(content, change.new)

    two.on_change(follow)
    for edit in edits:
        style(one, edit)
        sync(one, two)
    with two.transaction():
        for edit in staged:
            style(two, edit)
    assert content == two.body.delta()


def test_text_delta_is_a_copy() -> None:
    note, _ = pair()
    note.body.insert(0, "reef", {"link": {"href": "x"}})
    delta = note.body.delta()
    delta[0]["attributes"]["link"]["href"] = "y"
    delta.clear()
    assert note.body.delta() == [{"insert": "reef", "attributes": {"link": {"href": "x"}}}]


def test_text_embeds_objects() -> None:
    one, two = pair()
    one.body.append("a\u00e9b")
    one.body.insert_embed(2, {"image": {"src": "reef.png", "wide": True}}, {"link": "x"})
    one.body.insert_embed(0, {})
    sync(one, two)
    expected = [
        {"insert": {}},
        {"insert": "a\u00e9"},
        {"insert": {"image": {"src": "reef.png", "wide": True}}, "attributes": {"link": "x"}},
        {"insert": "b"},
    ]
    assert one.body.delta() == two.body.delta() == expected
    assert two.body == "\ufffca\u00e9\ufffcb"
    two.body.delete(0, 4)
    sync(one, two)
    assert one.body == "b"


@pytest.mark.parametrize("obj", ["text", None, 5, ["a"], {1, 2}, {"a": b"x"}, {"a": 2**60}, {"a": "\ud800"}], ids=repr)
def test_text_refuses_to_embed_what_is_no_json_object(obj: Any) -> None:
    note, _ = pair()
    before = note.document.state_vector()
    with pytest.raises(InvalidValueError, match=r"^body: .*embed"):
        note.body.insert_embed(0, obj)
    assert (note.document.state_vector(), note.body.value) == (before, "")


def test_text_is_read_like_a_string() -> None:
    one, two = pair()
    one.body.append("the r\u00e9ef \U0001f420")
    assert (one.body[4:8], one.body[-1], one.body[::-1][:2]) == ("r\u00e9ef", "\U0001f420", "\U0001f420 ")
    assert "r\u00e9" in one.body
    assert "fish" not in one.body
    assert (one.body.find("e"), one.body.find("e", 3), one.body.find("e", 3, 6)) == (2, 6, -1)
    assert "".join(one.body) == one.body == "the r\u00e9ef \U0001f420"
    assert one.body != two.body
    assert one.body != 5
    sync(one, two)
    assert one.body == two.body
    with pytest.raises(IndexError):
        _ = one.body[10]
    with pytest.raises(TypeError):
        hash(one.body)
    assert Text() != one.body
    assert one.body != Text()


@given(CHARACTERS, CHARACTERS, st.lists(STYLED, max_size=2))
@settings(max_examples=examples(100, 3000))
def test_text_assign_makes_it_that_text_in_one_commit_or_none(before: str, after: str, edits: list[Any]) -> None:
    note, _ = pair()
    note.body.append(f"<{before}>")
    for edit in edits:
        style(note, edit)
    old = note.body.value
    commits: list[object] = []
    changes: list[Change] = []
    note.document.on_commit(commits.append)
    note.on_change(changes.append)
    note.body.assign(f"<{after}>")
    assert note.body == f"<{after}>"
    assert len(commits) == len(changes) == (old != f"<{after}>")
    assert [apply_to(old, change.new) for change in changes] == [f"<{after}>"] * len(changes)


def test_text_assign_leaves_alone_what_stays() -> None:
    one, two = pair()
    one.body.append("the reef at night")
    sync(one, two)
    one.body.assign("the coral reef at night")
    two.body.assign("the reef at noon")
    sync(one, two)
    assert one.body == two.body == "the coral reef at noon"


ROW_EDITS: list[Callable[[Text], None]] = [
    lambda text: text.append("s"),
    lambda text: text.format(0, 4, {"bold": True}),
    lambda text: text.insert_embed(0, {"image": "x"}),
    lambda text: text.assign("reefs"),
    lambda text: text.apply_delta([{"retain": 4}, {"insert": "s"}]),
]


@pytest.mark.parametrize("edit", ROW_EDITS)
def test_text_edit_in_a_row_outlives_a_deletion_of_the_row_elsewhere(edit: Callable[[Text], None]) -> None:
    one, two = Board(StateDocument(agent="one")), Board(StateDocument(agent="two"))
    one.tasks["dive"] = Note(body="reef")
    two.document.apply(one.document.update_since())
    commits: list[object] = []
    two.document.on_commit(commits.append)
    edit(two.tasks["dive"].body)
    del one.tasks["dive"]
    assert len(commits) == 1
    two.document.apply(one.document.update_since())
    one.document.apply(two.document.update_since())
    assert one.tasks["dive"].body == two.tasks["dive"].body
    assert list(one.tasks) == list(two.tasks) == ["dive"]


def test_text_edit_in_a_row_that_changes_nothing_leaves_a_deleted_row_deleted() -> None:
    board = Board(StateDocument(agent="one"))
    board.tasks["dive"] = Note(body="reef")
    body = board.tasks["dive"].body
    version = body.version
    del board.tasks["dive"]
    edits: list[Callable[[], None]] = [
        lambda: body.insert(1, "x"),
        lambda: body.apply_delta([{"retain": 5}], version),
    ]
    with board.transaction():
        for edit in edits:
            with pytest.raises(InvalidValueError):
                edit()
        body.apply_delta([{"delete": 4}], version)
        body.assign("")
    assert list(board.tasks) == []


def test_text_assign_of_what_is_no_text_raises_and_writes_nothing() -> None:
    note, _ = pair()
    note.body.append("reef")
    before = note.document.state_vector()
    values: list[Any] = [None, 5, b"reef", ["r"], "re\ud800ef"]
    for value in values:
        with pytest.raises(InvalidValueError):
            note.body.assign(value)
    assert (note.document.state_vector(), note.body.value) == (before, "reef")


def test_text_edits_where_an_editor_left_a_change_unread() -> None:
    """A gap makes the mirror lag behind an editor that is bound to the Yjs text, until the next edit."""
    one, two = pair()
    one.body.append("reef")
    sync(one, two)
    one.body.append(" one")
    early = one.document.state_vector()
    one.body.append(" two")
    two.document.apply(one.document.update_since(early))
    edit_as_editor(two, "reef", 0, 2, "")
    with pytest.raises(InvalidValueError):
        two.body.delete(2, 2)
    two.body.insert(1, "!")
    sync(one, two)
    assert one.body == two.body == "e!f one two"
    check_text(two.document, "body")


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
    ids=["object", "number", "set", "bytes", "nan", "surrogate", "surrogate key"],
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
    assert apply_to(old, delta) == new
    assert bool(delta) == (old != new)
