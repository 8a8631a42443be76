"""Roots: which of a document's roots are texts, and which others an update edits."""

from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from comity.crdt_types import StateDocument
from comity.crdt_types.document.roots import Roots, Touched, text_names
from comity.crdt_types.update import EMPTY_UPDATE


def after(doc: Doc[Any], change: Callable[[], object]) -> bytes:
    """Make a change, and return its update."""
    seen = doc.get_state()
    change()
    return doc.get_update(seen)


def test_text_names_are_those_of_roots_that_hold_text() -> None:
    document = StateDocument()
    document.set_register("goal", "x")
    doc = document.ydoc
    doc.get("notes", type=Text).insert(0, "abc")
    doc.get("embedded", type=Text).insert_embed(0, {"image": "reef.png"})
    doc.get("empty", type=Text)
    doc.get("map", type=Map)["text"] = Text("abc")
    doc.get("array", type=Array).append(Text("abc"))
    doc.get("xml", type=XmlFragment).children.append(XmlElement("p", {}, [XmlText("abc")]))
    assert text_names(StateDocument(update=document.update_since())) == ["embedded", "notes"]


def test_text_names_leave_the_types_of_roots_open() -> None:
    doc: Doc[Any] = Doc()
    doc.get("map", type=Map)["a"] = 1
    document = StateDocument(update=doc.get_update())
    assert text_names(document) == []
    events: list[Any] = []
    shared: Map[Any] = document.ydoc.get("map", type=Map)
    subscription = shared.observe(events.append)
    shared["b"] = 2
    assert len(events) == 1
    shared.unobserve(subscription)


def test_roots_tell_what_each_update_touches() -> None:
    doc: Doc[Any] = Doc()
    text, shared, array = doc.get("t", type=Text), doc.get("m", type=Map), doc.get("a", type=Array)
    xml = doc.get("x", type=XmlFragment)
    roots = Roots(EMPTY_UPDATE)
    told = [
        roots.follow(after(doc, change))
        for change in (
            lambda: text.insert(0, "abc"),
            lambda: text.insert(0, "abc"),
            lambda: shared.update({"a": Map({"b": 1})}),
            lambda: shared["a"].update({"b": 2}),
            lambda: array.append("x"),
            lambda: array.clear(),
            lambda: xml.children.append(XmlElement("p")),
            lambda: text.clear(),
        )
    ]
    assert told == [
        Touched(["t"], []),
        Touched([], []),
        Touched([], ["m"]),
        Touched([], ["m"]),
        Touched([], ["a"]),
        Touched([], ["a"]),
        Touched([], ["x"]),
        Touched([], []),
    ]
    assert list(roots.texts) == ["t"]


def test_roots_find_a_text_that_was_emptied_when_it_holds_something_again() -> None:
    doc: Doc[Any] = Doc()
    text = doc.get("t", type=Text)
    text.insert(0, "abc")
    text.clear()
    roots = Roots(doc.get_update())
    assert list(roots.texts) == []
    assert roots.follow(after(doc, lambda: text.insert(0, "x"))) == Touched(["t"], [])


def test_roots_refuse_what_is_no_update() -> None:
    with pytest.raises(ValueError, match=r".+"):
        Roots(b"\xff")
