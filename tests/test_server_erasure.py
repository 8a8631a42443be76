"""Erased rooms: nothing is left of them on disk, and nobody brings them back."""

from pathlib import Path
from typing import Any

import pytest

from comity.crdt_types.errors import ANSWERS, ErasedError
from comity.crdt_types.wire import Welcome
from comity.persistence.memory import MemoryStore
from comity.server.app import DATABASE
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

ERASED = ANSWERS[ErasedError].close_code


def welcome(client: RawClient) -> Welcome:
    return next(frame for frame in client.frames if isinstance(frame, Welcome))


def in_files(folder: Path, needle: bytes) -> list[str]:
    return [file.name for file in folder.iterdir() if file.is_file() and needle in file.read_bytes()]


async def written(server: ServerHere, room: str, text: str) -> None:
    async with raw_client(server.url, room) as client:
        await client.sync()
        await client.edit(text)
        await client.durable()


async def test_erase_removes_every_byte_and_reports_what_there_was(tmp_path: Path) -> None:
    secret = b"a secret that nobody may ever read again"
    async with in_process_server(tmp_path) as server:
        for n in range(3):
            await written(server, "shared/x", f"{n}{secret.decode()}" * 50)
        await written(server, "shared/y", "stays")
        async with raw_client(server.url, "shared/x", agent="ana") as caller:
            await caller.call("checkpoint", name="one", seq=2, kind="manual", note=secret.decode())
            await caller.call("branch", name="b", seq=None)
            assert in_files(tmp_path, secret)
            report: list[dict[str, Any]] = await caller.call("erase")
        assert [each["room"] for each in report] == ["shared/x@b", "shared/x"]
        assert [each["versions"] for each in report] == [1, 3]
        assert [each["checkpoints"] for each in report] == [0, 1]
        assert in_files(tmp_path, secret) == []
        async with raw_client(server.url, "shared/y") as client:
            await client.sync()
            assert client.value() == "stays"
        async with raw_client(server.url, "shared/x") as client:
            await client.sync()
            assert client.value() == ""
    assert (tmp_path / DATABASE).exists()
    assert in_files(tmp_path, secret) == []


async def test_erase_sends_everyone_away_for_good(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as watching:
        await watching.sync()
        await written(server, "x", "hello")
        async with raw_client(server.url, "x") as caller:
            assert len(await caller.call("erase")) == 1
            await eventually(lambda: caller.close_code == watching.close_code == ERASED)


async def test_erased_content_is_refused_from_whoever_still_has_it(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        async with raw_client(server.url, "x", v1=False) as old:
            await old.sync()
            await old.edit("erased")
            await eventually(lambda: server.hub.rooms[0].is_committed and server.hub.rooms[0].seq == 1)
            kept = old.doc.get_update()
        async with raw_client(server.url, "x") as caller:
            await caller.call("erase")
    async with in_process_server(tmp_path, store) as server:
        await written(server, "x", "new")
        async with raw_client(server.url, "x") as back:
            lineages = [stone.lineage for stone in await store.tombstones("x")]
            await back.until(lambda: bool(back.frames))
            assert list(welcome(back).erased) == lineages
            assert welcome(back).lineage not in lineages
            await back.sync()
            await back.update(kept)
            await eventually(lambda: back.close_code == ERASED)
        async with raw_client(server.url, "x") as client:
            await client.sync()
            assert client.value() == "new"


@pytest.mark.parametrize(("method", "params"), [("erase", {}), ("forget", {"author": "ana"})])
async def test_whoever_removes_something_hears_of_it_also_after_asking_for_too_much(
    tmp_path: Path, method: str, params: dict[str, str]
) -> None:
    limits: dict[str, Any] = {"connection_bytes": 200, "burst_seconds": 1, "max_message": 2048}
    async with in_process_server(tmp_path, **limits) as server, raw_client(server.url, "x", agent="ana") as caller:
        await caller.sync()
        await caller.edit("x" * 1930)  # what is left is enough for the call, and not for its answer
        await caller.durable()
        assert [each["room"] for each in await caller.call(method, **params)] == ["x"]
        await caller.closed()
