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
from comity.persistence.records import Append, Base, Checkpoint, Record
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store

T = TypeVar("T")

ROOMS = st.sampled_from(["a", "b", "ü/房"])
NAMES = st.sampled_from(["one", "two"])
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
        self.checkpoints: dict[str, dict[str, int]] = {}
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
        if seq < self.beginning(room):
            return  # nobody knows that state any more
        outcome = self.both(lambda store: store.snapshot(room, seq, b"".join(log[: max(seq, 0)]), 1))
        assert (outcome is None) == (room in self.logs and 0 <= seq <= len(log))

    @rule(room=ROOMS, back=st.integers(0, 3))
    @precondition(lambda self: any(self.logs.values()))
    def snapshot_near_the_end(self, room: str, back: int) -> None:
        self.snapshot(room, len(self.logs.get(room, [])) - back)

    @rule(room=ROOMS, name=NAMES, seq=st.integers(-1, 12))
    def add_checkpoint(self, room: str, name: str, seq: int) -> None:
        added = self.both(lambda store: store.add_checkpoint(room, Checkpoint(name, seq, "manual", "ana", 1, "")))
        if room in self.logs and max(self.beginning(room), 0) <= seq <= len(self.logs[room]):
            assert isinstance(added, bool)
        if added is True:
            self.checkpoints.setdefault(room, {})[name] = seq

    @rule(room=ROOMS, name=NAMES)
    def drop_checkpoint(self, room: str, name: str) -> None:
        dropped = self.both(lambda store: store.drop_checkpoint(room, name))
        assert dropped == (self.checkpoints.get(room, {}).pop(name, None) is not None)

    @rule(room=ROOMS, key=NAMES, value=st.none() | st.binary(max_size=3))
    def note(self, room: str, key: str, value: bytes | None) -> None:
        self.both(lambda store: store.note(room, key, value))
        assert self.both(lambda store: store.attributed(key)) is not None

    @rule(room=ROOMS, after=st.integers(0, 12))
    def cut(self, room: str, after: int) -> None:
        log = self.logs.get(room, [])
        if after < max(self.beginning(room), 0):
            return  # what came before is not there any more
        assert self.both(lambda store: store.cut(room, after)) == len(log[after:])
        del log[after:]
        kept = self.checkpoints.get(room, {})
        self.checkpoints[room] = {name: seq for name, seq in kept.items() if seq <= after}

    @rule(room=ROOMS, seq=st.integers(0, 13), update=st.binary(max_size=4))
    def replace(self, room: str, seq: int, update: bytes) -> None:
        # As redaction does, which leaves the snapshots to be written again.
        log = self.logs.get(room, [])
        snapshots = self.both(lambda store: store.snapshots(room))
        assert isinstance(snapshots, list)
        if any(snapshot.seq >= seq for snapshot in snapshots):
            return
        if self.both(lambda store: store.replace(room, [Record(seq, update, "erased", 1)])) is None:
            log[seq - 1] = update

    @rule(room=ROOMS)
    def erase(self, room: str) -> None:
        self.both(lambda store: store.erase(room, b"clocks", 1))
        assert self.both(lambda store: store.load(room)) is None
        self.logs.pop(room, None)
        self.checkpoints.pop(room, None)

    @rule(room=ROOMS, name=NAMES, back=st.integers(0, 2), tail=st.lists(st.binary(max_size=4), min_size=3, max_size=3))
    def compact(self, room: str, name: str, back: int, tail: list[bytes]) -> None:
        """Write, name a version a little back, fold twice, and retire what may go."""
        for update in tail:
            self.append([(room, update, "ana", 1)])
            self.add_checkpoint(room, name, len(self.logs.get(room, [])) - back)
            self.snapshot(room, len(self.logs.get(room, [])))
        self.retire(room, 2**40, 2**40)
        self.every_version_and_checkpoint_is_within_reach(room)

    @rule(room=ROOMS, seq=st.integers(1, 5), state=st.binary(max_size=9))
    def begin(self, room: str, seq: int, state: bytes) -> None:
        if self.both(lambda store: store.begin(room, "elsewhere", 1, Base(seq, state))) is None:
            self.logs[room] = [state, *[b""] * (seq - 1)]

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

    @rule()
    def recover(self) -> None:
        assert self.both(lambda store: store.recover()) is False

    @rule()
    def crash(self) -> None:
        """Go on with the files as they are while the store is open: what a process that dies leaves behind."""
        old, self.directory = self.directory, Path(tempfile.mkdtemp())
        for file in old.iterdir():
            shutil.copy(file, self.directory)
        self.runner.run(self.sqlite.__aexit__(None, None, None))
        shutil.rmtree(old)
        self.sqlite = SqliteStore(self.directory / "comity.db", durability="os")
        self.stores = self.memory, self.sqlite
        self.runner.run(self.sqlite.__aenter__())

    def beginning(self, room: str) -> int:
        """Return the oldest version that can be seen, -1 if there is no room."""
        records = self.both(lambda store: store.records(room, 0, 1))
        assert isinstance(records, list)
        if records:
            return records[0].seq - 1
        base = self.both(lambda store: store.base(room, 2**40))
        assert isinstance(base, Base)
        return base.seq if room in self.logs else -1

    def state_at(self, room: str, seq: int) -> bytes:
        """Return the state as of an update as history puts it together: a base and what came after it."""
        base = self.both(lambda store: store.base(room, seq))
        assert isinstance(base, Base)
        records = self.both(lambda store: store.records(room, base.seq, seq - base.seq))
        assert isinstance(records, list)
        assert [record.seq for record in records] == list(range(base.seq + 1, seq + 1))
        return (base.state or b"") + b"".join(record.update for record in records)

    @rule(room=ROOMS)
    def every_version_and_checkpoint_is_within_reach(self, room: str) -> None:
        log = self.logs.get(room, [])
        reachable = range(self.beginning(room), len(log) + 1) if room in self.logs else ()
        for seq in {*reachable, *self.checkpoints.get(room, {}).values()}:
            assert self.state_at(room, seq) == b"".join(log[:seq])

    @invariant()
    def checkpoints_and_tombstones_agree(self) -> None:
        for room in self.logs:
            found = self.both(lambda store, room=room: store.checkpoints(room))  # type: ignore[misc]
            assert isinstance(found, list)
            assert {each.name: each.seq for each in found} == self.checkpoints.get(room, {})
            assert self.both(lambda store, room=room: store.attributes(room)) is not None  # type: ignore[misc]
        assert self.both(lambda store: store.tombstones()) is not None

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
TestStoresAgree.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
