"""Backups that the server takes by the clock."""

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Final, Self

from comity.crdt_types.errors import StorageError
from comity.persistence.backup import Taken, back_up, outdated, prune
from comity.persistence.errors import SequenceError, StoreError
from comity.persistence.manifest import Backup, load
from comity.persistence.records import Checkpoint

from .history.checkpoints import BACKUP
from .rooms.archive import Archive, now, translated
from .settings import Settings

logger = logging.getLogger(__name__)

MS_PER_HOUR: Final = 60 * 60 * 1000
MS_PER_DAY: Final = 24 * MS_PER_HOUR


class Backups:
    """Takes a backup whenever one is due; an async context manager that owns the task which does.

    Reading and writing is done on a thread of its own. In each room that changed, the version that a backup has is
    marked by a checkpoint of kind "backup", for as long as the backup is kept.

    Args:
        archive: the open archive whose rooms are marked.
        database: the database file.
        settings: where backups go, if anywhere, and when.
    """

    def __init__(self, archive: Archive, database: Path, settings: Settings) -> None:
        self.last_success = 0.0  # in seconds since the Unix epoch
        self.failures = 0
        self._archive = archive
        self._database = database
        self._directory = settings.backup_dir
        self._interval = round(settings.backup_hours * MS_PER_HOUR)
        self._full_interval = round(settings.backup_full_days * MS_PER_DAY)
        self._keep = settings.backup_keep
        self._stopping = Event()
        self._work: asyncio.Task[Taken] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to wait for the next backup, if any are to be taken."""
        if self._directory is not None:
            self._task = asyncio.create_task(self._run(self._directory), name="backups")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; a backup that is being taken is given up, and nothing of it is left."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
        tasks: list[asyncio.Task[Any]] = [task for task in (self._task, self._work) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, directory: Path) -> None:
        due = await asyncio.to_thread(self._due, directory)
        while True:
            await asyncio.sleep(max(due - now(), 0) / 1000)
            await self._try(directory)
            due = now() + self._interval

    async def _try(self, directory: Path) -> None:
        """Take a backup; whatever is wrong is logged and counted, and the next one comes in its time."""
        try:
            await self._take(directory)
        except (StoreError, StorageError) as error:
            self.failures += 1
            logger.error("no backup: %s", error)
        except Exception:
            self.failures += 1
            logger.exception("no backup: there is a fault in the server")

    async def _take(self, directory: Path) -> None:
        self._work = asyncio.create_task(asyncio.to_thread(self._back_up, directory))
        taken = await asyncio.shield(self._work)
        for damage in taken.damaged.values():
            logger.error("damaged, and not in backup %s: %s", taken.backup.id, damage)
        await self._mark(taken.backup)
        await self._unmark(await asyncio.to_thread(outdated, directory, self._keep))
        # Last: nobody would know then what is still to be unmarked.
        await asyncio.to_thread(prune, directory, self._keep)
        if taken.damaged:
            self.failures += 1
        else:
            self.last_success = time.time()

    def _due(self, directory: Path) -> int:
        """Return when the next backup is due, in ms; what is wrong with the directory will show when it is taken."""
        with suppress(StoreError):
            return max((backup.at + self._interval for backup in load(directory).backups), default=0)
        return 0

    def _back_up(self, directory: Path) -> Taken:
        fulls = [backup.at for backup in load(directory).backups if not backup.parent]
        at = now()
        full = at >= max(fulls, default=0) + self._full_interval
        return back_up(self._database, directory, at, full=full, on_progress=self._go_on)

    def _go_on(self, _done: int, _of: int) -> None:
        """Raise where the server wants to end: this runs on the thread, which nobody can cancel."""
        if self._stopping.is_set():
            raise StoreError("the server is shutting down", subject="backup")

    async def _mark(self, backup: Backup) -> None:
        for room, section in backup.rooms.items():
            if section.kept.to > section.after:
                checkpoint = Checkpoint(_name(backup), section.kept.to, BACKUP, "", backup.at, "")
                with translated(), suppress(SequenceError):  # if it was erased meanwhile
                    await self._archive.store.add_checkpoint(room, checkpoint)

    async def _unmark(self, backups: tuple[Backup, ...]) -> None:
        for backup in backups:
            for room in backup.rooms:
                with translated():
                    await self._archive.store.drop_checkpoint(room, _name(backup))


def _name(backup: Backup) -> str:
    return f"{BACKUP}-{backup.id}"
