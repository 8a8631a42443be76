"""What rooms leave behind: one record for each author, snapshots, and as much history as their tier keeps."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pycrdt
import pytest

from comity.crdt_types.errors import StorageError
from comity.crdt_types.update import read_state_vector
from comity.persistence.memory import MemoryStore
from comity.server.rooms.folding import folded
from comity.server.rooms.upkeep import FOLD_INLINE
from tests.support.gated import GatedStore
from tests.support.raw import raw_client
from tests.support.server import in_process_server
from tests.support.waiting import eventually


async def test_log_holds_one_record_for_each_author_of_a_turn(tmp_path: Path) -> None:
    store = GatedStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x", agent="ana") as ana,
        raw_client(server.url, "x", agent="ben") as ben,
    ):
        await ana.sync()
        await ben.sync()
        await ana.edit("first")
        await ana.durable()
        async with store.held():
            await ana.edit("-")  # under way until the gate opens
            await eventually(lambda: server.hub.rooms[0].seq == 2)
            for n in range(5):
                await ana.edit(f"a{n}")
                await ben.edit(f"b{n}")
            await eventually(lambda: server.hub.rooms[0].arriving > 0)
        await asyncio.gather(ana.durable(), ben.durable())
        records = await store.records("x")
        assert {record.author for record in records} == {"ana", "ben"}
        assert len(records) <= 2 + 2 * 5
        whole: pycrdt.Doc[Any] = pycrdt.Doc()
        alone: dict[str, set[int]] = {"ana": set(), "ben": set()}
        for record in records:
            whole.apply_update(record.update)
            alone[record.author] |= set(read_state_vector(pycrdt.get_state(record.update)))
        assert alone == {"ana": {ana.doc.client_id}, "ben": {ben.doc.client_id}}
        await ana.until(lambda: ana.doc.get_state() == whole.get_state())
        assert str(whole.get("t", type=pycrdt.Text)) == ana.value()


async def test_a_large_room_is_folded_while_others_are_served(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as client:
        await client.sync()
        for part in ("a", "b", "c"):
            await client.edit(part * FOLD_INLINE)
            await client.durable()
        contents = server.hub.rooms[0].contents
        await eventually(lambda: contents.snapshot_bytes > FOLD_INLINE)
        loaded = await store.load("x")
        assert loaded is not None
        assert loaded.snapshot is not None
        document: pycrdt.Doc[Any] = pycrdt.Doc()
        for update in (loaded.snapshot, *loaded.tail):
            document.apply_update(update)
        assert str(document.get("t", type=pycrdt.Text)) == client.value()
        assert contents.tail_bytes == loaded.tail_bytes


async def test_folding_returns_the_state_of_all_parts() -> None:
    document: pycrdt.Doc[Any] = pycrdt.Doc()
    text: pycrdt.Text = document.get("t", type=pycrdt.Text)
    parts = []
    for n in range(50):
        before = document.get_state()
        text.insert(0, str(n) * 10_000)
        del text[0:n]
        parts.append(document.get_update(before))
    assert await folded("x", parts) == document.get_update()


async def test_folding_of_what_is_no_document_is_refused() -> None:
    with pytest.raises(StorageError, match="room 'x'"):
        await folded("x", [b"nonsense", b"x" * 10_000_000])


@pytest.mark.parametrize(
    ("room", "kept"), [("shared/x", True), ("session/x", False), ("persistent/x", True), ("local/x", True), ("x", True)]
)
async def test_history_is_kept_as_long_as_the_tier_wants(tmp_path: Path, room: str, kept: bool) -> None:
    store = MemoryStore()
    async with (
        in_process_server(tmp_path, store, session_history_days=1e-9) as server,
        raw_client(server.url, room) as client,
    ):
        await client.sync()
        contents = server.hub.rooms[0].contents
        for size in (1, 2, 4, 8):
            await client.edit("y" * size * 64 * 1024)
            await client.durable()
            await eventually(lambda: contents.tail_bytes == 0)
        assert (len(await store.records(room)) == 4) is kept


async def test_folding_without_a_process_for_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(StorageError, match="No such file"):
        await folded("x", [])
