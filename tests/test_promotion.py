"""Promotion: a local tier's history becomes a room's, and a room's a local tier's, whole or not at all."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import comity
from comity import Counter, Log, Map, Register, State, StateDocument, Text
from comity.clients.history.line import Line
from comity.clients.history.source import RoomSource
from comity.clients.local.history import LocalHistory
from comity.clients.local.moving import Moved, Outgoing, demote, promote
from comity.clients.local.replica import LocalReplica, VersionReplica
from comity.clients.local.versionfile import Named, VersionFile
from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import (
    ComityError,
    ErasedError,
    ForbiddenError,
    InvalidValueError,
    NameTakenError,
    OverloadError,
    StaleVersionError,
    StateError,
    StorageError,
    TooLargeError,
)
from comity.crdt_types.history.record import Span
from comity.persistence.errors import StoreError
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append, Checkpoint
from tests.support.calls import server_on
from tests.support.history import START_MS, Turn, chronicle_of, turns
from tests.support.local import NOWHERE, ROOM, fill, replica_in, told, told_in
from tests.support.profiles import examples
from tests.support.server import ServerHere, ServerProcess, in_process_server, running_server
from tests.support.waiting import eventually

SHARED = "shared/team-7"


class Memory(State):
    goal: Register[str]
    facts: Map[str]
    spent: Counter
    notes: Log[str]
    body: Text


async def promoted(server: ServerHere | ServerProcess, directory: Path, room: str = SHARED, **options: bool) -> Moved:
    """Promote the local tier of a directory."""
    async with replica_in(directory) as replica:
        return await promote(replica, server.url, room, **options)


async def demoted(
    server: ServerHere, directory: Path, room: str = SHARED, local: str = ROOM, merge: bool = False
) -> Moved:
    """Demote a room to a local tier in a directory."""
    return await demote(server.url, room, local, agent="ana", directory=directory, merge=merge)


async def write_memory(directory: Path) -> None:
    """Make a local tier of three versions, of which the second has a name."""
    async with replica_in(directory) as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        memory.assign({"goal": "map the reef", "spent": 3, "notes": ["started"]})
        await memory.durable()
        memory.facts["boat"] = "leaks"
        memory.body.append("It rained.")
        await history.checkpoint("leak", kind="milestone", note="found it")
        memory.goal.set("mend the boat")
        await memory.durable()


@settings(max_examples=examples(12, 200))
@given(turns(), st.data())
async def test_promotion_and_demotion_keep_versions_authors_times_states_and_names(
    script: list[Turn], data: st.DataObject
) -> None:
    chronicle = chronicle_of([Turn("ana", [("set", 1)], True), *script])
    names = data.draw(st.lists(st.sampled_from(["ana", "bo", ""]), min_size=len(chronicle.log)))
    chronicle.log[:] = [record._replace(author=name) for record, name in zip(chronicle.log, names, strict=False)]
    with TemporaryDirectory() as here, TemporaryDirectory() as there:
        async with server_on("memory") as server:
            await fill(Path(here), chronicle)
            async with VersionFile(Path(here), ROOM) as file:
                await file.add_checkpoint(Named("one", 1, "manual", "ana", START_MS, ""))
            expected = await told_in(Path(here))
            moved = await promoted(server, Path(here))
            async with comity.connect(server.url).history(SHARED) as history:
                assert await told(history) == expected
            again = await demoted(server, Path(there))
            assert await told_in(Path(there)) == expected == await told_in(Path(here))
            assert (moved.versions, again.versions, again.checkpoints) == (len(chronicle.log), len(chronicle.log), 1)


async def test_promoted_room_is_worked_in_like_any_other_and_tells_who_brought_it(tmp_path: Path) -> None:
    await write_memory(tmp_path)
    async with server_on("sqlite") as server:
        assert await promoted(server, tmp_path) == Moved(SHARED, 3, 1, merged=False)
        async with comity.connect(server.url, agent="bo").open(SHARED, Memory) as memory:
            await memory.synced()
            memory.spent.add(4)
            memory.notes.append("by bo")
            await memory.durable()
            assert memory.spent.value == 7
            assert list(memory.notes) == ["started", "by bo"]
        async with comity.connect(server.url).history(SHARED) as history:
            begun = await history.begun()
            authors = [version.author async for version in history.versions()]
            then = await history.at("leak", Memory)
        assert begun is not None
        assert (begun.by, begun.until, authors[:4]) == ("ana", 3, ["ana", "ana", "ana", "bo"])
        assert (then.goal.value, then.facts["boat"], str(then.body)) == ("map the reef", "leaks", "It rained.")
        async with comity.connect(server.url).history("shared/other") as history:
            assert await history.begun() is None


async def test_promotion_needs_a_room_that_nobody_wrote_to_unless_it_is_to_merge(tmp_path: Path) -> None:
    await write_memory(tmp_path)
    async with server_on("memory") as server, comity.connect(server.url, agent="bo").open(SHARED, Memory) as theirs:
        theirs.spent.add(10)
        theirs.facts["reef"] = "large"
        await theirs.durable()
        with pytest.raises(NameTakenError, match="merge"):
            await promoted(server, tmp_path)
        assert await promoted(server, tmp_path, merge=True) == Moved(SHARED, 1, 0, merged=True)
        await theirs.replica.synced()
        async with comity.connect(server.url).history(SHARED) as history:
            versions = [version async for version in history.versions()]
            merged = await history.at(versions[-1].number, Memory)
        assert [version.author for version in versions] == ["bo", "ana"]
        assert merged.spent.value == 13
        assert dict(merged.facts) == {"boat": "leaks", "reef": "large"}
        assert await promoted(server, tmp_path, merge=True) == Moved(SHARED, 0, 0, merged=True)


async def test_promotion_of_a_history_that_was_folded_begins_with_what_is_left_of_it(tmp_path: Path) -> None:
    await write_memory(tmp_path)
    async with LocalReplica("ws://127.0.0.1:1", ROOM, agent="ana", directory=tmp_path, history=timedelta(0)) as replica:
        Memory(replica.document, replica).goal.set("sell the boat")
        await replica.saved()
        async with server_on("memory") as server:
            assert await promote(replica, server.url, SHARED) == Moved(SHARED, 3, 1, merged=False)
            async with comity.connect(server.url).history(SHARED) as history:
                goals = [(await history.at(version, Memory)).goal.value for version in (1, 2, 3)]
                assert (await history.checkpoints())[0].version == 1
                assert goals == ["map the reef", "mend the boat", "sell the boat"]


@pytest.mark.parametrize("how", ["retire", "erase"])
async def test_promotion_says_so_when_history_goes_that_is_on_its_way(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comity.clients.local.versionfile.PAGE", 1)
    await write_memory(tmp_path)
    async with replica_in(tmp_path) as replica:
        async with replica.versions() as file:
            outgoing = await Outgoing.of(file, "ana")
        coming = outgoing.versions(replica)
        await anext(coming)
        if how == "retire":
            async with replica.versions() as file:
                monkeypatch.setattr(file, "_history_ms", -1)
                await file.retire()
        else:
            await replica.erase()
            Memory(replica.document, replica).goal.set("begin anew")
            await replica.saved()
        with pytest.raises(StaleVersionError, match="version 2 went"):
            await anext(coming)


async def test_demotion_brings_no_name_for_a_version_that_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_memory(tmp_path)
    async with server_on("sqlite") as server:
        await promoted(server, tmp_path)
        client = comity.connect(server.url, agent="bob")
        async with client.shared("team-7", Memory) as team, client.history(SHARED) as history:
            span = RoomSource.span

            async def spanning(source: RoomSource) -> Span:
                found = await span(source)
                team.state.spent.add(1)
                await team.durable()
                await history.delete_checkpoint("later")
                await history.checkpoint("later")
                return found

            monkeypatch.setattr(RoomSource, "span", spanning)
            await demoted(server, tmp_path, local="local/ana/copy")
            monkeypatch.setattr(RoomSource, "span", span)
    async with replica_in(tmp_path, "local/ana/copy") as replica, LocalHistory(replica) as copied:
        Memory(replica.document, replica).goal.set("begin anew")
        await replica.saved()
        numbers = [version.number async for version in copied.versions()]
        assert [entry.version async for entry in copied.log()] == numbers == list(range(1, len(numbers) + 1))


async def test_demotion_over_what_was_erased_waits_for_the_server_that_is_to_back_it_up(tmp_path: Path) -> None:
    async with server_on("sqlite") as server:
        async with replica_in(tmp_path / "other") as replica:
            Memory(replica.document, replica).goal.set("map the reef")
            await replica.saved()
            await promote(replica, server.url, SHARED)
        await write_memory(tmp_path)
        async with replica_in(tmp_path) as replica:
            await replica.erase()
        assert (await demoted(server, tmp_path)).versions == 1
    async with VersionReplica(NOWHERE, ROOM, agent="ana", directory=tmp_path) as backed_up:
        assert backed_up.pending


async def test_demotion_keeps_the_numbers_of_a_room_whose_old_versions_are_gone(tmp_path: Path) -> None:
    async with server_on("sqlite") as server:
        await write_memory(tmp_path)
        await promoted(server, tmp_path)
        async with comity.connect(server.url).history(SHARED) as history:
            state = (await history.at(2)).update_since()
            expected = await told(history)
        first = await server.hub.archive.store.records(SHARED, 0, 2)
        for seq in (2, 3):
            await server.hub.archive.snapshot(SHARED, seq, state)
        await server.hub.archive.retire(SHARED, 3, wall_ms() + 1)
        assert len(first) == 2
        moved = await demoted(server, tmp_path, local="local/ana/copy")
        told_here = await told_in(tmp_path, "local/ana/copy")
        assert moved.versions == 1
        assert told_here.versions == expected.versions[2:]
        assert told_here.checkpoints == expected.checkpoints


async def test_demotion_needs_a_local_tier_that_nobody_wrote_to_unless_it_is_to_merge(tmp_path: Path) -> None:
    await write_memory(tmp_path)
    async with server_on("memory") as server:
        with pytest.raises(InvalidValueError, match="nobody has written"):
            await demoted(server, tmp_path)
        async with comity.connect(server.url, agent="bo").open(SHARED, Memory) as theirs:
            theirs.spent.add(10)
            await theirs.durable()
        with pytest.raises(NameTakenError):
            await demoted(server, tmp_path)
        assert await demoted(server, tmp_path, merge=True) == Moved(ROOM, 1, 0, merged=True)
        async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
            assert Memory(replica.document, replica).spent.value == 13
            assert [version.number async for version in history.versions()] == [1, 2, 3, 4]
            with pytest.raises(StorageError, match="another process"):
                await demoted(server, tmp_path)


async def test_demotion_that_is_cut_off_half_way_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_memory(tmp_path)
    monkeypatch.setattr("comity.clients.history.source.PAGE", 1)
    async with server_on("memory") as server:
        await promoted(server, tmp_path)
        answered = Line.call

        async def lost(line: Line, method: str, **params: Any) -> Any:
            if method == "records" and params["after"] == 2:
                raise ConnectionResetError("half way")
            return await answered(line, method, **params)

        with monkeypatch.context() as patch:
            patch.setattr(Line, "call", lost)
            with pytest.raises(ConnectionResetError):
                await demoted(server, tmp_path, local="local/ana/copy")
        assert (await told_in(tmp_path, "local/ana/copy")).versions == []
        assert (await demoted(server, tmp_path, local="local/ana/copy")).versions == 3


# What the server takes ------------------------------------------------------------------------------------------


def rows_of(count: int, author: str = "ana", at: int = START_MS) -> list[tuple[str, int, bytes]]:
    """Return so many versions of a room."""
    chronicle = chronicle_of([Turn("ana", [("set", n)], True) for n in range(count)])
    return [(author, at + record.version, record.update) for record in chronicle.log]


async def refused(server: ServerHere, *pages: Sequence[Any], checkpoints: Sequence[Any] = ()) -> ComityError:
    """Return what bringing some pages of versions is refused with, after which the room must be as new."""
    with pytest.raises(ComityError) as raised:
        await begun(server, *pages, checkpoints=checkpoints)
    async with Line(server.url, SHARED, "ana") as line:
        assert (await line.call("head"))["seq"] == 0
    return raised.value


async def begun(server: ServerHere, *pages: Sequence[Any], checkpoints: Sequence[Any] = ()) -> int:
    """Bring pages of versions to a room, and let it begin with them."""
    count = 0
    async with Line(server.url, SHARED, "ana") as line:
        for page in pages[:-1]:
            count = await line.call("begin", after=count, records=page)
        versions: int = await line.call("begin", after=count, records=pages[-1], checkpoints=checkpoints)
    return versions


async def test_server_takes_no_versions_that_cannot_be() -> None:
    document = StateDocument(agent="ana")
    document.set_register("goal", "x")
    seen = document.state_vector()
    document.set_register("goal", "y")
    rows, gap = rows_of(3), document.update_since(seen)
    now = wall_ms()
    async with server_on("memory") as server:
        assert "builds on what is not there" in str(await refused(server, [("ana", START_MS, gap)]))
        assert "not made after" in str(await refused(server, [rows[0], ("ana", 5, rows[1][2])]))
        assert "not made after" in str(await refused(server, [rows[0]], [("ana", 5, rows[1][2])]))
        assert "not made after" in str(await refused(server, rows_of(1, at=now + 10 * 60_000)))
        assert "not a name" in str(await refused(server, rows_of(1, author="two\ttabs")))
        assert isinstance(await refused(server, [("ana", START_MS, b"\x01\x02")]), StateError)
        for row in (("ana", START_MS), ("ana", "now", b""), (1, START_MS, b"\0\0"), ("ana", -1, b"\0\0"), None):
            assert "is not an author" in str(await refused(server, [row]))
        for name in (("name", 4, "manual", "", 0, ""), ("name", 1, "odd", "", 0, ""), ("", 1, "manual", "", 0, ""), 7):
            assert isinstance(await refused(server, rows, checkpoints=[name]), StateError)
        assert "no versions" in str(await refused(server, []))
        async with Line(server.url, SHARED, "ana") as line:
            with pytest.raises(StateError, match="out of turn"):
                await line.call("begin", after=2, records=rows)


async def test_server_notes_a_version_of_a_clock_that_is_a_little_ahead_as_made_now() -> None:
    now = wall_ms()
    async with server_on("memory") as server:
        assert await begun(server, rows_of(2, at=now + 60_000)) == 2
        async with Line(server.url, SHARED, "") as line:
            rows = await line.call("versions", after=0, limit=9)
        assert all(now <= at <= wall_ms() for _seq, _author, at, _size in rows)


async def test_server_takes_no_more_versions_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server_on("memory", max_document=50) as server:
        assert isinstance(await refused(server, rows_of(40)), TooLargeError)
        monkeypatch.setattr("comity.server.history.beginnings.MAX_BYTES", 2_000)
        assert "history=" in str(await refused(server, *[[row] for row in rows_of(9)]))
        monkeypatch.setattr("comity.server.history.beginnings.MAX_BYTES", 20_000)
        monkeypatch.setattr("comity.server.history.beginnings.MAX_STAGED", 1_000)
        assert "come back" in str(await refused(server, rows_of(9)))


async def test_server_forgets_what_a_connection_brought_that_went_before_the_end() -> None:
    async with server_on("memory") as server:
        beginnings = server.hub.history.beginnings
        async with Line(server.url, SHARED, "ana") as line:
            assert await line.call("begin", after=0, records=rows_of(4)) == 4
            assert beginnings.size > 4
        await eventually(lambda: beginnings.size == 0)
        assert await begun(server, rows_of(3)) == 3


async def test_promotion_goes_in_pages_and_names_a_version_that_is_too_large_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_memory(tmp_path)
    monkeypatch.setattr("comity.clients.local.moving.PAGE_BYTES", 700)
    async with server_on("memory") as server:
        assert (await promoted(server, tmp_path)).versions == 3
    async with server_on("memory", max_message=1_600) as server:
        async with replica_in(tmp_path) as replica:
            Memory(replica.document, replica).body.append("x" * 2_000)
        with pytest.raises(TooLargeError, match="max-message"):
            await promoted(server, tmp_path)
        async with Line(server.url, SHARED, "ana") as line:
            assert (await line.call("head"))["seq"] == 0


async def test_server_lets_nobody_begin_a_room_who_may_only_read_it() -> None:
    async with server_on("memory", anyone="read") as server:
        assert isinstance(await refused(server, rows_of(1)), ForbiddenError)


async def test_server_takes_nothing_back_that_was_erased(tmp_path: Path) -> None:
    await write_memory(tmp_path)
    async with server_on("memory") as server:
        await promoted(server, tmp_path)
        async with comity.connect(server.url).history(SHARED) as history:
            await history.erase()
        with pytest.raises(ErasedError):
            await promoted(server, tmp_path)
        assert (await promoted(server, tmp_path, "shared/elsewhere")).versions == 3


async def test_server_sends_others_away_for_a_moment_who_then_find_all_of_it(tmp_path: Path) -> None:
    await write_memory(tmp_path)
    async with server_on("memory") as server, comity.connect(server.url, agent="bo").open(SHARED, Memory) as theirs:
        await theirs.synced()
        told_of = theirs.changes()
        await promoted(server, tmp_path)
        async for _change in told_of:
            break
        assert theirs.goal.value == "mend the boat"


async def test_server_begins_a_room_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await write_memory(tmp_path)

    async def failing(_store: MemoryStore, _batch: Sequence[Append]) -> None:
        raise StoreError("no space is left")

    async with server_on("memory") as server:
        with monkeypatch.context() as patch:
            patch.setattr(MemoryStore, "append", failing)
            with pytest.raises(OverloadError, match="no space"):
                await promoted(server, tmp_path)
        async with Line(server.url, SHARED, "ana") as line:
            assert (await line.call("head"))["seq"] == 0
        assert await server.hub.history.beginnings.of(SHARED) is None
        await server.hub.history.beginnings.resume()
        assert (await promoted(server, tmp_path)).versions == 3


async def test_server_takes_nothing_that_others_wrote_for_a_beginning_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_memory(tmp_path)

    async def failing(_store: MemoryStore, _batch: Sequence[Append]) -> None:
        raise StoreError("no space is left")

    async with server_on("memory") as server, comity.connect(server.url, agent="bob") as client:
        with monkeypatch.context() as patch:
            patch.setattr(MemoryStore, "append", failing)
            with pytest.raises(OverloadError):
                await promoted(server, tmp_path)
        async with client.shared("team-7", Memory) as team:
            for goal in ("one", "two", "three"):
                team["goal"] = goal
                await team.durable()
        await server.hub.history.beginnings.resume()
        async with client.history(SHARED) as history:
            assert await history.begun() is None
            assert await history.checkpoints() == []


async def test_server_that_is_killed_half_way_has_nothing_of_the_room(tmp_path: Path) -> None:
    await write_memory(tmp_path / "local")
    async with running_server(tmp_path / "data") as server:
        async with Line(server.url, SHARED, "ana") as line:
            assert await line.call("begin", after=0, records=rows_of(3)) == 3
            await server.kill()
        assert (await told_in(tmp_path / "local")).versions[-1][0] == 3
        await server.restart()
        async with Line(server.url, SHARED, "ana") as line:
            assert (await line.call("head"))["seq"] == 0
        assert (await promoted(server, tmp_path / "local")).versions == 3
        await server.kill()
        await server.restart()
        async with comity.connect(server.url).history(SHARED) as history:
            assert await told(history) == await told_in(tmp_path / "local")


async def test_server_makes_up_for_names_that_it_had_no_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write_memory(tmp_path / "local")

    async def failing(_store: object, _room: str, _checkpoint: Checkpoint) -> bool:
        raise StoreError("killed")

    async with in_process_server(tmp_path / "data") as server:
        with monkeypatch.context() as patch:
            patch.setattr(type(server.hub.archive.store), "add_checkpoint", failing)
            with pytest.raises(OverloadError, match="killed"):
                await promoted(server, tmp_path / "local")
    async with in_process_server(tmp_path / "data") as server, comity.connect(server.url).history(SHARED) as history:
        assert [each.name for each in await history.checkpoints()] == ["leak"]
        found = await told(history)
    assert found == await told_in(tmp_path / "local")


async def test_forgetting_a_person_takes_their_name_off_the_room_that_they_brought(tmp_path: Path) -> None:
    await write_memory(tmp_path)
    async with server_on("sqlite") as server:
        await promoted(server, tmp_path)
        async with comity.connect(server.url).history(SHARED) as history:
            await history.forget("ana")
        async with comity.connect(server.url).history(SHARED) as history:
            begun_by = await history.begun()
        assert begun_by is not None
        assert begun_by.by == "erased"
