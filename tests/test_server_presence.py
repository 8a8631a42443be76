"""Presence: each connection speaks for its own clients, and nobody stays who has gone."""

import json
from pathlib import Path

import pytest

from comity.crdt_types.errors import TooLargeError
from comity.crdt_types.wire import Awareness, Presence, QueryAwareness, decode, encode
from comity.server.rooms.presence import Roster
from tests.support.raw import raw_client
from tests.support.server import in_process_server


def _entry(client: int, clock: int, name: str | None = "someone") -> Presence:
    return Presence(client, clock, None if name is None else json.dumps({"agent": name}))


def _shown(roster: Roster) -> dict[int, str | None]:
    frame = roster.full_frame()
    if frame is None:
        return {}
    awareness = decode(frame)
    assert isinstance(awareness, Awareness)
    return {entry.client: entry.state for entry in awareness.entries}


def _roster(*, max_bytes: int = 1000, max_entries: int = 3) -> Roster:
    return Roster(max_bytes=max_bytes, max_entries=max_entries)


def test_presence_shows_the_latest_of_each_client() -> None:
    roster = _roster()
    owner = roster.arrive()
    roster.update(owner, [_entry(1, 1, "old"), _entry(2, 1, "other")])
    roster.update(owner, [_entry(1, 2, "new")])
    roster.update(owner, [_entry(1, 1, "late")])
    assert _shown(roster) == {1: '{"agent": "new"}', 2: '{"agent": "other"}'}


def test_presence_of_a_client_is_its_own_connections() -> None:
    roster = _roster()
    owner, other = roster.arrive(), roster.arrive()
    roster.update(owner, [_entry(1, 1, "me")])
    roster.update(other, [_entry(1, 9, "not me"), _entry(1, 10, None)])
    assert _shown(roster) == {1: '{"agent": "me"}'}


def test_presence_moves_to_a_newer_connection_of_the_same_name_that_is_ahead() -> None:
    roster = _roster()
    half_open, again, stranger = roster.arrive("planner"), roster.arrive("planner"), roster.arrive("builder")
    roster.update(half_open, [_entry(1, 5, "before")])
    roster.update(stranger, [_entry(1, 9, "not me")])
    roster.update(again, [_entry(1, 5, "an echo")])
    assert _shown(roster) == {1: '{"agent": "before"}'}
    roster.update(again, [_entry(1, 6, "back")])
    roster.update(half_open, [_entry(1, 7, "late")])
    roster.leave(half_open)
    assert _shown(roster) == {1: '{"agent": "back"}'}
    roster.leave(again)
    assert _shown(roster) == {}


def test_presence_of_the_nameless_is_never_taken_over() -> None:
    roster = _roster()
    first, second = roster.arrive(), roster.arrive()
    roster.update(first, [_entry(1, 5, "me")])
    roster.update(second, [_entry(1, 6, "not me")])
    assert _shown(roster) == {1: '{"agent": "me"}'}


def test_presence_goes_with_its_connection_and_stays_gone() -> None:
    roster = _roster()
    owner, other = roster.arrive(), roster.arrive()
    roster.update(owner, [_entry(1, 5)])
    roster.take_dirty()
    roster.leave(owner)
    assert roster.take_dirty() == {1}
    roster.update(other, [_entry(1, 5)])  # an echo of what it had been told
    assert _shown(roster) == {}


def test_presence_of_a_client_that_reconnects_is_taken_with_the_clock_it_had() -> None:
    roster = _roster()
    owner = roster.arrive()
    roster.update(owner, [_entry(1, 5)])
    roster.leave(owner)
    again = roster.arrive()
    roster.update(again, [_entry(1, 5, "back")])
    assert _shown(roster) == {1: '{"agent": "back"}'}


def test_presence_that_was_removed_can_return_with_a_newer_clock() -> None:
    roster = _roster()
    owner = roster.arrive()
    roster.update(owner, [_entry(1, 5), _entry(1, 5, None)])
    assert _shown(roster) == {}
    roster.update(owner, [_entry(1, 6)])
    assert _shown(roster) == {1: '{"agent": "someone"}'}


def test_presence_is_bounded_in_size_and_number() -> None:
    roster = _roster(max_bytes=40, max_entries=2)
    owner = roster.arrive()
    with pytest.raises(TooLargeError):
        roster.update(owner, [_entry(1, 1, "x" * 40)])
    roster.update(owner, [_entry(1, 1), _entry(2, 1)])
    with pytest.raises(TooLargeError):
        roster.update(owner, [_entry(3, 1)])
    roster.update(owner, [_entry(1, 2, None), _entry(3, 1)])
    assert set(_shown(roster)) == {2, 3}


async def test_presence_reaches_everyone_and_ends_with_the_connection(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as watcher:
        async with raw_client(server.url, "x", v1=False) as agent:
            await agent.announce([_entry(7, 1, "planner")])
            await watcher.until(lambda: watcher.presence.get(7) == _entry(7, 1, "planner"))
            async with raw_client(server.url, "x") as late:
                await late.until(lambda: 7 in late.presence)
        await watcher.until(lambda: watcher.presence[7].state is None)
        assert watcher.presence[7].clock == 1


async def test_presence_ghosts_are_not_raised_by_echoes(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as echo:
        async with raw_client(server.url, "x") as agent:
            await agent.announce([_entry(7, 3)])
            await echo.until(lambda: 7 in echo.presence)
        await echo.until(lambda: echo.presence[7].state is None)
        await echo.announce([_entry(7, 3)])
        await echo.sync()
        assert server.hub.rooms[0].roster.full_frame() is None


async def test_presence_is_told_on_request(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        await client.announce([_entry(7, 1)])
        await client.until(lambda: 7 in client.presence)
        client.presence.clear()
        await client.send(encode(QueryAwareness()))
        await client.until(lambda: 7 in client.presence)


async def test_presence_that_is_too_large_ends_only_its_own_connection(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, presence_bytes=50) as server,
        raw_client(server.url, "x") as client,
        raw_client(server.url, "x") as other,
    ):
        await client.announce([_entry(7, 1, "x" * 60)])
        assert await client.closed() == 4413
        await other.announce([_entry(8, 1)])
        await other.until(lambda: 8 in other.presence)
