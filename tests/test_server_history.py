"""History over the wire: every version can be asked for, calls are answered in order, and bad ones end nothing."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types.wire import Presence
from comity.persistence.compaction import TAIL_FLOOR
from comity.persistence.errors import StoreError, StoreFullError
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append, Version
from comity.persistence.store import RECORDS_LIMIT
from comity.server.history.calls import MAX_TEXT, MAX_WAITING
from comity.server.history.checkpoints import KINDS
from comity.server.history.methods import METHODS
from comity.server.history.past import PAGE_BYTES
from tests.support.calls import STORES, refusal, server_on, text_at, write
from tests.support.gated import GatedStore
from tests.support.profiles import examples
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually


@pytest.mark.parametrize("store", STORES)
async def test_history_of_a_room_never_written_to_is_empty(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await client.sync()
        (room,) = server.hub.rooms
        assert await client.call("head") == {"seq": 0, "first": 0, "lineage": room.lineage}
        assert await client.call("versions", after=0, limit=10) == []
        assert await client.call("records", after=0, limit=10) == []
        assert await client.call("base", seq=5) == [0, None]
        assert await client.call("version_at", at_ms=2**52) == 0
        assert await client.call("checkpoints") == await client.call("branches") == []


@pytest.mark.parametrize("store", STORES)
async def test_history_tells_who_made_each_version_and_when(store: str) -> None:
    async with (
        server_on(store) as server,
        raw_client(server.url, "x", agent="ana") as ana,
        raw_client(server.url, "x", agent="ben") as ben,
    ):
        await write(await ana.sync(), "a")
        await write(await ben.sync(), "b")
        (first, second) = await ana.call("versions", after=0, limit=10)
        assert (first[:2], second[:2]) == ([1, "ana"], [2, "ben"])
        assert 1_600_000_000_000 < first[2] <= second[2]
        assert await ana.call("version_at", at_ms=second[2]) == 2
        assert await ana.call("version_at", at_ms=first[2] - 1) == 0
        records = await ana.call("records", after=0, limit=10)
        assert [[*record[:3], len(record[3])] for record in records] == [first, second]


@pytest.mark.parametrize("store", STORES)
async def test_history_is_given_in_pages(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), *"abcde")
        for method in ("versions", "records"):
            pages = [await client.call(method, after=after, limit=2) for after in (0, 2, 4, 5)]
            assert [[row[0] for row in page] for page in pages] == [[1, 2], [3, 4], [5], []]
            assert await client.call(method, after=1, limit=0) == []
            assert len(await client.call(method, after=0, limit=2**53 - 1)) == 5


async def test_history_answers_no_more_bytes_than_a_page_has() -> None:
    async with server_on("memory") as server, raw_client(server.url, "x") as client:
        await client.sync()
        for size in (PAGE_BYTES + 1, PAGE_BYTES // 2 - 100, PAGE_BYTES // 2 - 100, 1, 300):
            await write(client, "x" * size)
        pages = [await client.call("records", after=after, limit=9) for after in (0, 1, 4)]
        assert [[row[0] for row in page] for page in pages] == [[1], [2, 3, 4], [5]]


async def test_history_answers_no_more_versions_than_a_page_has(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, MemoryStore(), durability="os") as server,
        raw_client(server.url, "x") as client,
    ):
        await write(await client.sync(), *("x" * (RECORDS_LIMIT + 1)))
        assert len(await client.call("versions", after=0, limit=2 * RECORDS_LIMIT)) == RECORDS_LIMIT


@pytest.mark.parametrize("store", STORES)
async def test_history_shows_every_version_also_of_what_was_folded_into_snapshots(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await client.sync()
        (room,) = server.hub.rooms
        texts = [letter * TAIL_FLOOR for letter in "abc"]
        for text in texts:
            await write(client, text)
        await eventually(lambda: room.contents.snapshot_bytes)
        assert (await client.call("base", seq=3))[0] > 0
        for seq in range(4):
            assert await text_at(client, seq) == "".join(texts[:seq])


@pytest.mark.parametrize("store", STORES)
async def test_history_head_holds_what_was_sent_before(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await client.sync()
        for n in range(20):
            await client.edit(f"{n} ")
            head = await client.call("head")  # the edit is not acknowledged, perhaps not even applied
            assert await text_at(client, head["seq"]) == client.value()


_BAD: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("no such method", {}),
    ("head", {"unknown": 1}),
    ("base", {}),
    ("base", {"seq": None}),
    ("base", {"seq": "1"}),
    ("base", {"seq": True}),
    ("base", {"seq": 1.0}),
    ("base", {"seq": -1}),
    ("base", {"seq": 2**53}),
    ("versions", {"after": 0}),
    ("records", {"after": [], "limit": 1}),
    ("version_at", {"at_ms": {}}),
    ("checkpoint", {"name": "x", "kind": "manual"}),
    ("checkpoint", {"name": 5, "kind": "manual", "note": ""}),
    ("checkpoint", {"name": "x", "kind": "manual", "note": "x" * (MAX_TEXT + 1)}),
    ("branch", {"name": None}),
]


async def test_history_refuses_calls_that_make_no_sense_and_goes_on() -> None:
    async with server_on("memory") as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        for method, params in _BAD:
            assert await refusal(client, method, **params) == 4400
        assert (await client.call("head"))["seq"] == 1
        await write(client, "b")


scalars: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4)
methods = st.sampled_from(sorted(METHODS.keys() - {"erase"})) | st.text(max_size=5)  # that one ends the conversation
names = st.sampled_from(["after", "limit", "seq", "at_ms", "name", "kind", "note"]) | st.text(max_size=3)
calls = st.tuples(methods, st.dictionaries(names, values, max_size=4))


@settings(max_examples=examples(20, 500))
@given(st.lists(calls, min_size=1, max_size=10))
def test_history_answers_any_call_and_goes_on(asked: list[tuple[str, dict[str, Any]]]) -> None:
    async def converse() -> None:
        async with server_on("memory") as server, raw_client(server.url, "x") as client:
            await write(await client.sync(), "a")
            numbers = [await client.ask_for(method, **params) for method, params in asked]
            await client.until(lambda: client.answers.keys() >= set(numbers))
            errors = [client.answers[number].error for number in numbers]
            assert {error.code for error in errors if error is not None} <= {4400, 4404, 4409}
            await write(client, "b")

    asyncio.run(converse())


class _Model:
    """What a room's history comes to: the text that each version added, its checkpoints and its branches."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.texts: list[str] = []
        self.checkpoints: dict[str, tuple[int, str]] = {}
        self.branches: dict[str, int] = {}

    def reached(self, seq: int | None) -> int | None:
        """Return the version that a call for one is about, None if it must be refused."""
        newest = len(self.texts)
        wanted = newest if seq is None else seq
        return wanted if newest and wanted <= newest else None

    async def write(self, text: str) -> None:
        await write(self.client, text)
        self.texts.append(text)

    async def checkpoint(self, name: str, seq: int | None, kind: str) -> None:
        reached = self.reached(seq)
        asked = {"name": name, "seq": seq, "kind": kind, "note": name * 2}
        if reached is None or name in self.checkpoints:
            assert await refusal(self.client, "checkpoint", **asked) == (4400 if reached is None else 4409)
            return
        row = await self.client.call("checkpoint", **asked)
        assert row[:4] == [name, reached, kind, "ana"]
        self.checkpoints[name] = reached, kind

    async def drop_checkpoint(self, name: str) -> None:
        there_was = self.checkpoints.pop(name, None) is not None
        assert await self.client.call("drop_checkpoint", name=name) is there_was

    async def branch(self, name: str, seq: int | None) -> None:
        reached = self.reached(seq)
        if reached is None or name in self.branches:
            assert await refusal(self.client, "branch", name=name, seq=seq) == (4400 if reached is None else 4409)
            return
        row = await self.client.call("branch", name=name, seq=seq)
        assert row[:4] == [name, f"x@{name}", reached, "ana"]
        self.branches[name] = reached

    async def drop_branch(self, name: str) -> None:
        there_was = self.branches.pop(name, None) is not None
        assert await self.client.call("drop_branch", name=name) is there_was

    async def check(self, server: ServerHere) -> None:
        """Check that the server says the same."""
        client = self.client
        assert (await client.call("head"))["seq"] == len(self.texts)
        rows = await client.call("checkpoints")
        assert {row[0]: (row[1], row[2]) for row in rows} == self.checkpoints
        assert [row[1] for row in rows] == sorted(row[1] for row in rows)
        assert {row[0]: row[2] for row in await client.call("branches")} == self.branches
        for seq in range(len(self.texts) + 1):
            assert await text_at(client, seq) == "".join(self.texts[:seq])
        for name, seq in self.branches.items():
            async with raw_client(server.url, f"x@{name}") as branch:
                await branch.sync()
                assert branch.value() == "".join(self.texts[:seq])


names_given = st.sampled_from(["a", "b", "ü/ @"])
seqs = st.none() | st.integers(0, 5)
steps = st.one_of(
    st.tuples(st.just("write"), st.text("xyz", min_size=1, max_size=3)),
    st.tuples(st.just("checkpoint"), names_given, seqs, st.sampled_from(KINDS)),
    st.tuples(st.just("drop_checkpoint"), names_given),
    st.tuples(st.just("branch"), names_given, seqs),
    st.tuples(st.just("drop_branch"), names_given),
)


@pytest.mark.parametrize("store", STORES)
@settings(max_examples=examples(15, 300))
@given(st.lists(steps, max_size=15))
def test_history_is_what_any_sequence_of_calls_made_it(store: str, taken: list[tuple[Any, ...]]) -> None:
    async def take() -> None:
        async with server_on(store) as server, raw_client(server.url, "x", agent="ana") as client:
            model = _Model(await client.sync())
            for name, *arguments in taken:
                await getattr(model, name)(*arguments)
            await model.check(server)

    asyncio.run(take())


async def test_history_is_not_written_by_those_who_only_read() -> None:
    async with server_on("memory", anyone="read") as server, raw_client(server.url, "x") as client:
        await client.sync()
        for method in ("checkpoint", "drop_checkpoint", "branch", "drop_branch"):
            assert await refusal(client, method, name="x", seq=None, kind="manual", note="") == 4403
        assert await client.call("checkpoints") == []


async def test_history_is_for_clients_of_comity_v1_alone() -> None:
    async with server_on("memory") as server, raw_client(server.url, "x", v1=False) as client:
        await client.sync()
        await client.ask_for("head")
        assert await client.closed() == 4400


async def test_history_calls_wait_for_each_other_and_hold_nothing_else_up(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        async with store.held():
            await client.edit("b")
            numbers = [await client.ask_for("head") for _ in range(MAX_WAITING + 1)]  # the first is being answered
            too_many = await client.ask_for("head")
            await client.until(lambda: too_many in client.answers)
            error = client.answers[too_many].error
            assert error is not None
            assert error.code == 4529
            assert await refusal(client, "no such method") == 4529
            await client.announce([Presence(7, 1, "{}")])
            await client.until(lambda: 7 in client.presence)
            assert not client.answers.keys() & set(numbers)
        await client.until(lambda: numbers[-1] in client.answers)
        assert [client.answers[number].result["seq"] for number in numbers] == [2] * len(numbers)
        assert [number for number in client.answers if number in numbers] == numbers


async def test_history_is_read_no_faster_than_allowed_and_to_the_end(tmp_path: Path) -> None:
    async with (
        in_process_server(
            tmp_path, MemoryStore(), connection_bytes=50_000, burst_seconds=0.1, max_message=1024
        ) as server,
        raw_client(server.url, "x") as client,
    ):
        await write(await client.sync(), "x" * 800)
        began = asyncio.get_running_loop().time()
        for _ in range(50):
            assert len(await client.call("records", after=0, limit=1)) == 1
        assert asyncio.get_running_loop().time() - began > (50 * 800 - 5_000) / 50_000 / 2
        await client.edit("still here")
        await client.durable()


class _FailingStore(MemoryStore):
    """A store that cannot tell of versions."""

    error: Exception = StoreError("it is on fire")

    async def versions(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Version]:
        raise self.error


@pytest.mark.parametrize(("error", "code"), [(StoreError("it is on fire"), 4503), (ValueError("a bug"), 4500)])
async def test_history_that_cannot_be_read_is_told_and_ends_nothing(
    tmp_path: Path, error: Exception, code: int
) -> None:
    store = _FailingStore()
    store.error = error
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        assert await refusal(client, "versions", after=0, limit=1) == code
        assert await client.call("version_at", at_ms=2**52) == 1


class _FillingStore(MemoryStore):
    """A store that is full while it is told to be."""

    is_full = False

    async def append(self, batch: Sequence[Append]) -> None:
        self._check()
        await super().append(batch)

    async def create(self, room: str, lineage: str, at: int) -> None:
        self._check()
        await super().create(room, lineage, at)

    async def recover(self) -> bool:
        self._check()
        return await super().recover()

    def _check(self) -> None:
        if self.is_full:
            raise StoreFullError("no space is left")


async def test_history_is_read_on_while_nothing_can_be_stored(tmp_path: Path) -> None:
    store = _FillingStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as reader:
        await reader.sync()
        async with raw_client(server.url, "x") as client:
            await write(await client.sync(), *"ab")
            store.is_full = True
            await client.edit("c")
            assert await client.closed() == 4503
        assert (await reader.call("head"))["seq"] == 2
        assert await text_at(reader, 2) == "ab"
        assert await refusal(reader, "branch", name="b", seq=1) == 4503
        store.is_full = False
        await eventually(lambda: server.app.archive.failed is None)
        await reader.call("branch", name="b", seq=1)


async def test_history_calls_end_with_their_connection(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store, idle_seconds=0.0) as server:
        async with raw_client(server.url, "x") as client:
            await write(await client.sync(), "a")
            await write(client, "b")
            store.gate.clear()
            await client.edit("c")
            for _ in range(3):
                await client.ask_for("head")
        await eventually(lambda: not server.hub.rooms[0].connections)
        store.gate.set()
        await eventually(lambda: not server.hub.rooms)
