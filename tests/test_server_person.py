"""Forgotten people: nothing that they wrote is left anywhere, and everybody else's history is as it was."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

import comity
from comity import Log, ORSet, Register, State, Text
from comity.clients.localfile import LocalFile
from comity.crdt_types import StateDocument
from comity.crdt_types.errors import ANSWERS, OverloadError, StorageError
from comity.crdt_types.redaction import redacted
from comity.persistence.backup import back_up
from comity.persistence.errors import StoreError
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append, Base
from comity.persistence.restore import open_chain, restore
from comity.persistence.sqlite import SqliteStore
from comity.server.app import DATABASE
from comity.server.history.authors import ERASED
from comity.server.history.branches import Branches
from comity.server.history.marks import Marks
from comity.server.history.past import state_at
from comity.server.history.person import ERASURE, Redaction
from comity.server.rooms.archive import Archive
from comity.server.rooms.vetting import vet
from tests.support.profiles import examples
from tests.support.raw import CallError, raw_client
from tests.support.readings import Reading, reading
from tests.support.server import ServerHere, in_process_server
from tests.support.signed import DEEDS, WRITERS, Deed, Writers, document, told
from tests.support.signed import reading as signed
from tests.support.waiting import eventually, until

ROOM = "shared/plan"
ANA = "anastasia"
BRANCH = f"{ROOM}@draft"
SECRET = "a secret that nobody may ever read again"
AWAY = ANSWERS[OverloadError].close_code


class Plan(State):
    goal: Register[str]
    owner: Register[str]
    tags: ORSet[str]
    events: Log[str]
    notes: Text


@asynccontextmanager
async def opened(
    server: ServerHere, agent: str, directory: Path | None = None, room: str = ROOM
) -> AsyncGenerator[Plan]:
    async with comity.connect(server.url, agent=agent, directory=directory).open(room, Plan) as plan:
        await plan.synced()
        yield plan


def holding(folders: Iterable[Path], needle: str = SECRET) -> list[str]:
    """Return the files below some folders that hold a text."""
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return [file.name for file in files if needle.encode() in file.read_bytes()]


async def write(plan: Plan, *secrets: str) -> None:
    """Write as somebody does, a version for each."""
    for secret in secrets:
        plan.goal.set(secret)
        await plan.durable()
        plan.tags.add(secret)
        plan.events.append(secret)
        await plan.durable()
        plan.notes.insert(len(plan.notes.value) // 2, f"[{secret}]")
        await plan.durable()


async def write_together(server: ServerHere, *directories: Path, rounds: int = 4) -> None:
    """Let Ana and Ben write in turn, so that each of them builds on what the other wrote."""
    ana_directory, ben_directory = directories or (None, None)
    async with opened(server, ANA, ana_directory) as ana, opened(server, "ben", ben_directory) as ben:
        for n in range(rounds):
            await write(ben, f"ben {n}")
            await until(ana, lambda n=n: ana.goal.value == f"ben {n}" and f"[ben {n}]" in ana.notes.value)  # type: ignore[misc]
            await write(ana, f"{SECRET} {n}")
            await until(ben, lambda n=n: f"[{SECRET} {n}]" in ben.notes.value)  # type: ignore[misc]
            await keep_snapshot(server, ROOM)
        ben.owner.set("ben")
        await ben.durable()


async def keep_snapshot(server: ServerHere, room: str) -> None:
    seq = (await server.hub.history.head(room)).seq
    await server.hub.archive.snapshot(room, seq, await state_at(server.hub.archive, room, seq))


async def readings(server: ServerHere, room: str, clients: frozenset[int] = frozenset()) -> list[Reading]:
    """Return what can be read of every version of a room, without what some clients wrote."""
    seq = (await server.hub.history.head(room)).seq
    states = [await state_at(server.hub.archive, room, n) for n in range(seq + 1)]
    return [reading(redacted(state, clients)) for state in states]


async def clients_of(server: ServerHere, room: str, author: str) -> frozenset[int]:
    """Return the clients of whoever wrote some versions, each of which has that writer's alone."""
    records = await server.hub.history.records(room)
    return frozenset(section.client for each in records if each.author == author for section in vet(each.update))


async def authors(server: ServerHere, room: str) -> list[str]:
    return [version.author for version in await server.hub.history.versions(room)]


async def test_forget_leaves_no_byte_of_a_person_and_everybody_elses_history(tmp_path: Path) -> None:
    data, ana_directory, ben_directory = (tmp_path / name for name in ("data", "a", "b"))
    async with in_process_server(data) as server:
        await write_together(server, ana_directory, ben_directory)
        async with raw_client(server.url, ROOM, agent=ANA) as ana:
            await ana.call("checkpoint", name="mine", seq=5, kind="manual", note=SECRET)
            await ana.call("branch", name="draft", seq=None)
        async with raw_client(server.url, ROOM, agent="ben") as ben:
            await ben.call("checkpoint", name="his", seq=6, kind="milestone", note="why")
        async with opened(server, ANA, room=BRANCH) as ana_there:
            await write(ana_there, f"{SECRET} on the branch")
        clients = await clients_of(server, ROOM, ANA) | await clients_of(server, BRANCH, ANA)
        own = await clients_of(server, ROOM, "ben")
        clients -= own
        expected = {room: await readings(server, room, clients) for room in (ROOM, BRANCH)}
        before = await authors(server, ROOM)
        report = await server.hub.history.redaction.forget(ROOM, ANA)
        assert [each.room for each in report] == [ROOM, BRANCH]
        assert report[0].versions >= before.count(ANA)
        assert (report[0].checkpoints, report[0].backups) == (1, False)
        assert report[0].snapshots > 1
        assert report[0].items > 4 * len(SECRET)
        for room, readable in expected.items():
            now_readable = await readings(server, room)
            assert now_readable[: len(readable)] == readable
            assert now_readable[-1] == readable[-1]
        assert await authors(server, ROOM) == [*(ERASED if name == ANA else name for name in before), ERASURE]
        rows = await server.hub.history.checkpoints.all(ROOM)
        assert [(row.name, row.author, row.note) for row in rows] == [("mine", ERASED, ""), ("his", "ben", "why")]
        assert [branch.author for branch in await server.hub.history.branches.of(ROOM)] == [ERASED]
        assert holding([data]) == holding([data], ANA) == []
        async with opened(server, "ben", ben_directory) as ben_again, opened(server, ANA, ana_directory) as ana_again:
            assert ben_again.to_dict() == ana_again.to_dict()
            assert ben_again.owner.value == "ben"
            assert list(ben_again.events) == [f"ben {n}" for n in range(4)]
            assert sorted(ben_again.tags.value) == [f"ben {n}" for n in range(4)]
            await ben_again.replica.saved()
            await ana_again.replica.saved()
            assert holding([ben_directory, ana_directory]) == []
    assert holding([tmp_path]) == []


async def test_forget_reaches_replicas_that_are_there_and_that_were_away(tmp_path: Path) -> None:
    data, there, away = (tmp_path / name for name in ("data", "there", "away"))
    async with LocalFile(there, ROOM) as file:
        await file.keep_aside(SECRET.encode(), [])
    async with (
        in_process_server(data) as server,
        opened(server, "ben", there) as ben,
        opened(server, "cyd", away) as cyd,
    ):
        await write_together(server)
        await until(ben, lambda: ben.owner.value == "ben")
        await until(cyd, lambda: cyd.owner.value == "ben")
        await cyd.replica.saved()
        assert holding([there]) != []
        with cyd.replica.offline():
            cyd.tags.add("from cyd")
            await server.hub.history.redaction.forget(ROOM, ANA)
            await until(ben, lambda: SECRET not in repr(ben.to_dict()))
            await ben.synced()
            await ben.replica.saved()
            assert holding([there]) == []
            assert holding([away]) != []
        await cyd.durable()
        await until(ben, lambda: "from cyd" in ben.tags.value)
        assert cyd.to_dict() == ben.to_dict()
        assert (cyd.replica.unmerged, cyd.replica.error) == ([], None)
        await cyd.replica.saved()
        assert holding([data, there, away]) == []


async def test_what_was_set_aside_of_another_history_outlives_what_was_taken_out_before(tmp_path: Path) -> None:
    replica = tmp_path / "replica"
    async with in_process_server(tmp_path / "lost") as server, opened(server, "ben", replica) as ben:
        await write(ben, "ben")
    async with in_process_server(tmp_path / "built anew") as server:
        await write_together(server, rounds=1)
        await server.hub.history.redaction.forget(ROOM, ANA)
        for _ in range(2):
            async with opened(server, "ben", replica) as ben:
                await ben.replica.saved()
            assert len(aside_of(replica)) == 1
        await write_together(server, rounds=1)
        await server.hub.history.redaction.forget(ROOM, ANA)
        async with opened(server, "ben", replica) as ben:
            await ben.replica.saved()
        assert aside_of(replica) == []


def aside_of(directory: Path) -> list[Path]:
    return list(directory.glob("*.aside"))


async def test_forget_finds_sessions_of_plain_editors_by_their_connections(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        async with raw_client(server.url, ROOM, agent=ANA) as ana, raw_client(server.url, ROOM, agent="ben") as ben:
            await ana.sync()
            await ben.sync()
            await ana.edit(SECRET)
            await ana.durable()
            await ben.until(lambda: ben.value() == SECRET)
            await ben.edit(" and more")
            await ben.durable()
        await server.hub.history.redaction.forget(ROOM, ANA)
        async with raw_client(server.url, ROOM) as reader:
            assert (await reader.sync()).value() == " and more"
    assert holding([tmp_path]) == []


async def test_forget_leaves_what_somebody_only_passed_on(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        async with raw_client(server.url, ROOM, agent=ANA) as ana:
            await ana.sync()
            await ana.edit("ana ")
            await ana.durable()
            await ana.call("branch", name="draft", seq=None)
        async with raw_client(server.url, BRANCH, agent="ben") as ben:
            await ben.sync()
            await ben.edit("ben")
            await ben.durable()
            merged = ben.doc.get_update()
        async with raw_client(server.url, ROOM, agent=ANA) as ana:
            await ana.sync()
            await ana.update(merged)
            await ana.durable()
        await server.hub.history.redaction.forget(ROOM, ANA)
        for room in (ROOM, BRANCH):
            async with raw_client(server.url, room) as reader:
                assert (await reader.sync()).value() == "ben"


async def test_forget_knows_of_whom_a_branch_has_what_it_began_with(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        for name, words in (("ben", "ben "), (ANA, f"{SECRET} "), ("cyd", "cyd ")):
            async with raw_client(server.url, ROOM, agent=name) as writer:
                await writer.sync()
                await writer.edit(words)
                await writer.durable()
        async with raw_client(server.url, ROOM, agent=ANA) as ana:
            await ana.call("branch", name="draft", seq=None)
        await server.hub.history.redaction.forget(BRANCH, ANA)
        async with raw_client(server.url, BRANCH) as branch, raw_client(server.url, ROOM) as room:
            assert (await branch.sync()).value() == "ben cyd "
            assert (await room.sync()).value() == f"ben {SECRET} cyd "


async def test_forget_takes_out_what_others_passed_on(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        async with raw_client(server.url, ROOM, agent=ANA) as ana:
            await ana.sync()
            await ana.edit("ana ")
            await ana.durable()
            await ana.call("branch", name="draft", seq=None)
            await ana.edit(SECRET)
            await ana.durable()
            whole = ana.doc.get_update()
        async with raw_client(server.url, BRANCH, agent="ben") as ben:
            await ben.sync()
            await ben.update(whole)
            await ben.edit(" ben")
            await ben.durable()
        await server.hub.history.redaction.forget(ROOM, ANA)
        async with raw_client(server.url, BRANCH) as reader:
            assert (await reader.sync()).value() == " ben"
    assert holding([tmp_path]) == []


async def test_forget_leaves_what_bears_the_name_of_somebody_else(tmp_path: Path) -> None:
    document = StateDocument(agent="ben")
    document.set_register("goal", "ben's")
    async with in_process_server(tmp_path) as server:
        async with raw_client(server.url, ROOM, agent=ANA) as ana:
            await ana.sync()
            await ana.update(document.update_since())
            await ana.durable()
        await server.hub.history.redaction.forget(ROOM, ANA)
        async with opened(server, "cyd") as cyd:
            assert cyd.goal.value == "ben's"
        assert await authors(server, ROOM) == [ERASED]


async def test_forget_takes_one_of_several_authors_out_of_a_version(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        await write_together(server)
        seq = (await server.hub.history.head(ROOM)).seq
    async with store:
        await store.append([Append(ROOM, seq + 1, b"\x00\x00", f"{ANA}\nben", 1)])
    async with in_process_server(tmp_path, store) as server:
        await server.hub.history.redaction.forget(ROOM, ANA)
        assert (await authors(server, ROOM))[-2:] == [f"{ERASED}\nben", ERASURE]


async def test_forget_answers_a_call_and_sends_everybody_away_for_a_moment(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        await write_together(server)
        async with raw_client(server.url, ROOM, agent="ben") as ben, raw_client(server.url, ROOM) as caller:
            with pytest.raises(CallError, match="nobody"):
                await caller.call("forget", author="")
            assert await caller.call("forget", author="nobody who was here") == []
            report: list[dict[str, Any]] = await caller.call("forget", author=ANA)
            assert [each["room"] for each in report] == [ROOM]
            assert await ben.closed() == await caller.closed() == AWAY
        async with opened(server, "ben") as again:
            assert again.owner.value == "ben"
        assert await server.hub.history.redaction.forget(ROOM, ANA) == []


async def test_forget_keeps_backups_from_bringing_anything_back(tmp_path: Path) -> None:
    data, backups, restored = (tmp_path / name for name in ("data", "backups", "restored"))
    async with in_process_server(data, backup_dir=backups) as server:
        await write_together(server)
        await asyncio.to_thread(back_up, data / DATABASE, backups, 1)
        (report,) = await server.hub.history.redaction.forget(ROOM, ANA)
        assert report.backups
        await asyncio.to_thread(back_up, data / DATABASE, backups, 1)
    await restore(await asyncio.to_thread(open_chain, backups), restored / DATABASE, 2)
    assert holding([data, restored]) == []
    async with in_process_server(restored) as server, opened(server, "ben") as ben:
        assert ben.owner.value == "ben"


AUTHORS = ("ana", "ben", "cyd")


@given(st.lists(DEEDS, min_size=12, max_size=40), WRITERS, st.sets(st.integers(1, 40), max_size=5))
@settings(max_examples=examples(40, 5_000))
def test_forget_leaves_every_version_as_it_was_without_one_author(deeds: list[Deed], gone: int, kept: set[int]) -> None:
    asyncio.run(forget_one(deeds, gone, kept))


@asynccontextmanager
async def nobody_there(_name: str, _error: Exception, _spared: object = None) -> AsyncGenerator[None]:
    yield


async def test_forget_takes_out_what_came_while_it_looked() -> None:
    writers = Writers()
    for writer in (0, 1, 2):
        writers.do(Deed(writer, "write", 0, 1, [writer]))
    async with Archive(MemoryStore()) as archive:

        @asynccontextmanager
        async def withdrawn(_name: str, _error: Exception, _spared: object = None) -> AsyncGenerator[None]:
            archive.append(ROOM, 3, writers.log[2], "ana", lambda: None)
            await archive.flush()
            yield

        await archive.create(ROOM, "lineage")
        archive.append(ROOM, 1, writers.log[0], "ana", lambda: None)
        archive.append(ROOM, 2, writers.log[1], "ben", lambda: None)
        await archive.flush()
        await Redaction(archive, withdrawn, Branches(archive, withdrawn), Marks(None)).forget(ROOM, "ana")
        found = document(await state_at(archive, ROOM, 4))
        assert signed(found) == signed(document(writers.log[1]))


async def test_forget_takes_nobody_for_the_author_of_what_a_branch_began_with() -> None:
    writers = Writers()
    writers.do(Deed(1, "write", 0, 1, [1]))
    async with Archive(MemoryStore()) as archive:  # what tells that Ben wrote it is not kept any more
        await archive.store.begin(ROOM, "lineage", 0, Base(5, writers.log[0]))
        await archive.create(BRANCH, "another")
        await archive.store.note(BRANCH, "branch", msgpack.packb([ROOM, "draft", 5, "ana", 0]))
        archive.append(BRANCH, 1, writers.log[0], "ana", lambda: None)
        await archive.flush()
        await Redaction(archive, nobody_there, Branches(archive, nobody_there), Marks(None)).forget(ROOM, "ana")
        assert signed(document(await state_at(archive, BRANCH, 1))) == signed(document(writers.log[0]))
        assert [version.author for version in await archive.store.versions(BRANCH)] == [ERASED]


async def forget_one(deeds: list[Deed], gone: int, kept: set[int]) -> None:
    """Let somebody be forgotten in a room with snapshots of some versions, and look at every version of it."""
    writers = Writers()
    async with Archive(MemoryStore()) as archive:
        await archive.create(ROOM, "lineage")
        for deed in deeds:
            before = len(writers.log)
            writers.do(deed)
            for seq, update in enumerate(writers.log[before:], before + 1):
                archive.append(ROOM, seq, update, AUTHORS[deed.writer], lambda: None)
        await archive.flush()
        end = len(writers.log)
        for seq in sorted(seq for seq in kept if seq <= end):
            await archive.snapshot(ROOM, seq, document(*writers.log[:seq]).get_update())
        authors = [version.author for version in await archive.store.versions(ROOM)]
        redaction = Redaction(archive, nobody_there, Branches(archive, nobody_there), Marks(None))
        report = await redaction.forget(ROOM, AUTHORS[gone])
        assert bool(report) == (AUTHORS[gone] in authors)
        log = await archive.store.records(ROOM)
        assert [each.author for each in log[:end]] == [ERASED if name == AUTHORS[gone] else name for name in authors]
        for seq in range(len(log) + 1):
            state = await state_at(archive, ROOM, seq)
            assert signed(document(state)) == signed(document(*writers.log[:seq]), {gone})
            assert not told(state, {gone}, writers.guids)
        assert not any(told(record.update, {gone}, writers.guids) for record in log)


class CrashingStore(SqliteStore):
    """A store of which the so-manieth call from now on that changes something fails."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.left = 0

    def _call(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise StoreError("the process died")

    async def append(self, batch: Any) -> None:
        self._call()
        await super().append(batch)

    async def note(self, room: str, key: str, value: bytes | None) -> None:
        self._call()
        await super().note(room, key, value)

    async def replace(self, room: str, records: Any) -> None:
        self._call()
        await super().replace(room, records)

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        self._call()
        await super().snapshot(room, seq, state, at)

    async def add_checkpoint(self, room: str, checkpoint: Any) -> bool:
        self._call()
        return await super().add_checkpoint(room, checkpoint)

    async def scrub(self) -> None:
        self._call()
        await super().scrub()


async def test_forget_is_finished_after_a_crash_at_any_step(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    async with in_process_server(whole) as server:
        await write_together(server, rounds=1)
        async with raw_client(server.url, ROOM, agent=ANA) as ana:
            await ana.call("checkpoint", name="mine", seq=5, kind="manual", note=SECRET)
            await ana.call("branch", name="draft", seq=None)
        expected = (await readings(server, ROOM, await clients_of(server, ROOM, ANA)))[-1]
    step, is_over = 0, False
    while not is_over:
        step += 1
        data, crashed = tmp_path / f"{step}", tmp_path / f"{step} crashed"
        shutil.copytree(whole, data)
        is_over = await forget_until(step, data, crashed)
        async with in_process_server(crashed) as server:
            if step > 1:  # before the first note nothing was begun
                await assert_forgotten(server, crashed, expected)
    assert step > 10


async def forget_until(step: int, data: Path, crashed: Path) -> bool:
    """Forget until a step fails, and copy the data as a crash would leave it; then go on, and return if none failed."""
    store = CrashingStore(data / DATABASE)
    async with in_process_server(data, store) as server:
        expected = (await readings(server, ROOM, await clients_of(server, ROOM, ANA)))[-1]
        store.left = step
        with suppress(StorageError):
            await server.hub.history.redaction.forget(ROOM, ANA)
        shutil.copytree(data, crashed)
        await eventually(lambda: server.hub.archive.failed is None)
        await server.hub.history.redaction.forget(ROOM, ANA)
        await assert_forgotten(server, data, expected)
    return store.left > 0


async def assert_forgotten(server: ServerHere, data: Path, expected: Reading) -> None:
    assert holding([data]) == holding([data], ANA) == []
    assert (await readings(server, ROOM))[-1] == (await readings(server, BRANCH))[-1] == expected
    assert [row.name for row in await server.hub.history.checkpoints.all(ROOM)] == ["mine"]


async def test_forget_and_erase_take_nothing_more_of_who_called_them(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "other") as other:
        await other.sync()
        for method, params in (("forget", {"author": ANA}), ("erase", {})):
            await write_together(server)
            async with raw_client(server.url, ROOM, agent="ben") as caller:
                await caller.sync()
                await caller.ask_for(method, **params)
                while caller.close_code is None:
                    with suppress(ConnectionClosed):
                        await caller.edit("more")
                    await asyncio.sleep(0)
            await other.edit("on")
            await other.durable()
        assert (server.hub.archive.faults, server.hub.archive.failed) == (0, None)
