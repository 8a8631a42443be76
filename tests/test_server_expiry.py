"""Rooms that end by themselves: when, what puts it off, who is told, and what is left."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest

from comity.crdt_types.errors import ANSWERS, ErasedError
from comity.crdt_types.wire import ENDING, RENEWED, Notice, Presence, Welcome
from comity.persistence.errors import CorruptRecordError
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append, Erased
from comity.server.rooms.archive import now
from comity.server.rooms.contents import TTL
from tests.support.raw import CallError, RawClient, raw_client
from tests.support.server import in_process_server
from tests.support.waiting import eventually

ERASED = ANSWERS[ErasedError].close_code
SHORT = 1  # seconds: as short as a time to live can be
LATE = 3000  # ms: some tens are usual; far more than a busy machine takes, and far less than a look at all rooms
ROOM = "session/x"


def notices(client: RawClient, code: int) -> list[Notice]:
    return [frame for frame in client.frames if isinstance(frame, Notice) and frame.code == code]


async def written(client: RawClient, text: str = "hello") -> None:
    await client.edit(text)
    await client.durable()


async def gone(store: MemoryStore, room: str = ROOM) -> int:
    """Wait until a room is erased, and return the time."""
    async with asyncio.timeout(30):
        while any(row.room == room for row in await store.rooms()):  # noqa: ASYNC110  # a store tells of no change
            await asyncio.sleep(0.01)
    return now()


async def test_expiry_ends_a_room_in_time_with_somebody_silent_in_it(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, ROOM) as client:
        await written(client)
        end = await client.call("expire", seconds=SHORT)
        assert end == {"at": end["at"], "ttl": SHORT * 1000}
        assert await client.closed() == ERASED
        assert 0 <= now() - end["at"] <= LATE
        assert "its time was over" in client.close_reason
        await gone(store)


async def test_expiry_warns_who_is_there_and_tells_them_when_it_was_put_off(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, ROOM) as writer:
        await written(writer)
        async with raw_client(server.url, ROOM) as other:
            end = await writer.call("expire", seconds=SHORT)
            for client in (writer, other):
                await client.until(lambda client=client: notices(client, ENDING))  # type: ignore[misc]
                assert notices(client, ENDING)[0].at == end["at"]
            assert now() <= end["at"]
            await written(writer, "still here")
            for client in (writer, other):
                await client.until(lambda client=client: notices(client, RENEWED))  # type: ignore[misc]
                assert (notices(client, RENEWED)[0].at or 0) > end["at"]
            assert await other.closed() == ERASED
            assert len(notices(other, ENDING)) == 2


async def test_expiry_is_put_off_by_an_arrival_and_by_a_renewal(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, ROOM) as client:
        await written(client)
        first = await client.call("expire", seconds=SHORT)
        await client.until(lambda: len(notices(client, ENDING)) == 1)
        async with raw_client(server.url, ROOM) as newcomer:
            await client.until(lambda: len(notices(client, RENEWED)) == 1)
            await newcomer.until(lambda: newcomer.frames)
            assert isinstance(newcomer.frames[0], Welcome)
        await client.until(lambda: len(notices(client, ENDING)) == 2)
        renewed = await client.call("renew")
        assert renewed["at"] >= first["at"] + 2 * (SHORT * 1000 - SHORT * 100)
        assert await client.call("end") == renewed
        assert notices(client, RENEWED)[1].at == renewed["at"]


async def test_expiry_is_not_put_off_by_presence_or_by_reading(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, ROOM) as client:
        await written(client)
        end = await client.call("expire", seconds=SHORT)
        await client.until(lambda: notices(client, ENDING))
        await client.announce([Presence(4711, 1, '{"agent":"ana"}')])
        await client.sync()
        await client.call("head")
        assert await client.call("end") == end
        assert await client.closed() == ERASED
        assert notices(client, RENEWED) == []


async def test_expiry_takes_a_room_that_was_never_written_to(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        async with raw_client(server.url, ROOM) as client:
            end = await client.call("expire", seconds=SHORT)
        assert [row.room for row in await store.rooms()] == [ROOM]
        assert 0 <= await gone(store) - end["at"] <= LATE


async def test_expiry_waits_for_an_edit_that_is_on_its_way_to_the_disk(tmp_path: Path) -> None:
    class SlowStore(MemoryStore):
        is_open = asyncio.Event()
        waits = asyncio.Event()

        async def append(self, batch: Sequence[Append]) -> None:
            if batch:
                self.waits.set()
                await self.is_open.wait()
            await super().append(batch)

    store = SlowStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, ROOM) as client:
        end = await client.call("expire", seconds=SHORT)
        await client.edit("at the last moment")
        await store.waits.wait()
        await eventually(lambda: now() > end["at"] + 50)
        assert client.close_code is None
        store.is_open.set()
        await client.durable()
        assert (await client.call("end"))["at"] > end["at"]
        async with raw_client(server.url, ROOM) as other:
            await other.sync()
            assert other.value() == "at the last moment"


async def test_expiry_gives_a_session_its_name_back_and_the_next_one_begins_empty(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        async with raw_client(server.url, ROOM) as client:
            await written(client, "secret")
            await client.call("expire", seconds=SHORT)
            await client.closed()
        async with raw_client(server.url, ROOM) as client:
            await client.sync()
            assert client.value() == ""
            assert (await client.call("end"))["ttl"] == 7 * 24 * 3600 * 1000


async def test_expiry_of_rooms_is_by_their_tier_unless_they_have_a_time_of_their_own(tmp_path: Path) -> None:
    hours = 1.0
    async with in_process_server(tmp_path, session_ttl_hours=hours) as server:
        async with raw_client(server.url, "session/a") as session:
            assert (await session.call("end"))["ttl"] == 3_600_000
            assert (await session.call("expire", seconds=7200))["ttl"] == 7_200_000
            assert (await session.call("expire", seconds=None))["ttl"] == 3_600_000
        async with raw_client(server.url, "shared/a") as shared:
            assert await shared.call("end") is None
            assert await shared.call("renew") is None
            assert (await shared.call("expire", seconds=7200))["ttl"] == 7_200_000
            assert await shared.call("expire", seconds=None) is None
            assert await shared.call("end") is None


async def test_expiry_ends_after_a_restart_what_it_would_have_ended_and_nothing_earlier(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        for room in ("session/over", "session/renewed", "session/stays", "shared/x"):
            async with raw_client(server.url, room) as client:
                await written(client)
        async with raw_client(server.url, "session/over") as client:
            over = await client.call("expire", seconds=SHORT)
        async with raw_client(server.url, "session/renewed") as client:
            await client.call("expire", seconds=2 * SHORT)
            await eventually(lambda: now() > over["at"] - 500)
            renewed = await client.call("renew")
    async with in_process_server(tmp_path, store):
        assert await gone(store, "session/over") >= over["at"]
        assert 0 <= await gone(store, "session/renewed") - renewed["at"] <= LATE
        assert [row.room for row in await store.rooms()] == ["session/stays", "shared/x"]


async def test_expiry_of_one_room_goes_on_although_another_cannot_be_erased(tmp_path: Path) -> None:
    class StubbornStore(MemoryStore):
        async def erase(self, room: str, state_vector: bytes, at: int) -> Erased | None:
            if room == "session/a":
                raise CorruptRecordError("damaged", room=room)
            return await super().erase(room, state_vector, at)

    store = StubbornStore()
    async with in_process_server(tmp_path, store) as server:
        for room in ("session/a", "session/b"):
            async with raw_client(server.url, room) as client:
                await written(client)
                await client.call("expire", seconds=SHORT)
        await gone(store, "session/b")
        assert [row.room for row in await store.rooms()] == ["session/a"]


async def test_expiry_of_a_room_takes_its_branches_along(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        async with raw_client(server.url, ROOM) as client:
            await written(client)
            await client.call("branch", name="draft", seq=None)
            await client.call("expire", seconds=SHORT)
        await gone(store)
        await gone(store, f"{ROOM}@draft")


@pytest.mark.parametrize("seconds", [0, -1, 2**41])
async def test_expiry_takes_no_time_that_is_none(tmp_path: Path, seconds: int) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        with pytest.raises(CallError, match="seconds"):
            await client.call("expire", seconds=seconds)
        assert await client.call("end") is None


async def test_expiry_has_no_timer_for_rooms_that_end_late_and_are_not_in_use(tmp_path: Path) -> None:
    class FullStore(MemoryStore):
        async def __aenter__(self) -> Self:
            await super().__aenter__()
            for n in range(100):
                await self.create(f"session/{n}", f"lineage {n}", now())
            await self.create("session/over", "lineage", 1)
            await self.note("session/over", TTL, b"%d" % (SHORT * 1000))
            return self

    store = FullStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, ROOM) as client:
        await written(client)
        await gone(store, "session/over")
        assert len(await store.rooms()) == 101
        assert len(server.hub.history.expiry) == 1


async def test_expiry_of_what_was_over_before_the_server_started_leaves_time_to_come_back(tmp_path: Path) -> None:
    class OldStore(MemoryStore):
        async def __aenter__(self) -> Self:
            await super().__aenter__()
            for name in ("session/long", "session/short"):
                await self.create(name, f"lineage of {name}", 1)
            await self.note("session/short", TTL, b"%d" % (SHORT * 1000))
            return self

    store, began = OldStore(), now()
    async with in_process_server(tmp_path, store) as server:
        assert SHORT * 100 <= await gone(store, "session/short") - began <= LATE
        async with raw_client(server.url, "session/long") as client:
            await client.until(lambda: client.frames)
            assert isinstance(client.frames[0], Welcome)
            assert client.frames[0].lineage == "lineage of session/long"
            assert (await client.call("end"))["at"] > now()


async def test_expiry_warns_before_the_end_although_the_clock_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, ROOM) as client:
        await written(client)
        await client.call("expire", seconds=SHORT)
        monkeypatch.setattr("comity.server.history.expiry.now", lambda: now() + 3_600_000)
        assert await client.closed() == ERASED
        assert len(notices(client, ENDING)) == 1
