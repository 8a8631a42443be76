"""Exported rooms: what comes out is what went in, and nothing else is taken for one."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.persistence.errors import DamagedFileError, ExistsError, NewerFileError, StoreError, StoreInUseError
from comity.persistence.filling import sound_frames
from comity.persistence.portable import (
    FORMAT,
    MAGIC,
    About,
    Beginning,
    Frame,
    Note,
    Room,
    RoomEnd,
    State,
    decoded,
    encoded,
    portable_file,
    read_frames,
)
from comity.persistence.records import Append, Checkpoint, Record, RoomRow, Tombstone
from comity.persistence.sqlite import SqliteStore
from comity.persistence.transfer import export_room, import_room
from tests.support.backed import STEPS, Backed, Step
from tests.support.pictures import pictures
from tests.support.profiles import examples
from tests.support.stores import fill

INTEGERS: Final = st.integers(-(2**63), 2**63 - 1)
BLOBS: Final = st.binary(max_size=20)
TEXTS: Final = st.text(max_size=5)
FRAMES: Final = st.one_of(
    st.builds(About, TEXTS, TEXTS, INTEGERS),
    st.builds(Room, TEXTS, TEXTS, INTEGERS, INTEGERS, INTEGERS),
    st.builds(Beginning, INTEGERS, BLOBS),
    st.builds(State, INTEGERS, INTEGERS, BLOBS),
    st.builds(Record, INTEGERS, BLOBS, TEXTS, INTEGERS),
    st.builds(Checkpoint, TEXTS, INTEGERS, TEXTS, TEXTS, INTEGERS, TEXTS),
    st.builds(Note, TEXTS, BLOBS),
    st.builds(RoomEnd, INTEGERS, TEXTS),
)

# A room in which everything occurs.
WHOLE: Final[tuple[Frame, ...]] = (
    About("", "", 1),
    Room("room", "lineage", 2, 3, 1),
    Beginning(4, b"state"),
    Record(4, b"four", "ana", 5),
    Record(5, b"five", "", 6),
    Checkpoint("one", 4, "manual", "ana", 7, ""),
    Checkpoint("two", 5, "backup", "", 8, "why"),
    Note("branch", b"of"),
    Note("ttl", b"1"),
    State(4, 9, b"state four"),
    RoomEnd(5, ""),
)


def write(path: Path, frames: Iterable[Frame]) -> Path:
    """Write frames to a file."""
    with portable_file(path) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@given(frame=FRAMES)
def test_frames_are_read_as_they_were_written(frame: Frame) -> None:
    found = decoded(*encoded(frame))
    assert (type(found), found) == (type(frame), frame)


@given(frame=FRAMES, other=st.integers(0, 255), extra=BLOBS)
def test_frames_of_another_length_are_none(frame: Frame, other: int, extra: bytes) -> None:
    kind, body = encoded(frame)
    for wrong in (body[:-1], body + bytes((other,)), extra + body if extra else body[1:]):
        with suppress(ValueError):
            assert encoded(decoded(kind, wrong)) == (kind, wrong)  # a text or a blob may be another


@given(kind=st.integers(len(get_args(Frame)), 255), body=BLOBS)
def test_frames_of_other_kinds_are_none(kind: int, body: bytes) -> None:
    with pytest.raises(ValueError, match="kind"):
        decoded(kind, body)


def test_file_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "room.comity"
    path.write_bytes(MAGIC + bytes((FORMAT + 1,)) + b"anything")
    with pytest.raises(NewerFileError, match="format 2"):
        list(read_frames(path))


def test_file_that_gives_an_enormous_length_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "room.comity"
    path.write_bytes(MAGIC + bytes((FORMAT, 1)) + b"\xff\xff\xff\xff" + b"x")
    with pytest.raises(DamagedFileError, match="larger"):
        list(read_frames(path))


@given(data=st.binary(max_size=60), is_ours=st.booleans())
def test_file_of_any_bytes_is_refused(data: bytes, is_ours: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "room.comity"
        path.write_bytes((MAGIC + bytes((FORMAT,))) * is_ours + data)
        with pytest.raises(DamagedFileError):
            list(read_frames(path))


def test_file_is_not_there_before_all_of_it_is_written(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Frame]:
        yield WHOLE[0]
        raise StoreError("enough")

    with pytest.raises(StoreError, match="enough"):
        write(tmp_path / "room.comity", interrupted())
    assert list(tmp_path.iterdir()) == []


def test_file_taken_back_to_a_mark_is_as_if_nothing_had_been_written_since(tmp_path: Path) -> None:
    with portable_file(tmp_path / "marked") as writer:
        writer.write(WHOLE[0])
        mark = writer.mark()
        for _ in range(2):
            for frame in WHOLE[1:6]:
                writer.write(frame)
            writer.rewind(mark)
        for frame in WHOLE[1:]:
            writer.write(frame)
    assert (tmp_path / "marked").read_bytes() == write(tmp_path / "plain", WHOLE).read_bytes()


async def test_import_puts_everything_where_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "room.comity", WHOLE)
    assert await import_room(path, tmp_path / "comity.db") == ("room", 5, "")
    async with SqliteStore(tmp_path / "comity.db", durability="os") as store:
        assert await store.rooms() == [RoomRow("room", "lineage", 2, 5, 6)]
        assert await store.records("room", 3) == list(WHOLE[3:5])
        assert await store.base("room", 3) == (3, b"state")
        assert await store.base("room", 9) == (4, b"state four")
        assert [each[:2] for each in await store.snapshots("room")] == [(3, 4), (4, 9)]
        assert await store.checkpoints("room") == list(WHOLE[5:7])
        assert await store.attributes("room") == {"branch": b"of", "ttl": b"1"}
        await store.append([Append("room", 6, b"six", "", 1)])


@settings(max_examples=examples(25, 1000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS.filter(lambda step: step.what != "erase"), max_size=12), begun=st.booleans())
async def test_export_of_what_was_imported_is_the_same(steps: list[Step], begun: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        async with SqliteStore(directory / "comity.db", durability="os") as store:
            backed = Backed(directory, store)
            await backed.do(Step("begin", "a", (3, b"state")) if begun else Step("create", "a", ()))
            for step in steps:
                await backed.do(step._replace(room="a"))
            export_room(backed.database, "a", directory / "one", 1)
            before = (await pictures(store))["a"]
        await import_room(directory / "one", directory / "new.db")
        await import_room(directory / "one", directory / "new.db", "other")
        export_room(directory / "new.db", "a", directory / "two", 1)
        assert (directory / "two").read_bytes() == (directory / "one").read_bytes()
        async with SqliteStore(directory / "new.db", durability="os") as store:
            found = await pictures(store)
        assert found["a"] == before
        row = before.row._replace(room="other", lineage=found["other"].row.lineage)
        assert found["other"] == before._replace(row=row)
        assert row.lineage != before.row.lineage


def wrong_orders() -> list[Any]:
    """Return frames that are sound each, and make no sense together."""
    orders: dict[str, list[Frame]] = {
        "nothing at all": [],
        "no head": list(WHOLE[1:]),
        "no room": list(WHOLE[:1]),
        "two rooms": [*WHOLE, Room("other", "", 1, 0, 1), RoomEnd(0, "")],
        "the same room twice": [*WHOLE, *WHOLE[1:]],
        "no end": list(WHOLE[:-1]),
        "an end elsewhere": [*WHOLE[:-1], RoomEnd(4, "")],
        "no beginning": [*WHOLE[:2], *WHOLE[3:]],
        "a beginning too many": [*WHOLE[:3], *WHOLE[2:]],
        "a record missing": [*WHOLE[:3], *WHOLE[4:]],
        "a record twice": [*WHOLE[:4], *WHOLE[3:]],
        "records after checkpoints": [*WHOLE[:3], WHOLE[5], *WHOLE[3:5], *WHOLE[6:]],
        "notes before checkpoints": [*WHOLE[:5], WHOLE[7], *WHOLE[5:7], *WHOLE[8:]],
        "a checkpoint beyond the end": [*WHOLE[:5], Checkpoint("x", 6, "", "", 1, ""), *WHOLE[5:]],
        "a snapshot beyond the end": [*WHOLE[:-1], State(6, 1, b""), WHOLE[-1]],
        "a room without a name": [WHOLE[0], Room("", "", 1, 0, 1), RoomEnd(0, "")],
        "a room that begins before its beginning": [
            WHOLE[0],
            Room("x", "", 1, -1, 1),
            Beginning(1, b""),
            RoomEnd(0, ""),
        ],
        "a room that goes on from another file": [WHOLE[0], Room("x", "", 1, 3, 0), RoomEnd(3, "")],
    }
    return [pytest.param(frames, id=name) for name, frames in orders.items()]


@pytest.mark.parametrize("frames", wrong_orders())
async def test_import_of_frames_that_make_no_sense_is_refused(tmp_path: Path, frames: list[Frame]) -> None:
    path = write(tmp_path / "room.comity", frames)
    with pytest.raises(DamagedFileError, match=str(path)):
        await import_room(path, tmp_path / "data" / "comity.db")
    assert not (tmp_path / "data").exists()


@given(places=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=3))
def test_frames_in_any_order_are_refused_or_make_sense(places: list[tuple[int, int]]) -> None:
    frames = list(WHOLE)
    for one, other in places:
        frames[one], frames[other] = frames[other], frames[one]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "room.comity", frames)
        try:
            found = list(sound_frames(path))
        except DamagedFileError:
            assert frames != list(WHOLE)
        else:
            assert found == frames
            kinds = [type(frame) for frame in frames]
            assert kinds == [type(frame) for frame in WHOLE]


async def test_import_of_a_damaged_file_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "room.comity", WHOLE)
    whole = path.read_bytes()
    for bit in range(0, len(whole) * 8, examples(5, 1)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(StoreError, match=str(path)):
            await import_room(path, tmp_path / "data" / "comity.db")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedFileError, match=str(path)):
            await import_room(path, tmp_path / "data" / "comity.db")
    path.write_bytes(whole + b"\0")
    with pytest.raises(DamagedFileError, match="follows"):
        await import_room(path, tmp_path / "data" / "comity.db")
    assert not (tmp_path / "data").exists()


async def test_import_leaves_rooms_that_are_there_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "room.comity", WHOLE)
    async with SqliteStore(tmp_path / "comity.db", durability="os") as store:
        await fill(store, "room", b"one")
        await fill(store, "third", b"one", b"two")
        before = await pictures(store)
    with pytest.raises(ExistsError, match="--as"):
        await import_room(path, tmp_path / "comity.db")
    await import_room(path, tmp_path / "comity.db", "other")
    async with SqliteStore(tmp_path / "comity.db", durability="os") as store:
        found = await pictures(store)
    assert {name: found[name] for name in before} == before
    assert found["other"].records == list(WHOLE[3:5])


async def test_import_does_not_bring_back_a_room_that_was_erased(tmp_path: Path) -> None:
    path = write(tmp_path / "room.comity", WHOLE)
    async with SqliteStore(tmp_path / "comity.db", durability="os") as store:
        await store.bury(Tombstone("room", "lineage", 1, b""))
    with pytest.raises(ExistsError, match="erased"):
        await import_room(path, tmp_path / "comity.db")
    assert (await import_room(path, tmp_path / "comity.db", "other")).room == "other"


async def test_import_is_refused_while_a_server_has_the_directory(tmp_path: Path) -> None:
    path = write(tmp_path / "room.comity", WHOLE)
    async with SqliteStore(tmp_path / "comity.db", durability="os"):
        with pytest.raises(StoreInUseError):
            await import_room(path, tmp_path / "comity.db")


async def test_export_refuses_what_it_would_overwrite_and_what_is_not_there(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "comity.db", durability="os") as store:
        await fill(store, "room", b"one")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExistsError):
        export_room(tmp_path / "comity.db", "room", tmp_path / "file", 1)
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(StoreError, match="no such room"):
        export_room(tmp_path / "comity.db", "nowhere", tmp_path / "other", 1)
    assert not (tmp_path / "other").exists()
