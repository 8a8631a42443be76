"""A store that everything happens to, with backups of it in between, and what each of them must bring back."""

from pathlib import Path
from typing import Final, NamedTuple

from hypothesis import strategies as st

from comity.persistence.backup import back_up, prune
from comity.persistence.manifest import load, mark_erased, mark_redacted
from comity.persistence.records import Append, Base, Checkpoint, Record, RoomRow, Tombstone
from comity.persistence.restore import open_chain, restore
from comity.persistence.sections import REDACTED
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store

from .pictures import Picture, first_record, pictures, state_at

ROOMS: Final = ("a", "ü/房")
# Of one update now and then, so that a snapshot is worth its place in a backup.
LARGE: Final = 70_000


class Step(NamedTuple):
    """Something that happens to a room: which of the methods of ``Backed``, and its arguments."""

    what: str
    room: str
    arguments: tuple[object, ...]


def _step(what: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.just(what), st.sampled_from(ROOMS), st.tuples(*arguments))


_UPDATES: Final = st.lists(st.binary(max_size=4), min_size=1, max_size=5)
_NAMES: Final = st.sampled_from(("one", "two"))

STEPS: Final = st.one_of(
    _step("append", _UPDATES, st.text(max_size=2), st.integers(0, 20), st.booleans()),
    _step("append", _UPDATES, st.text(max_size=2), st.integers(0, 20), st.booleans()),
    _step("snapshot", st.integers(0, 3)),
    _step("snapshot", st.integers(0, 3)),
    _step("age", _NAMES),
    _step("retire", st.integers(0, 30), st.integers(0, 25)),
    _step("check", _NAMES, st.integers(0, 6)),
    _step("uncheck", _NAMES),
    _step("note", st.none() | st.binary(max_size=3)),
    _step("cut", st.integers(1, 4)),
    _step("rewrite", st.integers(1, 4)),
    _step("adopt"),
    _step("redact", st.booleans()),
    _step("erase", st.booleans()),
    _step("begin", st.integers(1, 5), st.binary(max_size=5)),
    _step("create"),
)


class Expected(NamedTuple):
    """What was in the store when a backup was taken."""

    id: str
    rooms: dict[str, Picture]


class Backed:
    """An open store, and the backups of it.

    Args:
        directory: an empty directory for both.
        store: the store, in that directory.
    """

    def __init__(self, directory: Path, store: SqliteStore) -> None:
        self.directory: Final = directory
        self.database: Final = directory / "comity.db"
        self.store: Final = store
        self.taken: list[Expected] = []
        self._backups = directory / "backups"
        self._buried: set[tuple[str, str]] = set()  # room and lineage: no backup may bring them back
        self._withheld: dict[str, set[str]] = {}  # by backup: rooms that were redacted after it
        self._lineages = 0

    async def do(self, step: Step) -> None:
        """Let something happen."""
        await getattr(self, f"_{step.what}")(step.room, *step.arguments)

    async def back_up(self, full: bool, keep: int) -> None:
        """Take a backup, and keep so many full ones."""
        done = back_up(self.database, self._backups, 1, full=full)
        assert done.damaged == {}
        self._buried |= {(each.room, each.lineage) for each in await self.store.tombstones()}
        self.taken.append(Expected(done.backup.id, await pictures(self.store)))
        self._withheld[done.backup.id] = set()
        gone = {each.id for each in prune(self._backups, keep)}
        self.taken = [each for each in self.taken if each.id not in gone]
        assert [each.id for each in self.taken] == [each.id for each in load(self._backups).backups]

    async def check_all(self) -> None:
        """Restore every backup, and compare."""
        for expected in self.taken:
            await self._compare(expected)

    async def _compare(self, expected: Expected) -> None:
        database = self.directory / expected.id / "comity.db"
        done = await restore(open_chain(self._backups, expected.id), database, 1)
        assert (done.damaged, done.aside) == ({}, None)
        rooms = {
            name: each
            for name, each in expected.rooms.items()
            if (name, each.row.lineage) not in self._buried and name not in self._withheld[expected.id]
        }
        async with SqliteStore(database, durability="os") as store:
            assert {(each.room, each.lineage) for each in await store.tombstones()} == self._buried
            found = await pictures(store)
            assert found.keys() == rooms.keys()
            for name, each in rooms.items():
                assert await _without_older(store, found[name], each) == each

    async def _create(self, room: str) -> None:
        await self.store.create(room, self._lineage(), 3)

    async def _begin(self, room: str, seq: int, state: bytes) -> None:
        if await self._row(room) is None:
            await self.store.begin(room, self._lineage(), 7, Base(seq, state))

    async def _append(self, room: str, updates: list[bytes], author: str, at: int, is_large: bool) -> None:
        row = await self._row(room)
        if row is not None:
            large = bytes(LARGE * is_large)
            batch = [Append(room, seq, each + large, author, at) for seq, each in enumerate(updates, row.seq + 1)]
            await self.store.append(batch)

    async def _snapshot(self, room: str, back: int) -> None:
        seq = await self._reached(room, back)
        if seq:
            await self.store.snapshot(room, seq, await state_at(self.store, room, seq), 3)

    async def _retire(self, room: str, before: int, at_before: int) -> None:
        await self.store.retire(room, before, at_before)

    async def _age(self, room: str, name: str) -> None:
        """Let a checkpoint be left with a snapshot of its own, and no log around it."""
        await self._check(room, name, 0)
        await self._snapshot(room, 0)
        for _ in range(2):
            await self._append(room, [b"later"], "", 1, False)
            await self._snapshot(room, 0)
        await self._retire(room, 100, 100)

    async def _check(self, room: str, name: str, back: int) -> None:
        seq = await self._reached(room, back)
        if seq is not None:
            await self.store.add_checkpoint(room, Checkpoint(name, seq, "manual", "ana", 5, "why"))

    async def _uncheck(self, room: str, name: str) -> None:
        await self.store.drop_checkpoint(room, name)

    async def _note(self, room: str, value: bytes | None) -> None:
        if await self._row(room) is not None:
            await self.store.note(room, "ttl", value)

    async def _cut(self, room: str, count: int) -> None:
        seq = await self._reached(room, count)
        if seq is not None:
            await self.store.cut(room, seq)

    async def _rewrite(self, room: str, count: int) -> None:
        """Cut the log, and let it grow to the same length and beyond."""
        await self._cut(room, count)
        await self._append(room, [b"other"] * (count + 1), "", 1, False)

    async def _adopt(self, room: str) -> None:
        await self.store.adopt(room, self._lineage())

    async def _redact(self, room: str, is_told: bool) -> None:
        """Replace an update, and what folds it."""
        row = await self._row(room)
        first = await first_record(self.store, row) if row else 0
        if row is None or first > row.seq:
            return
        await self.store.replace(room, [Record(first, b"redacted", "nobody", 1)])
        state = (await self.store.base(room, first - 1)).state or b""
        log = await self.store.records(room, first - 1)
        for snapshot in await self.store.snapshots(room):
            if snapshot.seq >= first:
                updates = (record.update for record in log if record.seq <= snapshot.seq)
                await self.store.snapshot(room, snapshot.seq, state + b"".join(updates), 1)
        count = int((await self.store.attributes(room)).get(REDACTED, b"0")) + 1
        await self.store.note(room, REDACTED, b"%d" % count)
        if is_told:
            mark_redacted(self._backups, room, row.lineage)
            for expected in self.taken:
                if room in expected.rooms and expected.rooms[room].row.lineage == row.lineage:
                    self._withheld[expected.id].add(room)

    async def _erase(self, room: str, is_told: bool) -> None:
        row = await self._row(room)
        if row is not None:
            await self.store.erase(room, b"vector", 9)
        if row is not None and is_told and self.taken:
            mark_erased(self._backups, Tombstone(room, row.lineage, 9, b"vector"))
            self._buried.add((room, row.lineage))

    async def _row(self, room: str) -> RoomRow | None:
        return next((row for row in await self.store.rooms() if row.room == room), None)

    async def _reached(self, room: str, back: int) -> int | None:
        """Return the version so many before a room's newest, None if it cannot be had."""
        row = await self._row(room)
        if row is None or row.seq - back < await first_record(self.store, row) - 1:
            return None
        return row.seq - back

    def _lineage(self) -> str:
        self._lineages += 1
        return f"lineage {self._lineages}"


async def _without_older(store: Store, found: Picture, expected: Picture) -> Picture:
    """Return a picture without what is older than another one goes back: backups may hold more of the past."""
    assert found.first <= expected.first
    room = found.row.room
    records = await store.records(room, expected.first - 1) if expected.records else []
    row = found.row if expected.records else found.row._replace(updated=None)
    return found._replace(row=row, first=expected.first, records=records)
