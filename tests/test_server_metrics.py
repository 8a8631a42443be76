"""Metrics: every one is documented, and says exactly what happened."""

import asyncio
import re
import time
from collections.abc import Iterable
from functools import partial
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import pycrdt
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample
from websockets.asyncio.client import connect

import comity
from comity.crdt_types.wire import Awareness, Presence, Reject, SyncStep2, Update, encode
from comity.persistence.compaction import TAIL_FLOOR
from comity.persistence.errors import StoreError, StoreFullError
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Loaded
from comity.server.monitoring import pulse
from comity.server.monitoring.pulse import Pulse
from comity.server.monitoring.tally import Histogram, Tallies, tier
from comity.server.rooms.vetting import vet
from tests.support.gated import FaultyStore
from tests.support.optional import ROOT
from tests.support.raw import RawClient, narrow_socket, raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

LIMIT: Final = 64 * 1024
EDIT: Final = "x" * 32 * 1024


class Answer(NamedTuple):
    status: int
    media_type: str
    body: str


class Scrape:
    """The samples of one answer, by their names after ``comity_`` and their labels; 0 for what is not there."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}

    def __call__(self, name: str, **labels: str) -> float:
        return self._values.get((f"comity_{name}", frozenset(labels.items())), 0.0)

    def of(self, names: str, **labels: str) -> list[float]:
        """Return the values of some names, separated by spaces."""
        return [self(name, **labels) for name in names.split()]


def _request(port: int, path: str, method: str, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers["content-type"], response.read().decode())
    finally:
        connection.close()


async def _ask(server: ServerHere, path: str = "/metrics", *, method: str = "GET", **headers: str) -> Answer:
    return await asyncio.to_thread(_request, server.port, path, method, headers)


async def _scrape(server: ServerHere) -> Scrape:
    answer = await _ask(server)
    assert answer.status == 200
    return Scrape(sample for metric in parser.text_string_to_metric_families(answer.body) for sample in metric.samples)


def _sizes(client: RawClient, kind: type[Update | Awareness | SyncStep2]) -> list[int]:
    """Return how many bytes each message of a kind had that a client received."""
    return [len(encode(frame)) for frame in client.frames if isinstance(frame, kind)]


def _has(client: RawClient, presence: Presence) -> bool:
    return client.presence.get(presence.client) == presence


# The page and its formats


async def test_metrics_are_documented_each_and_nothing_else_is(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        text = (await _ask(server)).body
    named = re.findall(r"^# TYPE (comity_\w+) (\w+)$", text, re.MULTILINE)
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(comity_\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert sorted(named) == sorted(documented)
    assert len(named) == len({name for name, _ in named})


@pytest.mark.parametrize("tested", ["of one room", "of rooms in every tier"])
async def test_metrics_come_in_both_formats_and_are_the_same(tmp_path: Path, tested: str) -> None:
    names = (
        ["x"]
        if tested == "of one room"
        else [f"{name}/x" for name in ("local", "shared", "session", "persistent", "x")]
    )
    async with in_process_server(tmp_path) as server:
        for name in names:
            async with raw_client(server.url, name) as client:
                await client.sync()
        plain = await _ask(server)
        opened = await _ask(server, Accept="application/openmetrics-text; version=1.0.0")
    assert plain.media_type.startswith("text/plain")
    assert opened.media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert opened.body.endswith("# EOF\n")
    assert opened.body.count("# EOF") == 1
    one = {metric.name for metric in parser.text_string_to_metric_families(plain.body)}
    families = openmetrics.text_string_to_metric_families(opened.body)  # type: ignore[no-untyped-call]
    other = {metric.name for metric in families}
    assert one == other
    assert {"process_resident_memory_bytes", "python_gc_collections", "python_info"} <= one


async def test_metrics_say_which_version_runs(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        assert (await _scrape(server))("build_info", version=comity.__version__) == 1


async def test_metrics_are_only_read_and_change_no_answer_about_health(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        before = await _ask(server, "/readyz")
        head = await _ask(server, method="HEAD")
        assert (head.status, head.body) == (200, "")
        assert (await _ask(server, method="POST")).status == 405
        assert (await _ask(server, method="DELETE")).status == 405
        assert await _ask(server, "/readyz") == before


async def test_metrics_of_two_servers_in_one_process_are_apart(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path / "one") as one,
        in_process_server(tmp_path / "other") as other,
        raw_client(one.url, "x") as client,
    ):
        await client.sync()
        assert (await _scrape(one))("rooms", tier="other") == 1
        assert (await _scrape(other))("rooms", tier="other") == 0


# Who may read it


@pytest.mark.parametrize("path", ["/metrics", "/api/rooms"])
async def test_metrics_are_not_for_pages_of_other_sites(tmp_path: Path, path: str) -> None:
    async with in_process_server(tmp_path) as server:
        assert (await _ask(server, path, Origin="https://evil.example")).status == 403
        assert (await _ask(server, path, Host="evil.example")).status == 403
        assert (await _ask(server, path, Origin=server.http)).status == 200


@pytest.mark.parametrize("path", ["/metrics", "/api/rooms"])
async def test_metrics_are_not_for_pages_that_make_a_name_their_own(tmp_path: Path, path: str) -> None:
    async with in_process_server(tmp_path, insecure=True, origins="http://comity.lan:8765") as server:
        rebound = await _ask(server, path, Host="evil.example:8765")  # no origin: to the browser it is the page's own
        assert rebound.status == 403
        assert "http://evil.example:8765 to COMITY_ORIGINS" in rebound.body
        for host in ("comity.lan:8765", "192.0.2.7:8765", "localhost:8765"):
            assert (await _ask(server, path, Host=host)).status == 200
        assert (await _ask(server, "/", Host="evil.example:8765")).status == 200
        assert (await _ask(server, "/readyz", Host="evil.example:8765")).status == 200
    async with in_process_server(tmp_path, insecure=True, origins="*") as server:
        assert (await _ask(server, path, Host="any.example")).status == 200


# Updates


async def test_metrics_count_updates_from_their_sender_to_the_disk_and_to_every_reader(tmp_path: Path) -> None:
    store = MemoryStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "shared/x", answers=False) as writer,
        raw_client(server.url, "shared/x", answers=False) as one,
        raw_client(server.url, "shared/x", v1=False, answers=False) as other,
    ):
        for client in (writer, one, other):
            await client.sync()
        updates = [writer.change(f"edit {n} ") for n in range(7)]
        for update in updates:
            await writer.update(update)
            await writer.durable()
        for reader in (one, other):
            await reader.until(lambda reader=reader: reader.value() == writer.value())  # type: ignore[misc]
        page = await _scrape(server)
    async with store:
        records = await store.records("shared/x")
    names = "updates_received_total updates_stored_total acks_total updates_acknowledged_total turn_seconds_count"
    assert page.of(names, tier="shared") == [7, 7, 7, 7, 7]
    assert page("received_bytes_total", tier="shared") == sum(map(len, updates))
    assert page("stored_bytes_total", tier="shared") == sum(len(record.update) for record in records)
    assert page("updates_delivered_total", tier="shared") == 7 * 2
    assert page("delivered_bytes_total", tier="shared") == sum(_sizes(one, Update) + _sizes(other, Update))
    assert page("ack_seconds_count", tier="shared") == 7
    assert page("ack_seconds_bucket", tier="shared", le="+Inf") == 7
    assert page("ack_seconds_sum", tier="shared") >= page("turn_seconds_sum", tier="shared") > 0
    assert page.of("commit_seconds_count commit_updates_count commit_updates_sum") == [7, 7, 7]
    assert page("syncs_total", tier="shared") == 3
    sync_bytes = [size for client in (writer, one, other) for size in _sizes(client, SyncStep2)]
    assert page("sync_bytes_total", tier="shared") == sum(sync_bytes)
    assert page.of("updates_held_total updates_skipped_total catch_ups_total", tier="shared") == [0, 0, 0]
    assert page("journal_pending_bytes") == 0


async def test_metrics_tell_how_many_updates_were_merged(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x", answers=False, agent="writer") as writer,
        raw_client(server.url, "x", answers=False) as reader,
    ):
        await writer.sync()
        await reader.sync()
        await writer.edit("first ")
        await writer.durable()
        room = server.hub.rooms[0]
        member = next(member for member in room.members if member.author == "writer")
        for text in ("in ", "one ", "turn"):
            update = writer.change(text)
            room.receive(member, update, vet(update))
            writer.sent += 1
        await writer.durable()
        await reader.until(lambda: reader.value() == "first in one turn")
        page = await _scrape(server)
    counted = "updates_received_total updates_stored_total updates_delivered_total"
    assert page.of(counted, tier="other") == [4, 2, 2]
    assert page.of("acks_total updates_acknowledged_total turn_seconds_count", tier="other") == [2, 4, 2]


async def test_metrics_count_what_changes_nothing_as_received_only(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x", answers=False) as client:
        await client.sync()
        update = client.change("once")
        for _ in range(3):
            await client.update(update)
            await client.durable()
        page = await _scrape(server)
    assert page.of("updates_received_total updates_stored_total acks_total", tier="other") == [3, 1, 3]
    assert page.of("turn_seconds_count ack_seconds_count", tier="other") == [3, 3]
    assert page("commit_seconds_count") == 1


async def test_metrics_count_updates_that_wait_for_others(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x", answers=False) as client:
        await client.sync()
        first, second = client.change("first "), client.change("second")
        await client.update(second)
        await eventually(lambda: server.hub.rooms[0].waiting)
        page = await _scrape(server)
        assert page.of("updates_received_total updates_held_total updates_waiting", tier="other") == [1, 1, 1]
        assert page.of("updates_stored_total acks_total", tier="other") == [0, 0]
        await client.update(first)
        await client.durable()
        page = await _scrape(server)
    assert page.of("updates_received_total updates_held_total updates_waiting", tier="other") == [2, 1, 0]
    assert page.of("updates_stored_total updates_acknowledged_total", tier="other") == [1, 2]


async def test_metrics_count_updates_that_are_turned_down(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, anyone="read") as server,
        raw_client(server.url, "x") as client,
        raw_client(server.url, "x", v1=False) as plain,
    ):
        await client.sync()
        await plain.sync()
        for text in ("no ", "no again"):
            await client.edit(text)
        await client.until(lambda: [type(frame) for frame in client.frames].count(Reject) == 2)
        await plain.edit("no")
        assert await plain.closed() == 4403
        page = await _scrape(server)
    assert page("rejects_total", tier="other", code="4403") == 2
    assert page("closes_total", code="4403") == 1
    assert page("updates_received_total", tier="other") == 0


# Connections


async def test_metrics_count_connections_by_what_they_speak(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        for _ in range(2):
            async with (
                raw_client(server.url, "shared/x") as one,
                raw_client(server.url, "other") as two,
                raw_client(server.url, "shared/x", v1=False) as plain,
                connect(f"{server.url}/hocuspocus"),
            ):
                for client in (one, two, plain):
                    await client.sync()
                page = await _scrape(server)
                assert page("connections", kind="comity") == 2
                assert page("connections", kind="plain") == 1
                assert page("connections", kind="hocuspocus") == 1
                assert (page("members", tier="shared"), page("members", tier="other")) == (2, 1)
            await server.app.empty()
        page = await _scrape(server)
    assert (page("connections", kind="comity"), page("connections", kind="plain")) == (0, 0)
    assert page("connections_opened_total", kind="comity") == 4
    assert page("connections_opened_total", kind="plain") == 2
    assert page("connections_opened_total", kind="hocuspocus") == 2
    assert (page("members", tier="shared"), page("rooms", tier="shared"), page("rooms", tier="other")) == (0, 1, 1)


async def test_metrics_count_closes_and_refusals(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, room_name_length=10) as server:
        for _ in range(2):
            async with raw_client(server.url, "x") as client:
                await client.send(b"\x05")
                assert await client.closed() == 4400
        async with raw_client(server.url, "x" * 11) as client:
            assert await client.closed() == 4404
        page = await _scrape(server)
    assert page("closes_total", code="4400") == 2
    assert page("closes_total", code="4404") == 1
    assert page("refusals_total", limit="room_name_length") == 1


async def test_metrics_tell_of_a_reader_that_falls_behind_and_catches_up(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, outbox_limit=LIMIT) as server,
        raw_client(server.url, "x", answers=False) as writer,
        raw_client(server.url, "x", agent="reader", answers=False, sock=narrow_socket(server.port)) as reader,
    ):
        await writer.sync()
        await reader.sync()
        reader.hold()
        room = server.hub.rooms[0]
        outbox = next(member.outbox for member in room.members if member.author == "reader")
        while not outbox.is_behind:
            await writer.edit(EDIT)
            await writer.durable()
        for _ in range(5):
            await writer.edit(EDIT)
            await writer.durable()
        page = await _scrape(server)
        assert page.of("readers_behind readers_fallen_behind_total", tier="other") == [1, 1]
        assert page("updates_skipped_total", tier="other") == 5
        assert page("outbox_bytes", tier="other") == outbox.queued_bytes > LIMIT
        assert page("catch_ups_total", tier="other") == 0
        reader.read_on()
        await reader.until(lambda: reader.value() == writer.value())
        await eventually(lambda: not outbox.is_behind)
        page = await _scrape(server)
    names = "readers_behind readers_fallen_behind_total updates_skipped_total catch_ups_total outbox_bytes"
    assert page.of(names, tier="other") == [0, 1, 5, 1, 0]
    received = _sizes(reader, Update)
    assert page("updates_delivered_total", tier="other") - 5 + 1 == len(received)
    assert page("catch_up_bytes_total", tier="other") == received[-1]


async def test_metrics_count_presence(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x", answers=False) as one,
        raw_client(server.url, "x", answers=False) as other,
    ):
        await one.sync()
        await other.sync()
        for clock in (1, 2, 3):
            await one.announce([Presence(7, clock, '{"n":1}'), Presence(8, clock, "{}")])
            for client in (one, other):
                await client.until(partial(_has, client, Presence(8, clock, "{}")))
        page = await _scrape(server)
        names = "presence_received_total presence_told_total presence_delivered_total presence_clients"
        assert page.of(names, tier="other") == [3, 3, 6, 2]
        assert page("presence_bytes_total", tier="other") == sum(_sizes(one, Awareness) + _sizes(other, Awareness))
        await one.leave()
        await other.until(lambda: other.presence[8].state is None)
        page = await _scrape(server)
    assert page.of(names, tier="other") == [3, 4, 7, 0]


# Rooms and the disk


class _FaultyStore(MemoryStore):
    """A store that fails where it is told to."""

    fails: frozenset[str] = frozenset()

    def _may(self, what: str) -> None:
        if what in self.fails:
            raise StoreError("no", subject=what)

    async def load(self, room: str) -> Loaded | None:
        self._may("load")
        return await super().load(room)

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        self._may("snapshot")
        await super().snapshot(room, seq, state, at)


async def test_metrics_time_loads_and_snapshots_and_count_those_that_fail(tmp_path: Path) -> None:
    store = _FaultyStore()
    async with in_process_server(tmp_path, store, idle_seconds=0.0) as server:
        store.fails = frozenset({"load"})
        async with raw_client(server.url, "session/x", answers=False) as client:
            assert await client.closed() == 4503
        store.fails = frozenset({"snapshot"})
        async with raw_client(server.url, "session/x", answers=False) as client:
            await client.sync()
            room = server.hub.rooms[0]
            await client.edit("y" * TAIL_FLOOR)
            await eventually(lambda: room.contents.snapshot_bytes)  # put off until the tail has doubled
            page = await _scrape(server)
            assert page.of("snapshot_seconds_count snapshot_failures_total", tier="session") == [0, 1]
            store.fails = frozenset()
            await client.edit("z" * 3 * TAIL_FLOOR)
            await eventually(lambda: not room.contents.tail_bytes)
        page = await _scrape(server)
    names = "snapshot_seconds_count snapshot_failures_total room_load_seconds_count room_load_failures_total"
    assert page.of(names, tier="session") == [1, 1, 1, 1]
    assert page("snapshot_seconds_sum", tier="session") > 0
    assert page("room_load_seconds_sum", tier="session") > 0
    assert page("storage_failed") == 0


async def test_metrics_count_rooms_that_are_loaded_anew_or_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_updates: bytes) -> bytes:
        monkeypatch.undo()
        raise MemoryError

    store = _FaultyStore()
    async with in_process_server(tmp_path, store) as server:
        for reason in ("in a turn", "in a turn, and cannot be loaded"):
            async with raw_client(server.url, "x", answers=False) as client:
                await client.sync()
                await client.edit("kept ")
                await client.durable()
                room = server.hub.rooms[0]
                update = client.change(reason)
                store.fails = frozenset({"load"} if "cannot" in reason else ())
                monkeypatch.setattr(pycrdt.Doc, "apply_update", fail)
                room.receive(room.members[0], update, vet(update))
                assert await client.closed() in (4400, 4500)
                await eventually(lambda room=room: room.is_idle)  # type: ignore[misc]
        store.fails = frozenset()
        page = await _scrape(server)
    assert page.of("room_reloads_total room_failures_total", tier="other") == [2, 1]


async def test_metrics_tell_that_storage_has_failed(tmp_path: Path) -> None:
    store = FaultyStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x", answers=False) as client:
        await client.sync()
        await client.edit("on disk")
        await client.durable()
        store.error = StoreFullError("full")
        await client.edit("never on disk")
        await client.closed()
        page = await _scrape(server)
        store.error = None
        await eventually(lambda: not server.app.archive.failed)
        after = await _scrape(server)
    names = "updates_received_total updates_stored_total acks_total"
    assert page.of("storage_failed storage_faults_total commit_seconds_count") == [1, 1, 1]
    assert page.of(names, tier="other") == [2, 1, 1]
    assert after.of("storage_failed storage_faults_total") == [0, 1]


# Under load


async def test_metrics_only_grow_while_people_write_and_are_exact_in_the_end(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:

        async def write(room: str) -> RawClient:
            async with raw_client(server.url, room, answers=False) as client:
                await client.sync()
                for n in range(60):
                    await client.edit(f"{n} ")
                await client.durable()
            return client

        writing = asyncio.gather(*(write(f"shared/{n % 3}") for n in range(6)))
        pages = [await _scrape(server)]
        while not writing.done():
            pages.append(await _scrape(server))
        await writing
        pages.append(await _scrape(server))
    names = (
        "updates_received_total updates_stored_total updates_acknowledged_total turn_seconds_count ack_seconds_count"
    )
    for before, after in pairwise(page.of(names, tier="shared") for page in pages):
        assert all(old <= new for old, new in zip(before, after, strict=True))
    last = pages[-1]
    assert last.of("updates_received_total updates_acknowledged_total", tier="shared") == [360, 360]
    assert last("commit_updates_sum") == last("updates_stored_total", tier="shared")
    assert last("rooms", tier="shared") == 3


# The parts


async def test_metrics_notice_that_the_event_loop_was_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "INTERVAL", 0.01)
    async with Pulse() as beating:
        await eventually(lambda: sum(beating.lags.counts) >= 3)
        time.sleep(0.3)  # noqa: ASYNC251  # what must not be done in a loop
        await eventually(lambda: beating.lags.sum >= 0.29)
        assert sum(beating.lags.counts[beating.lags.bounds.index(0.25) + 1 :]) >= 1
    seen = sum(beating.lags.counts)
    await asyncio.sleep(0.05)
    assert sum(beating.lags.counts) == seen


async def test_metrics_show_the_lag_of_a_running_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "INTERVAL", 0.01)
    async with in_process_server(tmp_path) as server:
        async with asyncio.timeout(30):
            while (await _scrape(server))("loop_lag_seconds_count") < 2:
                pass


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        ("local/a", "local"),
        ("shared/a/b", "shared"),
        ("session/", "session"),
        ("persistent/a", "persistent"),
        ("shared", "other"),
        ("sharedx/a", "other"),
        ("/shared/a", "other"),
        ("other/a", "other"),
        ("my-editor-doc", "other"),
    ],
)
def test_metrics_know_the_tier_of_a_room_by_its_name(room: str, expected: str) -> None:
    assert tier(room) == expected
    tallies = Tallies()
    assert tallies.of(room) is tallies.of(room)
    assert [name for name, _ in tallies] == [expected]


def test_metrics_histogram_puts_a_bound_into_its_own_bucket() -> None:
    histogram = Histogram((1, 2, 5))
    for value in (0, 1, 1.5, 2, 5, 5.1, 100):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1, 2]
    assert histogram.sum == pytest.approx(114.6)


def test_metrics_histogram_times_what_succeeds_and_nothing_else() -> None:
    histogram = Histogram((1,))
    with histogram.timed():
        time.sleep(0.01)
    with pytest.raises(ValueError, match="no"), histogram.timed():
        raise ValueError("no")
    assert histogram.counts == [1, 0]
    assert histogram.sum >= 0.01
