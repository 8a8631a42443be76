"""Backups of a server that is in use: by its own schedule, and by the commands."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import comity
from comity import Log, State
from comity.__main__ import app
from comity.crdt_types.document.statedocument import StateDocument
from comity.crdt_types.errors import StartError
from comity.persistence.backup import back_up
from comity.persistence.errors import StoreError
from comity.persistence.manifest import load, locked
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Checkpoint, Loaded
from comity.persistence.restore import open_chain, restore
from comity.persistence.sqlite import SqliteStore
from comity.server.app import DATABASE, App
from comity.server.backups import Backups
from comity.server.rooms.archive import Archive, now
from comity.server.settings import Settings
from tests.support.pictures import pictures
from tests.support.server import in_process_server, running_server
from tests.support.stores import fill
from tests.support.waiting import eventually

# A fifth of a second.
SOON = 0.00005

ROOM = "shared/notes"


class Notes(State):
    said: Log[str]


async def loaded(backups: Path, folder: Path) -> Loaded:
    """Restore the newest backup into a folder, and return the room that is in it."""
    await restore(open_chain(backups), folder / DATABASE, 1)
    async with SqliteStore(folder / DATABASE) as store:
        found = await store.load(ROOM)
        assert found is not None
        return found


def notes_in(found: Loaded) -> list[str]:
    """Return the notes in what was loaded."""
    document = StateDocument(update=found.snapshot) if found.snapshot else StateDocument()
    for update in found.tail:
        document.apply(update)
    return Notes(document).said.value


def ids(backups: Path) -> set[str]:
    """Return the names of the checkpoints that mark the backups that there are."""
    return {f"backup-{backup.id}" for backup in load(backups).backups}


async def test_schedule_backs_up_what_was_acknowledged(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    async with in_process_server(tmp_path / "data", backup_dir=backups, backup_hours=SOON) as server:
        async with comity.connect(server.url).open(ROOM, Notes) as notes:
            for number in range(5):
                notes.said.append(str(number))
                await notes.durable()
        await eventually(lambda: any(ROOM in backup.rooms for backup in load(backups).backups))
        count = len(load(backups).backups)
        await eventually(lambda: len(load(backups).backups) > count)
    assert server.app.backups.failures == 0
    assert server.app.backups.last_success * 1000 <= now()
    assert notes_in(await loaded(backups, tmp_path / "new")) == ["0", "1", "2", "3", "4"]
    assert [backup.parent == "" for backup in load(backups).backups] == [
        True,
        *[False] * (len(load(backups).backups) - 1),
    ]


async def test_schedule_marks_the_versions_that_backups_have_as_long_as_they_are_kept(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    every: dict[str, Any] = {"backup_hours": SOON, "backup_full_days": 0, "backup_keep": 2}

    async def marks(count: int) -> list[Checkpoint]:
        """Return the checkpoints once there are as many, of backups that are there."""
        while True:
            found = await server.app.archive.store.checkpoints(ROOM)
            if len(found) >= count and {each.name for each in found} <= ids(backups):
                return found
            await asyncio.sleep(0.01)

    async with in_process_server(tmp_path / "data", backup_dir=backups, **every) as server:
        async with comity.connect(server.url).open(ROOM, Notes) as notes:
            notes.said.append("one")
            await notes.durable()
            first = (await marks(1))[0]
            assert (first.kind, first.author, first.seq) == ("backup", "", 1)
            notes.said.append("two")
            await notes.durable()
            async with asyncio.timeout(30):
                while first in (found := await marks(2)):
                    pass
        assert len(found) <= 3
    kept = load(backups).backups
    assert {backup.parent for backup in kept} == {""}
    assert len(kept) <= 3  # one more than two, where the server ended before it had deleted the oldest


class Failing(MemoryStore):
    """A store that fails the first time that a checkpoint is to be dropped."""

    failures = 0

    async def drop_checkpoint(self, room: str, name: str) -> bool:
        self.failures += 1
        if self.failures == 1:
            raise StoreError("no space")
        return await super().drop_checkpoint(room, name)


async def test_schedule_takes_marks_away_that_it_failed_to(tmp_path: Path) -> None:
    backups, database = tmp_path / "backups", tmp_path / DATABASE
    async with SqliteStore(database) as store:
        await fill(store, ROOM, b"one")
    for at in (1, 2):
        back_up(database, backups, at, full=True)
    settings = Settings(backup_dir=backups, backup_hours=SOON, backup_full_days=0, backup_keep=1)
    marked = Failing()
    async with Archive(marked) as archive:
        await fill(marked, ROOM, b"one")
        for name in ids(backups):
            await marked.add_checkpoint(ROOM, Checkpoint(name, 1, "backup", "", 1, ""))
        old = ids(backups)
        async with Backups(archive, database, settings) as taken:
            await eventually(lambda: taken.last_success > 0)
        assert not old & {each.name for each in await marked.checkpoints(ROOM)}


async def test_schedule_counts_a_failure_and_tries_again(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    with locked(backups):
        async with in_process_server(tmp_path / "data", backup_dir=backups, backup_hours=SOON) as server:
            await eventually(lambda: server.app.backups.failures >= 2)
            assert server.app.backups.last_success == 0
    async with in_process_server(tmp_path / "data", backup_dir=backups, backup_hours=SOON) as server:
        await eventually(lambda: server.app.backups.last_success > 0)
        assert server.app.backups.failures == 0


async def test_schedule_waits_until_the_newest_backup_is_old_enough(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    async with in_process_server(tmp_path / "data", backup_dir=backups) as server:
        await eventually(lambda: server.app.backups.last_success > 0)
    async with in_process_server(tmp_path / "data", backup_dir=backups) as server:
        async with comity.connect(server.url).open(ROOM, Notes) as notes:
            notes.said.append("one")
            await notes.durable()
        assert server.app.backups.last_success == 0
    assert len(load(backups).backups) == 1


def test_schedule_needs_the_servers_own_database(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="backup_dir"):
        App(Settings(data=tmp_path, backup_dir=tmp_path / "backups"), MemoryStore())


async def test_backup_of_a_server_under_load_has_all_that_was_acknowledged_before_it(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    async with (
        running_server(tmp_path / "data") as server,
        comity.connect(server.url).open(ROOM, Notes) as notes,
    ):
        said = 0
        for turn in range(4):
            before = said
            taking = asyncio.create_task(asyncio.to_thread(back_up, tmp_path / "data" / DATABASE, backups, now()))
            while not taking.done() or said < before + 20:
                notes.said.append(str(said))
                await notes.durable()
                said += 1
            assert (await taking).damaged == {}
            found = notes_in(await loaded(backups, tmp_path / f"new {turn}")) if before else []
            assert found == [str(number) for number in range(len(found))]
            assert before <= len(found) <= said


async def stored(directory: Path, *updates: bytes) -> Path:
    """Return a data directory with a room."""
    async with SqliteStore(directory / DATABASE, durability="os") as store:
        await fill(store, "room", *updates)
    return directory


def run(*arguments: object, exit_code: int = 0) -> str:
    """Run the command line, and return what it says."""
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == exit_code, done.output
    return done.output


def test_commands_bring_a_room_from_one_directory_to_another(tmp_path: Path) -> None:
    data = asyncio.run(stored(tmp_path / "data", b"one", b"two"))
    backups = tmp_path / "backups"
    assert "everything, 1 rooms, 2 records" in run("backup", backups, "--data", data)
    assert "what came since" in run("backup", backups, "--data", data, "--quiet")
    assert "everything" in run("backup", backups, "--data", data, "--full")
    listed = json.loads(run("backups", backups, "--json"))
    assert [each["rooms"] for each in listed] == [["room"], [], ["room"]]
    assert len(run("backups", backups).splitlines()) == 3
    assert "restored 1 rooms" in run("restore", backups, "--data", tmp_path / "new", "--until", listed[1]["id"])
    assert "--force" in run("restore", backups, "--data", tmp_path / "new", exit_code=2)
    assert "before-restore" in run("restore", backups, "--data", tmp_path / "new", "--force", "--new-lineage")
    assert "room 'room' up to record 2" in run("export", "room", tmp_path / "file", "--data", tmp_path / "new")
    assert "already" in run("import", tmp_path / "file", "--data", data, exit_code=2)
    assert "room 'other' up to record 2" in run("import", tmp_path / "file", "--data", data, "--as", "other")
    assert "no name" in run("import", tmp_path / "file", "--data", data, "--as", "\n", exit_code=2)

    async def found() -> dict[str, list[bytes]]:
        async with SqliteStore(data / DATABASE, durability="os") as store:
            return {name: [each.update for each in of.records] for name, of in (await pictures(store)).items()}

    assert asyncio.run(found()) == {"room": [b"one", b"two"], "other": [b"one", b"two"]}


def test_commands_say_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    assert "no database" in run("backup", tmp_path / "backups", "--data", tmp_path / "nowhere", exit_code=2)
    assert "no backups" in run("backups", tmp_path / "nowhere")
    assert "no backup" in run("restore", tmp_path / "nowhere", "--data", tmp_path / "new", exit_code=2)
    assert "no database" in run("export", "room", tmp_path / "file", "--data", tmp_path / "nowhere", exit_code=2)
    assert "No such file" in run("import", tmp_path / "file", "--data", tmp_path / "new", exit_code=2)


def test_commands_end_with_1_where_something_is_damaged(tmp_path: Path) -> None:
    data = asyncio.run(stored(tmp_path / "data", b"one", b"two and more"))
    database = data / DATABASE
    whole = database.read_bytes()
    assert whole.count(b"two and more") == 1
    database.write_bytes(whole.replace(b"two and more", b"two and less"))
    assert "record 2" in run("backup", tmp_path / "backups", "--data", data, exit_code=1)
    assert "record 2" in run("restore", tmp_path / "backups", "--data", tmp_path / "new", exit_code=1)
    assert "record 2" in run("export", "room", tmp_path / "file", "--data", data, exit_code=1)
    assert "record 2" in run("import", tmp_path / "file", "--data", tmp_path / "other", exit_code=1)
