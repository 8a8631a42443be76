"""Erased rooms: no replica keeps anything of them, neither those that are there nor those that come back."""

import asyncio
import json
import shutil
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

import comity
from comity import ORSet, Register, State, Text
from comity.clients.journal import Journal
from comity.clients.localfile import ASIDE_SUFFIX, LocalFile, Origin
from comity.clients.outstanding import Outstanding
from comity.crdt_types import StateDocument
from comity.crdt_types.document.edits import Edit
from comity.crdt_types.errors import ErasedError, ForbiddenError, StorageError
from tests.support.optional import ROOT
from tests.support.server import ServerHere, in_process_server, running_server
from tests.support.waiting import eventually, until

ROOM = "shared/plan"
SECRET = "a secret that nobody may ever read again"
NOBODY = "ws://127.0.0.1:9"  # the port of "discard", which nothing listens on


class Plan(State):
    goal: Register[str]
    tags: ORSet[str]
    notes: Text


EMPTY: dict[str, Any] = {"goal": None, "tags": [], "notes": ""}


@asynccontextmanager
async def opened(url: str, agent: str = "", directory: Path | None = None) -> AsyncGenerator[Plan]:
    async with comity.connect(url, agent=agent, directory=directory).open(ROOM, Plan) as plan:
        yield plan


def holding(directory: Path, needle: str = SECRET) -> list[str]:
    """Return the files of a directory that hold a text."""
    return [file.name for file in directory.iterdir() if needle.encode() in file.read_bytes()]


def asides(directory: Path) -> list[str]:
    """Return the rooms whose replicas kept something aside in a directory."""
    return sorted(each.stem.rpartition("-")[0] for each in directory.glob("*.aside"))


def write(plan: Plan, secret: str = SECRET) -> None:
    plan.goal.set(f"{secret}, once")
    plan.goal.set(f"{secret}, twice")
    plan.tags.add(secret)
    plan.notes.append(f"{secret}. " * 200)


async def erase(server: ServerHere) -> None:
    assert await server.hub.history.erasure.erase(ROOM)


async def begin_anew(url: str) -> None:
    async with opened(url, "new") as plan:
        plan.goal.set("anew")
        await plan.durable()


async def keep_aside(directory: Path) -> None:
    """Leave what a replica of another history of the room left."""
    async with LocalFile(directory, ROOM) as file:
        await file.keep_aside(SECRET.encode(), [(1, Edit("set", "goal", None, SECRET))])


async def test_an_erased_room_is_gone_from_the_replicas_that_are_there(tmp_path: Path) -> None:
    await keep_aside(tmp_path / "ana")
    async with (
        in_process_server(tmp_path / "data") as server,
        opened(server.url, "ana", tmp_path / "ana") as ana,
        opened(server.url, "ben") as ben,
    ):
        write(ana)
        await ana.durable()
        await until(ben, lambda: ben.to_dict() == ana.to_dict())
        assert len(holding(tmp_path / "ana")) > 1
        await erase(server)
        for plan in (ana, ben):
            await eventually(lambda plan=plan: plan.replica.error)  # type: ignore[misc]
            assert isinstance(plan.replica.error, ErasedError)
            assert plan.to_dict() == EMPTY
            assert (plan.replica.unmerged, plan.replica.pending) == ([], 0)
            with pytest.raises(ErasedError):
                await plan.synced()
        await ana.replica.saved()
        assert holding(tmp_path / "ana") == []
    assert holding(tmp_path / "ana") == []


async def test_an_erased_room_opened_anew_begins_afresh(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "data") as server:
        async with opened(server.url, "ana", tmp_path / "ana") as ana:
            write(ana)
            await ana.durable()
            await erase(server)
            await eventually(lambda: ana.replica.error)
        async with opened(server.url, "ana", tmp_path / "ana") as ana, opened(server.url, "ben") as ben:
            await ana.synced()
            assert ana.to_dict() == EMPTY
            ana.goal.set("another")
            await ana.durable()
            await until(ben, lambda: ben.goal.value == "another")
            assert (ana.replica.status, ana.replica.error, ben.replica.error) == ("live", None, None)
        assert asides(tmp_path / "ana") == []


async def test_a_replica_that_was_away_while_its_room_was_erased_keeps_nothing_and_goes_on(tmp_path: Path) -> None:
    await keep_aside(tmp_path / "ana")
    async with (
        in_process_server(tmp_path / "data") as server,
        opened(server.url, "ana", tmp_path / "ana") as ana,
    ):
        write(ana)
        await ana.durable()
        with ana.replica.offline():
            write(ana, f"offline {SECRET}")
            await ana.replica.saved()
            await erase(server)
            await begin_anew(server.url)
        await until(ana, lambda: ana.goal.value == "anew")
        with pytest.raises(ErasedError):
            await ana.durable()
        await ana.durable()
        await ana.synced()
        assert (ana.replica.unmerged, ana.replica.error, ana.replica.status) == ([], None, "live")
        assert ana.to_dict() == EMPTY | {"goal": "anew"}
        assert holding(tmp_path / "ana") == []
        ana.tags.add("later")
        await ana.durable()
        async with opened(server.url) as reader:
            await until(reader, lambda: reader.to_dict() == ana.to_dict())
    assert holding(tmp_path / "ana") == []
    assert asides(tmp_path / "ana") == []


async def test_an_agent_that_starts_again_after_its_room_was_erased_keeps_nothing(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "data") as server:
        async with opened(server.url, "ana", tmp_path / "ana") as ana:
            write(ana)
            await ana.durable()
        await erase(server)
        async with opened(NOBODY, "ana", tmp_path / "ana") as ana:
            ana.tags.add(f"offline {SECRET}")
        await begin_anew(server.url)
        async with opened(server.url, "ana", tmp_path / "ana") as ana:
            await ana.synced()
            assert ana.to_dict() == EMPTY | {"goal": "anew"}
            assert holding(tmp_path / "ana") == []
            with pytest.raises(ErasedError):
                await ana.durable()
        async with opened(NOBODY, "ana", tmp_path / "ana") as ana:
            assert ana.to_dict() == EMPTY | {"goal": "anew"}
            assert ana.replica.pending == 0


async def test_whoever_waits_for_an_edit_of_an_erased_room_is_told(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "data") as server, opened(server.url, "ana") as ana:
        write(ana)
        await ana.durable()
        with ana.replica.offline():
            await erase(server)
            ana.tags.add(SECRET)
        with pytest.raises(ErasedError):
            await ana.durable()
        await ana.synced()
        assert ana.to_dict() == EMPTY


async def test_edits_that_were_refused_or_wait_are_forgotten_with_an_erased_room() -> None:
    outstanding, document = Outstanding(), StateDocument(agent="ana")
    document.on_commit(lambda commit: outstanding.take_in(commit, unsent=True, replayable=True))
    document.set_register("goal", SECRET)
    document.add_element("tags", SECRET)
    outstanding.refuse(0, 1, ForbiddenError("read only"))
    assert (len(outstanding.unmerged), len(outstanding.edits())) == (1, 1)
    outstanding.erase(ErasedError("it was erased"))
    assert (outstanding.unmerged, outstanding.edits(), outstanding.pending) == ([], [], 0)
    with pytest.raises(ErasedError):
        await outstanding.durable()
    await outstanding.durable()


async def test_a_transaction_that_lasts_while_a_room_is_erased_holds_on_to_the_document(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "data") as server, opened(server.url, "ana", tmp_path / "ana") as ana:
        write(ana)
        await ana.durable()
        with ana.transaction():
            ana.tags.add("one more")
            await erase(server)
            await eventually(lambda: ana.replica.status == "offline")
            assert ana.goal.value == f"{SECRET}, twice"
        await eventually(lambda: ana.to_dict() == EMPTY)
        await ana.replica.saved()
        assert holding(tmp_path / "ana") == []


async def test_a_file_whose_erasure_was_interrupted_is_clean_when_it_is_read_again(tmp_path: Path) -> None:
    directory, crashed = tmp_path / "replica", tmp_path / "crashed"
    async with LocalFile(directory, ROOM) as file:
        await file.append([SECRET.encode() * 1000], [(1, Edit("set", "goal", None, SECRET))], 1)
    async with LocalFile(directory, ROOM) as file:
        with closing(sqlite3.connect(file.path)) as reader:  # keeps the log from being emptied
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM meta").fetchall()
            with pytest.raises(StorageError, match="another program"):
                await file.erase(b"new", 1, Origin("lineage", 0))
            shutil.copytree(directory, crashed)
    (crashed / f"{file.path.stem}-1{ASIDE_SUFFIX}").write_text(SECRET)
    assert len(holding(crashed)) == 2
    async with LocalFile(crashed, ROOM) as file:
        kept = await file.restore()
        assert holding(crashed) == []
    assert (kept.updates, kept.edits, kept.number, kept.acknowledged) == ([b"new"], [], 1, 1)
    assert (kept.lineage, kept.redactions) == ("lineage", 0)


async def test_a_journal_is_saved_once_its_erasure_is_done(tmp_path: Path) -> None:
    async with LocalFile(tmp_path, ROOM) as file:
        journal = Journal(file, lambda: b"new", list, 0)
        erasing = asyncio.create_task(journal.erase(1, None))
        await asyncio.sleep(0)
        await journal.flush()
        assert erasing.done()


async def test_an_erasure_leaves_nothing_of_what_was_deleted_before(tmp_path: Path) -> None:
    async with LocalFile(tmp_path, ROOM) as file:
        await file.append([b"u"], [], 1)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = OFF")  # the default of some builds of SQLite
        db.execute("INSERT INTO updates (body) VALUES (?)", (SECRET.encode() * 1000,))
        db.execute("DELETE FROM updates WHERE seq > 1")
    assert holding(tmp_path) == [file.path.name]
    async with LocalFile(tmp_path, ROOM) as file:
        await file.redact(b"u", [], 1, 1)
        assert holding(tmp_path) == []


async def test_an_erasure_spares_what_replicas_of_rooms_of_like_names_kept_aside(tmp_path: Path) -> None:
    for room in ("a", "a-1", "a.1"):
        async with LocalFile(tmp_path, room) as file:
            await file.keep_aside(room.encode(), [])
    async with LocalFile(tmp_path, "a") as file:
        await file.erase(b"", 0, None)
    assert asides(tmp_path) == ["a-1", "a.1"]


async def test_a_history_forgets_an_agent_and_reports_what_there_was(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "data") as server:
        async with opened(server.url, "ana") as ana, opened(server.url, "ben") as ben:
            write(ana)
            ben.tags.add("ben")
            await ana.durable()
            await ben.durable()
        async with comity.connect(server.url, agent="operator").history(ROOM) as history:
            assert await history.forget("nobody who was here") == []
            assert len([version async for version in history.versions()]) == 2
            (report,) = await history.forget("ana")
        assert (report.room, report.versions, report.checkpoints, report.backups) == (ROOM, 1, 0, False)
        assert report.items >= 200 * len(SECRET)
        async with opened(server.url) as reader:
            await reader.synced()
            assert reader.to_dict() == EMPTY | {"tags": ["ben"]}
    assert holding(tmp_path / "data") == []


async def test_the_command_to_forget_somebody_asks_and_then_tells_what_there_was(tmp_path: Path) -> None:
    async with running_server(tmp_path / "data") as server:
        async with opened(server.url, "ana") as ana:
            write(ana)
            await ana.durable()
        command = (sys.executable, "-m", "comity", "forget", "ana", ROOM, "--url", server.url)
        refused = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        assert await refused.wait() == 1
        asked = await asyncio.create_subprocess_exec(*command, "--yes", "--json", cwd=ROOT, stdout=PIPE)
        output, _ = await asked.communicate()
        (row,) = json.loads(output)
        assert (row["room"], row["versions"]) == (ROOM, 1)
    assert holding(tmp_path / "data") == []
