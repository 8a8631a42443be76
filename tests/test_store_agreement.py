"""All stores do the same: one machine drives them with the same steps and compares everything they say."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from comity.persistence.errors import StoreError
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store

T = TypeVar("T")

ROOMS = st.sampled_from(["a", "b", "ü/房"])
UPDATES = st.tuples(ROOMS, st.binary(max_size=8), st.text(max_size=3), st.integers(0, 20))


class StoresAgree(RuleBasedStateMachine):
    """The model is the log as it ever was; a snapshot's state is all updates that it folds, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.memory = MemoryStore()
        self.sqlite = SqliteStore(self.directory / "comity.db", durability="os")
        self.stores: tuple[Store, ...] = (self.memory, self.sqlite)
        self.logs: dict[str, list[bytes]] = {}
        for store in self.stores:
            self.runner.run(store.__aenter__())

    def teardown(self) -> None:
        for store in self.stores:
            self.runner.run(store.__aexit__(None, None, None))
        self.runner.close()
        shutil.rmtree(self.directory)

    def both(self, act: Callable[[Store], Awaitable[T]]) -> T | type[StoreError]:
        """Do the same to both stores; they must return or refuse the same."""

        async def outcome(store: Store) -> T | type[StoreError]:
            try:
                return await act(store)
            except StoreError as error:
                return type(error)

        memory, sqlite = (self.runner.run(outcome(store)) for store in self.stores)
        assert memory == sqlite
        return memory

    @rule(room=ROOMS, lineage=st.text(max_size=2), at=st.integers(0, 20))
    def create(self, room: str, lineage: str, at: int) -> None:
        assert self.both(lambda store: store.create(room, lineage, at)) is None
        self.logs.setdefault(room, [])

    @rule(updates=st.lists(UPDATES, max_size=8))
    def append(self, updates: list[tuple[str, bytes, str, int]]) -> None:
        logs = {room: list(log) for room, log in self.logs.items()}
        batch: list[Append] = []
        for room, update, author, at in updates:
            log = logs.setdefault(room, [])
            log.append(update)
            batch.append(Append(room, len(log), update, author, at))
        outcome = self.both(lambda store: store.append(batch))
        if logs.keys() == self.logs.keys():
            assert outcome is None
            self.logs = logs
        else:
            assert outcome is not None

    @rule(updates=st.lists(st.tuples(ROOMS, st.integers(0, 9)), min_size=1, max_size=4))
    def append_with_any_number(self, updates: list[tuple[str, int]]) -> None:
        batch = [Append(room, seq, b"%d" % seq, "any", 1) for room, seq in updates]
        if self.both(lambda store: store.append(batch)) is None:
            for entry in batch:
                self.logs[entry.room].append(entry.update)

    @rule(room=ROOMS, seq=st.integers(-1, 12))
    def snapshot(self, room: str, seq: int) -> None:
        log = self.logs.get(room, [])
        outcome = self.both(lambda store: store.snapshot(room, seq, b"".join(log[: max(seq, 0)]), 1))
        assert (outcome is None) == (room in self.logs and 0 <= seq <= len(log))

    @rule(room=ROOMS, back=st.integers(0, 3))
    @precondition(lambda self: any(self.logs.values()))
    def snapshot_near_the_end(self, room: str, back: int) -> None:
        self.snapshot(room, len(self.logs.get(room, [])) - back)

    @rule(room=ROOMS, before=st.integers(-1, 30), at_before=st.integers(-1, 25))
    def retire(self, room: str, before: int, at_before: int) -> None:
        self.both(lambda store: store.retire(room, before, at_before))

    @rule(room=ROOMS, after=st.integers(-1, 20), limit=st.integers(-1, 10))
    def read(self, room: str, after: int, limit: int) -> None:
        records = self.both(lambda store: store.records(room, after, limit))
        assert isinstance(records, list)
        for record in records:
            assert record.update == self.logs[room][record.seq - 1]

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.sqlite.__aexit__(None, None, None))
        self.runner.run(self.sqlite.__aenter__())

    @invariant()
    def snapshot_and_tail_cover_everything(self) -> None:
        for room, log in self.logs.items():
            loaded = self.both(lambda store, room=room: store.load(room))  # type: ignore[misc]
            assert loaded is not None
            assert not isinstance(loaded, type)
            assert loaded.seq == len(log)
            assert (loaded.snapshot or b"") == b"".join(log[: loaded.snapshot_seq])
            assert loaded.tail == tuple(log[loaded.snapshot_seq :])
            assert loaded.tail_bytes == sum(map(len, loaded.tail))

    @invariant()
    def listings_agree(self) -> None:
        rows = self.both(lambda store: store.rooms())
        assert isinstance(rows, list)
        assert [(row.room, row.seq) for row in rows] == sorted((room, len(log)) for room, log in self.logs.items())


TestStoresAgree = StoresAgree.TestCase
TestStoresAgree.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
