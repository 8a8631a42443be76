"""Blame: who wrote what is there, in which version and when."""

from datetime import UTC, datetime
from typing import Any, cast

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import StateDocument
from comity.crdt_types.document.entry import HEADER, LISTED, PLACE, Entry
from comity.crdt_types.history import origins
from comity.crdt_types.history.blame import Blame, CellCredit, Credit, TextCredit
from comity.crdt_types.history.timeline import Timeline
from tests.support.history import AGENTS, START_MS, Chronicle, Turn, chronicle_of, turns
from tests.support.machines import PATIENT
from tests.support.profiles import examples
from tests.support.world import World


def live(state: bytes) -> dict[tuple[int, bytes], Entry]:
    """Return every live entry of a document by what tells it from others."""
    index = StateDocument(update=state).index
    cells = [entry for found in index.fields.values() for entries in found.values() for entry in entries]
    logged = [entry for items in index.logs.values() for entry in items.entries]
    return {(each.client, each.raw): each for each in cells + logged if each.kind not in (HEADER, PLACE)}


def written(chronicle: Chronicle, first: int) -> list[tuple[str, str | None, int | None]]:
    """Return of every live entry its field, its author and since which version it has been there, sorted."""
    history = [live(state) for state in chronicle.states]
    headers = StateDocument(update=chronicle.states[-1]).index
    found = []
    for tag, entry in history[-1].items():
        version = len(history) - 1
        while version > first and tag in history[version - 1]:
            version -= 1
        found.append((entry.field, headers.author(entry.client), None if version == first else version))
    return sorted(found, key=repr)


@settings(max_examples=examples(80, 3000), suppress_health_check=PATIENT)
@given(turns(), st.integers(1, 4), st.data())
async def test_blame_knows_who_wrote_each_value_that_is_there_and_since_when(
    script: list[Turn], page: int, data: st.DataObject
) -> None:
    chronicle = chronicle_of(script, page)
    first = data.draw(st.integers(0, len(chronicle.states) - 1))
    chronicle.retire(first)
    blame = await Timeline(chronicle).blame()
    assert blame.since == first
    told = [(cell.field, cell.credit.author, cell.credit.version) for cell in blame.cells]
    assert sorted(told, key=repr) == written(chronicle, first)
    times = {record.version: record.time for record in chronicle.log}
    assert all(cell.credit.at == times.get(cell.credit.version or 0) for cell in blame.cells)


PLACES = st.lists(
    st.tuples(st.sampled_from(AGENTS), st.integers(0, 30), st.integers(0, 6), st.integers(0, 8), st.booleans())
)


@settings(max_examples=examples(100, 3000), suppress_health_check=PATIENT)
@given(PLACES, st.data())
async def test_blame_knows_who_wrote_each_character(
    script: list[tuple[str, int, int, int, bool]], data: st.DataObject
) -> None:
    chronicle = Chronicle()
    documents = {name: StateDocument(agent=name) for name in AGENTS}
    author_of: dict[str, str] = {}
    for agent, at, gone, come, syncs in script:
        document = documents[agent]
        text: pycrdt.Text = document.ydoc.get("notes", type=pycrdt.Text)
        content = str(text)
        # Every second character counts two in UTF-16.
        letters = [chr((0x4E00, 0x20000)[number % 2] + len(author_of) + number) for number in range(come)]
        author_of.update(dict.fromkeys(letters, agent))
        start = at % (len(content) + 1)
        with document.ydoc.transaction():
            edited = content[:start] + "".join(letters) + content[start + gone :]
            del text[len(content[:start].encode()) : len(content[: start + gone].encode())]
            text.insert(len(content[:start].encode()), "".join(letters))
        assert str(text) == edited
        if syncs:
            chronicle.receive(document.update_since(chronicle.document.state_vector()), agent)
            document.apply(chronicle.document.update_since(document.state_vector()))
    texts = [StateDocument(update=state).text("notes").value for state in chronicle.states]
    first = data.draw(st.integers(0, len(texts) - 1))
    chronicle.retire(first)
    blame = await Timeline(chronicle).blame()
    at = 0
    for start, length, credit in blame.texts.get("notes", ()):
        assert start == at
        for character in texts[-1][start : start + length]:
            version = next(number for number, text in enumerate(texts) if character in text)
            assert credit.version == (version if version > first else None)
            assert credit.author == (author_of[character] if version > first else None)
        at += length
    assert at == len(texts[-1])


async def test_blame_names_each_kind_of_value_with_its_key() -> None:
    chronicle = Chronicle()
    ana, bo = (World(StateDocument(agent=name)) for name in ("ana", "bo"))
    ana.goal.set("win")
    ana.steps["a"] = [1]
    ana.tags.add("new")
    ana.items.extend(["x", "y"])
    ana.items.move(1, 0)
    ana.spent.add(3)
    ana.log.append("began")
    cast("Any", ana.tasks)["t"] = {"notes": "hello"}
    chronicle.receive(ana.document.update_since(), "ana")
    bo.document.apply(ana.document.update_since())
    before = bo.document.state_vector()
    bo.spent.add(-1)
    bo.tasks["t"].notes.insert(2, "y \U0001f600")
    bo.goal.set("lose")
    chronicle.receive(bo.document.update_since(before), "bo")
    blame = await Timeline(chronicle).blame()
    by_ana, by_bo = (
        Credit(name, version, datetime.fromtimestamp(START_MS / 1000 + version, UTC))
        for version, name in ((1, "ana"), (2, "bo"))
    )
    (first, second) = (key for _position, key in chronicle.document.index.cells(LISTED, "items").order.entries)  # type: ignore[union-attr]
    assert blame == Blame(
        0,
        (
            CellCredit("register", "goal", None, "lose", by_bo),
            CellCredit("list", "items", first, "y", by_ana),
            CellCredit("list", "items", second, "x", by_ana),
            CellCredit("log", "log", None, "began", by_ana),
            CellCredit("counter", "spent", None, 3, by_ana),
            CellCredit("counter", "spent", None, -1, by_bo),
            CellCredit("map", "steps", "a", [1], by_ana),
            CellCredit("set", "tags", "new", True, by_ana),
            CellCredit("set", "tasks", "t", True, by_bo),
        ),
        {"tasks/t/notes": (TextCredit(0, 2, by_ana), TextCredit(2, 3, by_bo), TextCredit(5, 3, by_ana))},
    )


async def test_blame_of_a_version_knows_nothing_of_what_came_later() -> None:
    chronicle = Chronicle()
    document = StateDocument(agent="ana")
    for number in range(3):
        before = document.state_vector()
        document.set_register("goal", number)
        chronicle.receive(document.update_since(before), "ana")
    (cell,) = (await Timeline(chronicle).blame(2)).cells
    assert (cell.value, cell.credit.version) == (1, 2)


async def test_blame_tells_more_origins_apart_than_there_are_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "_MARKS", 3)
    chronicle = Chronicle()
    document = StateDocument(agent="ana")
    text: pycrdt.Text = document.ydoc.get("notes", type=pycrdt.Text)
    for number in range(30):
        before = document.state_vector()
        text.insert(number // 2, "x")
        chronicle.receive(document.update_since(before), "ana")
    runs = (await Timeline(chronicle).blame()).texts["notes"]
    assert [run.credit.version for run in runs] == [*range(2, 31, 2), *range(29, 0, -2)]
