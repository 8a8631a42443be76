"""Full disks and killed processes: what was reported stored is there, and no batch is there by half."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from itertools import count, takewhile
from pathlib import Path

import pytest

from comity.persistence.errors import StoreError, StoreFullError
from comity.persistence.journal import Journal
from comity.persistence.records import Append
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store
from tests.support.appender import ROOMS, last
from tests.support.disks import file_size_limit, small_disk
from tests.support.optional import ROOT
from tests.support.stores import appends, fill, tail

ROUNDS = 10
UPDATE = b"x" * 10_000


async def append_until_refused(store: Store) -> tuple[int, StoreError]:
    """Append batches for rooms "a" and "b"; return how many were stored, and the refusal of the next."""
    for number in count(1):
        try:
            await store.append([*appends("a", number, UPDATE), *appends("b", number, UPDATE)])
        except StoreError as error:
            return number - 1, error
    raise AssertionError("the disk has no end")


async def sizes(store: Store) -> tuple[int, int]:
    return len(await tail(store, "a")), len(await tail(store, "b"))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (lambda folder: small_disk(folder, 2_000_000), StoreFullError),
        (lambda folder: file_size_limit(1_000_000), StoreError),
    ],
    ids=["small-disk", "file-size-limit"],
)
async def test_a_batch_that_finds_no_space_is_not_stored_at_all(
    tmp_path: Path, limits: Callable[[Path], AbstractContextManager[None]], expected: type[StoreError]
) -> None:
    path = tmp_path / "disk" / "comity.db"
    with limits(tmp_path / "disk"):
        async with SqliteStore(path) as store:
            await fill(store, "a")
            await fill(store, "b")
            stored, error = await append_until_refused(store)
            assert isinstance(error, expected)
            assert error.remedy
            assert stored > 10
            assert await sizes(store) == (stored, stored)
        async with SqliteStore(path) as store:
            assert await sizes(store) == (stored, stored)
            with pytest.raises(expected):
                await store.append([*appends("a", stored + 1, UPDATE * 200), *appends("b", stored + 1, UPDATE)])
            assert await sizes(store) == (stored, stored)


async def test_writing_goes_on_once_there_is_space(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    async with SqliteStore(path) as store:
        await fill(store, "a")
        await fill(store, "b")
        with file_size_limit(1_000_000):
            stored, _ = await append_until_refused(store)
        await store.append([*appends("a", stored + 1, UPDATE), *appends("b", stored + 1, UPDATE)])
        assert await sizes(store) == (stored + 1, stored + 1)


async def journal_until_refused(store: Store, reported: list[int]) -> None:
    """Append to room "a" through a journal, noting what it reports, until the store fails."""
    failures: list[StoreError] = []
    async with Journal(store, on_fault=lambda error, _rooms: failures.append(error)) as journal:
        for seq in takewhile(lambda _: not failures, count(1)):
            journal.append(Append("a", seq, UPDATE, "planner", 1), partial(reported.append, seq))
            await asyncio.sleep(0)


async def test_a_journal_without_space_reports_nothing_that_is_not_stored(tmp_path: Path) -> None:
    reported: list[int] = []
    async with SqliteStore(tmp_path / "comity.db") as store:
        await fill(store, "a")
        with file_size_limit(1_000_000):
            await journal_until_refused(store, reported)
        assert reported == list(range(1, len(reported) + 1))
        assert len(await tail(store, "a")) == len(reported)


def run_and_kill(path: Path, lines: int) -> list[tuple[str, int]]:
    """Run the appender until it has reported so many lines, kill it, and return all that it reported."""
    command = [sys.executable, "-m", "tests.support.appender", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as appender:
        assert appender.stdout is not None
        printed = b"".join(appender.stdout.readline() for _ in range(lines))
        appender.kill()
        printed += appender.stdout.read()
    complete = printed[: printed.rindex(b"\n")].decode().split("\n")
    assert len(complete) >= lines
    return [(room, int(seq)) for room, _, seq in (line.partition(" ") for line in complete)]


async def lasts(path: Path) -> dict[str, int]:
    """Return the last sequence number of each room, all of whose content must be what was appended."""
    async with SqliteStore(path) as store:
        return {room: await last(store, room) for room in ROOMS}


async def test_a_killed_process_loses_nothing_that_it_reported(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    chance = random.Random(9)
    for _ in range(ROUNDS):
        reported = await asyncio.to_thread(run_and_kill, path, chance.randrange(1, 400))
        found = await lasts(path)
        for room, seq in reported:
            assert seq <= found[room]
