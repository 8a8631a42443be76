"""Verify: everything is read, and each room is called what it is."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from comity.__main__ import app
from comity.persistence.errors import NewerDatabaseError, StoreUnwritableError
from comity.persistence.pages import pages_of
from comity.persistence.records import Checkpoint, Tombstone
from comity.persistence.salvage import salvage
from comity.persistence.sqlite import SqliteStore
from comity.persistence.verdicts import Report, RoomReport
from comity.persistence.verify import verify
from comity.server.app import DATABASE
from tests.support import flips
from tests.support.damage import alter, spoil
from tests.support.profiles import examples
from tests.support.stores import appends, fill

UPDATES = tuple(b"update %d " % n * n for n in range(1, 9))


async def _written(folder: Path, *, snapshots: tuple[int, ...] = ()) -> Path:
    """Return a closed database whose rooms "other" and "room" have ``UPDATES``, and "room" snapshots."""
    path = folder / DATABASE
    async with SqliteStore(path, durability="os") as store:
        await fill(store, "room", *UPDATES)
        await fill(store, "other", *UPDATES)
        for seq in snapshots:
            await store.snapshot("room", seq, b"".join(UPDATES[:seq]), 1)
            await store.add_checkpoint("room", Checkpoint(f"at {seq}", seq, "manual", "planner", 1, ""))
        await store.note("room", "key", b"value")
        await store.bury(Tombstone("gone", "lineage", 1, b"vector"))
    return path


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def _room(report: Report, name: str = "room") -> RoomReport:
    (found,) = [room for room in report.rooms if room.room == name]
    return found


async def test_verify_calls_a_database_sound_that_nothing_happened_to(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    await flips.write(path)
    before = _files(tmp_path)
    report = verify(path)
    assert report.is_sound
    assert [room.verdict for room in report.rooms] == ["sound"] * len(report.rooms)
    assert _files(tmp_path) == before


@pytest.mark.parametrize("change", ["author = 'eve'", "at = 9", "checksum = x''", "\"update\" = x'00'", "seq = 99"])
async def test_verify_tells_from_where_a_room_is_lost(tmp_path: Path, change: str) -> None:
    path = await _written(tmp_path)
    alter(path, f"UPDATE updates SET {change} WHERE seq = 3 AND room = 1")
    report = verify(path)
    room = _room(report)
    assert (room.verdict, room.end, room.kept.end, room.after) == ("lost", 8, 2, 5)
    assert any(damage.kind == "record" for damage in room.damage)
    assert _room(report, "other").verdict == "sound"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("UPDATE snapshots SET state = x'00' WHERE seq = 4", "snapshot"),
        ("UPDATE snapshots SET state = x'00' WHERE seq = 6", "snapshot"),
        ("UPDATE updates SET at = 9 WHERE seq = 2 AND room = 1", "record"),
        ("DELETE FROM updates WHERE seq = 6 AND room = 1", "record"),
        ("UPDATE heads SET seq = 7 WHERE room = 1", "head"),
        ("DELETE FROM heads WHERE room = 1", "head"),
        ("UPDATE checkpoints SET note = 'x' WHERE seq = 4", "checkpoint"),
        ("UPDATE attributes SET value = x'00'", "attribute"),
        ("UPDATE rooms SET lineage = 'x' WHERE id = 1", "room"),
    ],
)
async def test_verify_calls_a_room_recoverable_whose_newest_state_can_be_had(
    tmp_path: Path, change: str, kind: str
) -> None:
    path = await _written(tmp_path, snapshots=(4, 6))
    alter(path, change)
    report = verify(path)
    room = _room(report)
    assert (room.verdict, room.end, room.kept.end, room.after) == ("recoverable", 8, 8, 0)
    assert {damage.kind for damage in room.damage} == {kind}
    assert not report.is_sound
    assert _room(report, "other").verdict == "sound"


async def test_verify_misses_the_last_records_of_a_log(tmp_path: Path) -> None:
    path = await _written(tmp_path)
    alter(path, "DELETE FROM updates WHERE seq = 8 AND room = 1")
    room = _room(verify(path))
    assert (room.verdict, room.end, room.kept.end) == ("lost", 8, 7)
    assert [str(damage) for damage in room.damage] == ["record 8: missing"]


async def test_verify_finds_what_belongs_to_no_room_and_damaged_tombstones(tmp_path: Path) -> None:
    path = await _written(tmp_path)
    alter(path, "UPDATE updates SET room = 77 WHERE seq = 8 AND room = 1")
    alter(path, "UPDATE tombstones SET at = 5")
    report = verify(path)
    assert (report.strays, report.tombstones) == (1, 1)
    assert not report.is_sound


async def test_verify_reads_beside_a_server_what_it_committed(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    async with SqliteStore(path) as store:
        await fill(store, "room", *UPDATES)
        report = await asyncio.to_thread(verify, path)
        assert _room(report).end == 8
        await store.append(appends("room", 9, b"nine"))
        report = await asyncio.to_thread(verify, path)
        assert report.is_sound
        assert _room(report).end == 9


async def test_verify_reports_the_rooms_of_a_file_that_sqlite_cannot_read(tmp_path: Path) -> None:
    path = await _written(tmp_path)
    data = bytearray(path.read_bytes())
    data[:100] = bytes(100)
    path.write_bytes(data)
    report = verify(path)
    assert report.structure
    assert [(room.room, room.verdict) for room in report.rooms] == [("other", "sound"), ("room", "sound")]


async def test_verify_loses_no_other_room_to_a_page_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    async with SqliteStore(path, durability="os") as store:
        for n in range(20):
            await fill(store, f"room {n}", *(b"%d" % n * 300 for _ in range(9)))
    with pages_of(path) as pages:
        rows = {n: [row for row in pages.rows(n) if row.kinds == "niiibtb"] for n in range(1, pages.count + 1)}
    page = next(n for n, found in rows.items() if found)
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(data)
    hit = {row.values[1] for row in rows[page]}
    verdicts = {room.id: room.verdict for room in verify(path).rooms}
    assert {room for room, verdict in verdicts.items() if verdict == "lost"} == hit
    assert len(verdicts) == 20


@pytest.mark.parametrize("content", [b"", b"no database", b"x" * 10_000])
def test_verify_refuses_what_is_no_database_of_ours(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / DATABASE
    path.write_bytes(content)
    with pytest.raises(StoreUnwritableError, match="not a database of Comity"):
        verify(path)


async def test_verify_refuses_a_newer_format_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritableError, match="No such file"):
        verify(tmp_path / DATABASE)
    path = await _written(tmp_path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(NewerDatabaseError):
        verify(path)


@settings(max_examples=examples(20, 300), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    sizes=st.lists(st.one_of(st.integers(0, 200), st.integers(3_900, 4_200), st.integers(0, 30_000)), max_size=12),
    author=st.text(max_size=5),
    is_closed=st.booleans(),
)
async def test_salvage_finds_every_row_of_a_sound_database(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], author: str, *, is_closed: bool
) -> None:
    folder = tmp_path_factory.mktemp("salvage")
    path, anew = folder / DATABASE, folder / "anew"
    updates = [b"x" * size for size in sizes]
    async with SqliteStore(path, durability="os") as store:
        await fill(store, "ü/房", *updates)
        await store.append(appends("ü/房", len(updates) + 1, b"end", author=author))
        await store.snapshot("ü/房", len(updates), b"".join(updates), 2)
        if not is_closed:
            salvage(path, anew, lambda _done, _of: None)
    if is_closed:
        salvage(path, anew, lambda _done, _of: None)
    assert verify(anew).is_sound
    async with SqliteStore(path) as before, SqliteStore(anew) as after:
        assert await before.load("ü/房") == await after.load("ü/房")
        assert await before.records("ü/房") == await after.records("ü/房")
        assert await before.rooms() == await after.rooms()


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


async def test_verify_command_exits_by_what_it_found(tmp_path: Path) -> None:
    path = await _written(tmp_path)
    code, output = await asyncio.to_thread(_run, "verify", str(tmp_path))
    assert (code, output.splitlines()[-1]) == (0, "2 sound, 0 recoverable, 0 lost")
    spoil(path, "room", 3)
    code, output = await asyncio.to_thread(_run, "verify", str(tmp_path))
    assert code == 1
    assert "whole up to record 2 of 8; 5 sound records after that" in output
    code, output = await asyncio.to_thread(_run, "verify", str(tmp_path / "nowhere"))
    assert code == 2
    assert "No such file or directory; look at its name" in output


async def test_verify_command_prints_json_for_programs(tmp_path: Path) -> None:
    path = await _written(tmp_path)
    spoil(path, "room", 3)
    code, output = await asyncio.to_thread(_run, "verify", "--json", str(tmp_path))
    told = json.loads(output)
    assert (code, told["sound"], told["structure"]) == (1, False, [])
    rooms = {room["room"]: room for room in told["rooms"]}
    assert rooms["other"]["verdict"] == "sound"
    assert rooms["room"] == {
        "room": "room",
        "verdict": "lost",
        "records": 7,
        "end": 8,
        "kept": 2,
        "sound_after": 5,
        "damage": [{"kind": "record", "what": "it does not fit its checksum", "first": 3, "last": 3}],
    }
