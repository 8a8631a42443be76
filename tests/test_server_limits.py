"""Limits: how fast and how much a client may send, and that nobody else notices."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pycrdt
import pytest
from websockets.exceptions import ConnectionClosed

import comity
from comity import Counter, State
from comity.crdt_types.errors import TooFastError
from comity.crdt_types.update import EMPTY_STATE_VECTOR
from comity.crdt_types.wire import STEP1, Notice, Presence, QueryAwareness, Reject, Welcome, encode, encode_sync
from comity.persistence.journal import MAX_PENDING_BYTES
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append
from comity.server.auth import ANONYMOUS, Principal
from comity.server.limits import FEW_POOLS, Allowance, Allowances, Limit, Rates, TokenBucket
from comity.server.rooms import volume
from comity.server.rooms.volume import Volume
from comity.server.transport.addresses import address_of
from comity.server.transport.websocket import BURST
from tests.support.raw import RawClient, raw_client
from tests.support.server import in_process_server
from tests.support.waiting import eventually

PLANNER = Principal("planner", authenticated=False)
BUILDER = Principal("builder", authenticated=False)
KNOWN = Principal("planner", authenticated=True)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Mission(State):
    spent: Counter


# Buckets ------------------------------------------------------------------------------------------------------------


def test_limits_a_bucket_holds_a_burst_and_fills_at_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 30, clock)
    assert bucket.level() == 30
    bucket.take(30)
    clock.now = 0.5
    assert bucket.level() == 5
    clock.now = 100
    assert bucket.level() == 30


def test_limits_a_bucket_that_owes_tells_when_it_has_a_seconds_worth() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 30, clock)
    bucket.take(50)
    assert bucket.wait() == 3
    clock.now = bucket.wait()
    assert bucket.level() == 10
    assert bucket.wait() == 0


def _spent(allowance: Allowance, size: int = 1) -> int:
    """Spend until it is too much, and return how many messages that were."""
    count = 0
    while True:
        try:
            allowance.spend(size)
        except TooFastError:
            return count
        count += 1


def test_limits_a_connection_may_send_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    with Allowances(Rates(10, 0, 3, 1), Rates(0, 0, 3, 1), clock).of(ANONYMOUS, None) as allowance:
        assert _spent(allowance) == 30
        clock.now = 2
        assert 19 <= _spent(allowance) <= 20
        clock.now = 1000
        assert 29 <= _spent(allowance) <= 30


def test_limits_say_which_was_passed_and_when_to_come_back() -> None:
    clock = Clock()
    with Allowances(Rates(0, 100, 1, 1000), Rates(0, 0, 1, 1), clock).of(ANONYMOUS, None) as allowance:
        allowance.spend(1000)
        with pytest.raises(TooFastError, match=r"more than 100 bytes a second; come back in 1\.0 s") as raised:
            allowance.spend(1)
    assert raised.value.limit == "connection_bytes"
    assert raised.value.retry_after == 1


def test_limits_let_the_largest_message_pass_however_low_the_rate() -> None:
    with Allowances(Rates(0, 1, 1, 64_000), Rates(0, 1, 1, 64_000), Clock()).of(PLANNER, None) as allowance:
        allowance.spend(64_000)


def test_limits_without_a_rate_let_everything_pass() -> None:
    with Allowances(Rates(0, 0, 1, 1), Rates(0, 0, 1, 1), Clock()).of(PLANNER, "10.0.0.1") as allowance:
        for _ in range(100_000):
            allowance.spend(1_000_000)
    assert allowance.messages == 100_000


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        ((PLANNER, "127.0.0.1"), (PLANNER, "127.0.0.1"), True),
        ((PLANNER, "127.0.0.1"), (BUILDER, "127.0.0.1"), False),
        ((ANONYMOUS, "127.0.0.1"), (ANONYMOUS, "127.0.0.1"), False),
        ((PLANNER, "10.0.0.1"), (PLANNER, "10.0.0.2"), False),
        ((PLANNER, "10.0.0.1"), (BUILDER, "10.0.0.1"), True),
        ((ANONYMOUS, "10.0.0.1"), (PLANNER, "10.0.0.1"), True),
        ((KNOWN, "10.0.0.1"), (KNOWN, "10.0.0.2"), True),
        ((KNOWN, "127.0.0.1"), (PLANNER, "127.0.0.1"), False),
    ],
)
def test_limits_of_a_principal_hold_for_its_connections_together(
    one: tuple[Principal, str], other: tuple[Principal, str], is_shared: bool
) -> None:
    allowances = Allowances(Rates(0, 0, 1, 1), Rates(10, 0, 1, 1), Clock())
    with allowances.of(*one) as first, allowances.of(*other) as second:
        for _ in range(10):
            first.spend(1)
        if is_shared:
            with pytest.raises(TooFastError) as raised:
                second.spend(1)
            assert raised.value.limit == "principal_messages"
        else:
            for _ in range(10):
                second.spend(1)


def test_limits_of_a_principal_outlive_its_connection_as_long_as_they_are_not_made_up_for() -> None:
    clock = Clock()
    allowances = Allowances(Rates(0, 0, 1, 1), Rates(10, 0, 1, 1), clock)
    with allowances.of(PLANNER, None) as before:
        assert _spent(before) == 10
    for number in range(2 * FEW_POOLS):
        with allowances.of(Principal(f"agent {number}", authenticated=False), None):
            pass
    with allowances.of(PLANNER, None) as again, pytest.raises(TooFastError):
        again.spend(1)
    clock.now = 1
    with allowances.of(PLANNER, None) as later:
        assert _spent(later) == 10


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::2", "2001:db8::/64"),
        ("127.0.0.1", None),
        ("127.8.8.8", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        (None, None),
        ("testclient", "testclient"),
    ],
)
def test_limits_take_an_address_for_all_that_can_be_behind_it(host: str | None, address: str | None) -> None:
    assert address_of(host) == address


# Rates on a server --------------------------------------------------------------------------------------------------


async def _flood(client: RawClient, count: int) -> None:
    """Send edits as fast as it goes, until the server has had enough."""
    with suppress(ConnectionClosed):
        for _ in range(count):
            await client.edit("x")


async def test_limits_tell_a_client_when_to_come_back_and_close(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, connection_messages=5, burst_seconds=4) as server:
        async with raw_client(server.url, "x") as client:
            await client.sync()
            updates = [client.change("x") for _ in range(50)]
            await asyncio.gather(*map(client.update, updates), return_exceptions=True)
            assert await client.closed() == 4529
            notice = client.frames[-1]
            assert isinstance(notice, Notice)
            assert notice.code == 4529
            assert notice.retry_after is not None
            assert 0 < notice.retry_after <= 1.25
            assert client.close_reason == notice.text
            assert "more than 5 messages a second; come back in" in notice.text
        assert server.hub.refusals == {"connection_messages": 1}
        async with raw_client(server.url, "x") as reader:
            await reader.sync()
            assert client.acknowledged - 1 <= len(reader.value()) < 20


async def test_limits_tell_a_plain_client_by_the_close_reason(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, connection_bytes=100, max_message=1024, burst_seconds=1) as server,
        raw_client(server.url, "x", v1=False) as client,
    ):
        await client.sync()
        with suppress(ConnectionClosed):
            for _ in range(3):
                await client.edit("x" * 600)
        assert await client.closed() == 4529
        assert client.close_reason.startswith("more than 100 bytes a second; come back in")
        assert server.hub.refusals == {"connection_bytes": 1}


async def test_limits_of_a_principal_do_not_touch_another(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, principal_messages=1, burst_seconds=20) as server,
        raw_client(server.url, "x", agent="planner") as one,
        raw_client(server.url, "y", agent="planner") as two,
        raw_client(server.url, "x", agent="builder") as other,
    ):
        await _flood(one, 12)
        await _flood(two, 12)
        assert await two.closed() == 4529
        await other.edit("still here")
        await other.durable()
        assert server.hub.refusals == {"principal_messages": 1}


async def test_limits_send_away_at_once_who_comes_back_too_early(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, principal_messages=2, burst_seconds=5) as server:
        async with raw_client(server.url, "x", agent="planner") as client:
            await _flood(client, 20)
            assert await client.closed() == 4529
        async with raw_client(server.url, "x", agent="planner") as client:
            assert await client.closed() == 4529
            assert [type(frame) for frame in client.frames] == [Notice]
        assert server.hub.refusals == {"principal_messages": 2}


async def test_limits_lose_no_edit_of_a_client_that_writes_ten_times_its_rate(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    went: list[float] = []
    came: list[float] = []
    async with (
        in_process_server(tmp_path, connection_messages=20, burst_seconds=1) as server,
        comity.connect(server.url, agent="planner").open("x", Mission) as mission,
    ):
        await mission.synced()
        times = {"offline": went, "syncing": came}
        mission.replica.on_status(lambda status: times.get(status, []).append(loop.time()))
        made = 0
        while server.hub.refusals["connection_messages"] < 2:
            mission.spent.add(1)
            made += 1
            await asyncio.sleep(1 / 200)
        await mission.durable()
        assert mission.replica.unmerged == []
        assert server.hub.closes == {4529: 2}
        # What it was asked for is between 1 s and what a turn's worth of messages is over the limit.
        assert all(later - before >= 1 for before, later in zip(went, came, strict=True))
        async with comity.connect(server.url).open("x", Mission) as reader:
            await reader.synced()
            assert reader.spent.value == made


async def test_limits_hold_for_presence_too(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, connection_messages=100, burst_seconds=1) as server,
        raw_client(server.url, "x") as flooder,
        raw_client(server.url, "x") as other,
    ):
        await other.sync()
        entries = [Presence(7, clock, json.dumps({"at": clock})) for clock in range(1, 300)]
        await asyncio.gather(*(flooder.announce([entry]) for entry in entries), return_exceptions=True)
        assert await flooder.closed() == 4529
        await other.until(lambda: 7 in other.presence and other.presence[7].state is None)
        # The states of a moment go out as one: nobody is sent what the flooder sends.
        assert len(other.frames) < 50
        await other.edit("still here")
        await other.durable()


@pytest.mark.parametrize("request_", [encode_sync(STEP1, EMPTY_STATE_VECTOR), encode(QueryAwareness())])
async def test_limits_count_what_is_asked_for(tmp_path: Path, request_: bytes) -> None:
    rates: dict[str, Any] = {"connection_bytes": 20_000, "burst_seconds": 1, "max_message": 20_000}
    async with in_process_server(tmp_path, **rates) as server:
        async with raw_client(server.url, "x") as writer:
            await writer.edit("x" * 10_000)
            await writer.announce([Presence(7, 1, json.dumps({"about": "x" * 9_000}))])
            await writer.durable()
            async with raw_client(server.url, "x") as client:
                with suppress(ConnectionClosed):
                    for _ in range(10):
                        await client.send(request_)
                assert await client.closed() == 4529
        assert server.hub.refusals == {"connection_bytes": 1}


async def _pour(client: RawClient, updates: list[bytes]) -> None:
    """Send updates over and over, as fast as it goes, but let others have their turn in this loop."""
    for number, update in enumerate(itertools.cycle(updates)):
        await client.update(update)
        if number % 100 == 0:
            await asyncio.sleep(0)


async def test_limits_keep_a_flood_from_another_client_and_from_memory(tmp_path: Path) -> None:
    most = {"queued": 0, "pending": 0}
    async with (
        in_process_server(tmp_path, connection_messages=0, principal_messages=0) as server,
        raw_client(server.url, "x", agent="flooder") as flooder,
        raw_client(server.url, "x", agent="editor", answers=False) as editor,
    ):
        await editor.sync()
        await flooder.sync()
        updates = [flooder.change("x") for _ in range(10_000)]
        flooding = asyncio.create_task(_pour(flooder, updates))
        room = server.hub.rooms[0]
        for number in range(20):
            await editor.edit(f"{number} ")
            while editor.acknowledged < editor.sent:
                await asyncio.sleep(0)
                most["queued"] = max(most["queued"], *(member.outbox.queued_bytes for member in room.members))
                most["pending"] = max(most["pending"], server.hub.archive.pending_bytes)
        assert not flooding.done()
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        await flooder.durable()
        assert most["queued"] <= server.app.settings.outbox_limit
        assert most["pending"] <= MAX_PENDING_BYTES + 2 * BURST * max(map(len, updates))


class _HeldStore(MemoryStore):
    """A store that writes when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write = asyncio.Event()

    async def append(self, batch: Sequence[Append]) -> None:
        await self.may_write.wait()
        await super().append(batch)


async def test_limits_keep_what_the_disk_does_not_take_out_of_memory(tmp_path: Path) -> None:
    store = _HeldStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x", agent="flooder") as flooder,
        raw_client(server.url, "y", agent="editor") as editor,
    ):
        size = 48 * 1024
        updates = [_text_update("x" * size) for _ in range(300)]
        flooding = asyncio.create_task(_flood_with(flooder, updates))
        await editor.edit("meanwhile")
        await eventually(lambda: server.hub.archive.full)
        for _ in range(30):
            await asyncio.sleep(0.01)  # in which all of it would come
            assert server.hub.archive.pending_bytes <= MAX_PENDING_BYTES + 4 * size
        store.may_write.set()
        await editor.durable()
        await flooding
        await flooder.durable()


def _text_update(text: str) -> bytes:
    document: pycrdt.Doc[Any] = pycrdt.Doc()
    document.get("t", type=pycrdt.Text).insert(0, text)
    return document.get_update()


async def _flood_with(client: RawClient, updates: list[bytes]) -> None:
    for update in updates:
        await client.update(update)


# Sizes and counts ---------------------------------------------------------------------------------------------------


def test_limits_measure_a_document_only_when_its_bound_says_it_is_too_large() -> None:
    clock = Clock()
    sizes = [600, 990]
    room = Volume(1000, 900, clock)
    assert room.fits(100)
    assert not room.fits(101)
    room.measure(lambda: sizes.pop(0))
    assert room.bound == 600
    room.bound += 400
    room.measure(lambda: sizes.pop(0))
    assert not room.fits(1)  # measured a moment ago
    clock.now += volume.MEASURE_SECONDS
    room.measure(lambda: sizes.pop(0))
    assert room.fits(10)


def test_limits_without_one_let_a_document_grow() -> None:
    assert Volume().fits(1 << 62)


async def test_limits_a_document_that_is_full_can_be_read_and_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "MEASURE_SECONDS", 0.0)
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        await client.edit("x" * 9_000)
        await client.durable()
    async with in_process_server(tmp_path, max_document=5_000) as server:
        async with raw_client(server.url, "x") as client:
            await client.sync()
            assert len(client.value()) == 9_000
            await client.edit("y")
            await client.until(lambda: any(isinstance(frame, Reject) for frame in client.frames))
            reject = client.frames[-1]
            assert isinstance(reject, Reject)
            assert (reject.n, reject.code, reject.retry_after) == (client.sent, 4413, None)
            assert "5,000 bytes" in reject.reason
        async with raw_client(server.url, "x") as client:
            await client.sync()
            state = client.doc.get_state()
            del client.text[0:8_000]
            await client.update(client.doc.get_update(state))
            await client.edit("y" * 2_000)
            await client.durable()
            assert not any(isinstance(frame, Reject) for frame in client.frames)
        assert server.hub.refusals == {"max_document": 1}


async def test_limits_of_a_document_hold_while_it_grows(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_document=10_000) as server, raw_client(server.url, "x") as client:
        await client.sync()
        before = client.sent
        for _ in range(6):
            await client.edit("x" * 2_000)
        await client.until(lambda: any(isinstance(frame, Reject) for frame in client.frames))
        assert next(frame.n for frame in client.frames if isinstance(frame, Reject)) == before + 5
        assert server.hub.refusals["max_document"] >= 1


async def test_limits_of_a_document_hold_over_a_restart_and_for_plain_clients(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        await client.sync()
        await client.edit("x" * 9_000)
        await client.durable()
    async with (
        in_process_server(tmp_path, max_document=10_000) as server,
        raw_client(server.url, "x", v1=False) as client,
    ):
        await client.sync()
        await client.edit("x" * 2_000)
        assert await client.closed() == 4413


async def test_limits_of_a_document_do_not_count_what_came_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "MEASURE_SECONDS", 0.0)
    async with in_process_server(tmp_path, max_document=10_000) as server, raw_client(server.url, "x") as client:
        await client.sync()
        update = client.change("x" * 4_000)
        for _ in range(10):
            await client.update(update)
        await client.durable()
        assert not server.hub.refusals


async def test_limits_unload_the_rooms_nobody_is_in_before_they_refuse_one(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_rooms=2) as server:
        for name in ("a", "b", "c"):
            async with raw_client(server.url, name) as client:
                await client.edit(name)
                await client.durable()
        assert [room.name for room in server.hub.rooms] == ["b", "c"]
        async with raw_client(server.url, "a") as one, raw_client(server.url, "b") as two:
            await one.sync()
            await two.sync()
            assert (one.value(), two.value()) == ("a", "b")
            async with raw_client(server.url, "c") as third:
                assert await third.closed() == 4503
                notice = third.frames[-1]
                assert isinstance(notice, Notice)
                assert notice.retry_after is not None
                assert "--max-rooms" in notice.text
        assert server.hub.refusals == {"max_rooms": 1}
        async with raw_client(server.url, "c") as third:
            await third.sync()
            assert third.value() == "c"


async def test_limits_count_rooms_that_are_being_loaded(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_rooms=3) as server:
        async with AsyncExitStack() as stack:
            entering = (stack.enter_async_context(raw_client(server.url, str(number))) for number in range(6))
            clients = await asyncio.gather(*entering)
            await eventually(lambda: all(client.frames for client in clients))
            welcome = [client for client in clients if isinstance(client.frames[0], Welcome)]
            assert len(welcome) == len(server.hub.rooms) == 3
        assert server.hub.refusals == {"max_rooms": 3}


async def test_limits_end_a_connection_on_which_nothing_happens(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, idle_timeout=0.3) as server, raw_client(server.url, "x") as idle:
        await idle.sync()
        assert await idle.closed() == 4503
        assert idle.close_reason.startswith("nothing was sent for 0.3 s")
        assert server.hub.refusals == {"idle_timeout": 1}


async def test_limits_leave_a_connection_that_only_listens(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, idle_timeout=1) as server,
        raw_client(server.url, "x") as listener,
        raw_client(server.url, "x") as writer,
    ):
        await listener.sync()
        for number in range(40):
            await writer.edit(str(number))
            await asyncio.sleep(0.05)
        await listener.until(lambda: listener.value() == writer.value())
        assert listener.close_code is None
        assert not server.hub.refusals


async def _over_message(client: RawClient) -> None:
    await client.edit("x" * 2_000)


async def _over_presence(client: RawClient) -> None:
    await client.announce([Presence(7, 1, json.dumps({"about": "x" * 200}))])


async def _over_entries(client: RawClient) -> None:
    await client.announce([Presence(number, 1, "{}") for number in range(3)])


async def _over_waiting(client: RawClient) -> None:
    client.change("never sent")
    await _flood(client, 4)


@pytest.mark.parametrize(
    ("over", "limit", "code"),
    [
        (_over_message, "max_message", 4413),
        (_over_presence, "presence_bytes", 4413),
        (_over_entries, "presence_entries", 4413),
        (_over_waiting, "max_pending_sync", 4400),
    ],
)
async def test_limits_are_counted_by_their_settings(tmp_path: Path, over: Any, limit: str, code: int) -> None:
    low: dict[str, Any] = {"max_message": 1024, "presence_bytes": 100, "presence_entries": 2, "max_pending_sync": 2}
    async with (
        in_process_server(tmp_path, **low) as server,
        raw_client(server.url, "x", answers=False) as client,
    ):
        await client.until(lambda: client.frames)
        await over(client)
        assert await client.closed() == code
        assert server.hub.refusals == {limit: 1}


async def test_limits_count_a_message_that_the_transport_did_not_receive_to_its_end(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_message=1024) as server, raw_client(server.url, "x") as client:
        await client.edit("x" * 3_000)
        assert await client.closed() == 1009
        assert server.hub.refusals == {"max_message": 1}


async def test_limits_count_a_room_name_that_is_too_long(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x" * 201) as client:
        assert await client.closed() == 4404
        assert server.hub.refusals == {"room_name_length": 1}


def test_allowance_owes_for_answers_and_says_how_long() -> None:
    clock = Clock()
    bucket = TokenBucket(100, 200, clock)
    allowance = Allowance((), (Limit("bytes", "bytes", bucket),))
    assert allowance.owe(150) == 0.0
    assert allowance.owe(250) == pytest.approx(3.0)  # 200 owed, and a second's worth
    clock.now = 3.0
    assert bucket.level() == pytest.approx(100.0)
    assert allowance.owe(50) == 0.0
