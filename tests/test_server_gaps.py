"""Updates that come before others which they build on: whatever is acknowledged is in the log, whole."""

import random
from pathlib import Path
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import Counter, Log, Map, State, StateDocument, Text
from comity.persistence.memory import MemoryStore
from comity.server.rooms import member
from comity.server.rooms.document import Document
from comity.server.rooms.gaps import holds
from tests.support.profiles import examples
from tests.support.raw import RawClient, raw_client
from tests.support.server import in_process_server

ROOM = "shared/gaps"


class Board(State):
    cells: Map[int]
    total: Counter
    notes: Log[str]
    body: Text


def edit(board: Board, chance: random.Random, number: int) -> None:
    match chance.randrange(5):
        case 0:
            board.cells[f"k{chance.randrange(3)}"] = number
        case 1:
            board.total.add(number)
        case 2:
            board.notes.append(f"note {number}")
        case 3:
            board.body.insert(chance.randrange(len(board.body) + 1), f"<{number}>")
        case _:
            board.body.delete(0, min(len(board.body), 2))


def history(chance: random.Random, length: int) -> tuple[StateDocument, list[bytes]]:
    """Return a document that two agents wrote, and every update that it came from."""
    documents = [StateDocument(agent=name) for name in ("a", "b")]
    boards = [Board(document) for document in documents]
    updates: list[bytes] = []
    for document in documents:
        document.on_commit(lambda commit: updates.append(commit.update) if commit.local else None)
    for number in range(length):
        edit(chance.choice(boards), chance, number)
        if chance.random() < 0.4:
            documents[0].apply(documents[1].update_since(documents[0].state_vector()))
            documents[1].apply(documents[0].update_since(documents[1].state_vector()))
    documents[0].apply(documents[1].update_since())
    return documents[0], updates


async def stored(store: MemoryStore) -> StateDocument:
    """Return what a server that starts now would have."""
    loaded = await store.load(ROOM)
    assert loaded is not None
    document = StateDocument()
    for update in (*filter(None, [loaded.snapshot]), *loaded.tail):
        document.apply(update)
    return document


def content(document: StateDocument) -> dict[str, Any]:
    return Board(document).to_dict()


async def send_shuffled(client: RawClient, chance: random.Random, updates: list[bytes]) -> None:
    shuffled = [*updates, *chance.sample(updates, len(updates) // 4)]  # some twice
    chance.shuffle(shuffled)
    for update in shuffled:
        await client.update(update)


@pytest.mark.parametrize("seed", range(12))
async def test_gaps_are_closed_by_what_a_provider_answers(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    document, updates = history(chance, 40)
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, ROOM) as client:
        client.doc.apply_update(document.update_since())  # from which it answers
        await send_shuffled(client, chance, updates)
        await client.durable()
        assert content(await stored(store)) == content(document)
        async with raw_client(server.url, ROOM) as reader:
            await reader.sync()
            assert content(StateDocument(update=reader.doc.get_update())) == content(document)


@pytest.mark.parametrize("seed", range(12))
async def test_gaps_leave_nothing_acknowledged_out_of_the_log(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    _document, updates = history(chance, 30)
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, ROOM, answers=False) as client:
        await client.sync()
        some = chance.sample(updates, len(updates) * 3 // 4)  # the rest never comes
        for update in some:
            await client.update(update)
        await client.sync()  # behind all of them: what can be acknowledged is
        acknowledged = pycrdt.merge_updates(*some[: client.acknowledged]) if client.acknowledged else b"\0\0"
        if acknowledged != b"\0\0":
            kept = (await stored(store)).state_vector()
            assert pycrdt.get_update(acknowledged, kept)[0] == 0, "an acknowledged insert is not in the log"


async def test_gaps_keep_an_update_from_everyone_until_its_past_has_come(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, ROOM) as other:
        await other.sync()
        await other.edit("undisturbed ")
        await other.durable()
        async with raw_client(server.url, ROOM, answers=False) as client:
            await client.sync()
            await client.update(
                b"\x01\x01MF\x04\x01\x01t\x0bh\xc3\xa4llo \xf0\x9f\x98\x80\x00"
            )  # clock 70 of client 77
            await client.sync()
            assert client.acknowledged == 0
        await other.edit("still")
        await other.durable()
        async with raw_client(server.url, ROOM) as late:
            await late.sync()
            assert late.value() == other.value() == "undisturbed still"
        assert str((await stored(store)).text("t").value) == "undisturbed still"


async def test_gaps_that_are_too_large_to_hold_are_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "MAX_HELD_BYTES", 10)
    async with in_process_server(tmp_path) as server, raw_client(server.url, ROOM, answers=False) as client:
        client.change("kept from the server")
        await client.edit("what builds on it")
        assert await client.closed() == 4400
        assert client.acknowledged == 0


@settings(max_examples=examples(60, 2000))
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.integers(1, 4)), max_size=12), st.integers(0, 12))
def test_holds_is_whether_applying_would_change_nothing(steps: list[tuple[bool, int, int]], known: int) -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    text = doc.get("t", type=pycrdt.Text)
    updates = [doc.get_update()]
    for is_deletion, place, length in steps:
        start = place % (len(text) + 1)
        if is_deletion:
            del text[start : min(start + length, len(text))]
        else:
            text.insert(start, "x" * length)
        updates.append(doc.get_update())
    document = Document(updates[: known + 1])
    state = document.state_vector()
    for update in updates:
        would_change = Document([document.state()]).apply(update) is not None
        assert holds(update, state, document.diff(state)) is not would_change
