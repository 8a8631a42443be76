"""The list of the backups in a directory: what each has of which room, and which rooms were erased since."""

import fcntl
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from .errors import DamagedFileError, NewerFileError, StoreError, StoreInUseError
from .failures import from_os
from .records import Tombstone
from .sections import Kept, Section
from .wholefile import written_whole

NAME: Final = "manifest.json"
LOCK: Final = "manifest.lock"
FORMAT: Final = 1


class Backup(NamedTuple):
    """One backup.

    Attributes:
        id: its name, which begins with the time in UTC; later ones sort behind.
        at: when it was begun, in ms.
        parent: the id of the backup that it builds on, empty for a full one.
        file: the name of its file, beside the manifest.
        sha256: of the file, in hexadecimal.
        size: of the file, in bytes.
        rooms: what it has of each room that changed.
        gone: the rooms that the one before had and it has not, or is not to be had of it any more.
    """

    id: str
    at: int
    parent: str
    file: str
    sha256: str
    size: int
    rooms: dict[str, Section]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """The backups in a directory, the oldest first, and what is left of rooms that were erased."""

    backups: tuple[Backup, ...] = ()
    erased: tuple[Tombstone, ...] = ()

    def chain(self, until: str = "") -> tuple[Backup, ...]:
        """Return a backup, by default the newest, after all that it builds on, the full one first.

        Raises:
            StoreError: there is no such backup.
        """
        by_id = {backup.id: backup for backup in self.backups}
        found = by_id.get(until or max(by_id, default=""))
        if found is None:
            known = ", ".join(by_id) or "none at all"
            raise StoreError(f"there is no backup {until}".rstrip(), remedy=f"there are: {known}")
        links = [found]
        while links[0].parent:
            if links[0].parent not in by_id:
                raise StoreError(f"backup {links[0].id} builds on {links[0].parent}, which is not there")
            links.insert(0, by_id[links[0].parent])
        return tuple(links)

    def without(self, room: str, lineage: str) -> "Manifest":
        """Return the manifest without what the backups have of a room, so that it is never restored from them."""
        return replace(self, backups=tuple(_without(backup, room, lineage) for backup in self.backups))

    def burying(self, tombstones: list[Tombstone]) -> "Manifest":
        """Return the manifest with rooms erased: without what backups have of them, and with what is left of them."""
        known = {(each.room, each.lineage) for each in self.erased}
        new = [each for each in tombstones if (each.room, each.lineage) not in known]
        changed = self
        for each in new:
            changed = changed.without(each.room, each.lineage)
        return replace(changed, erased=(*self.erased, *new))


def state_of(chain: tuple[Backup, ...]) -> dict[str, Kept]:
    """Return what a chain of backups has of each room that its last one has."""
    rooms: dict[str, Kept] = {}
    for backup in chain:
        for room in backup.gone:
            rooms.pop(room, None)
        rooms |= {room: section.kept for room, section in backup.rooms.items()}
    return rooms


@contextmanager
def locked(directory: Path, *, wait: bool = False) -> Generator[None]:
    """Hold a backup directory, made when absent.

    Args:
        directory: the directory.
        wait: whether to wait for whoever holds it.

    Raises:
        StoreInUseError: another holds it.
        StoreUnwritableError: it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise from_os(error, directory) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        os.close(handle)
        raise StoreInUseError(
            "another backup is being written there", subject=str(directory), remedy="let it finish"
        ) from error
    try:
        yield
    finally:
        os.close(handle)


def load(directory: Path) -> Manifest:
    """Return the manifest of a directory, an empty one if there is none.

    Raises:
        DamagedFileError: it is not what was written.
        NewerFileError: a newer version wrote it.
        StoreUnwritableError: it cannot be read.
    """
    path = directory / NAME
    try:
        said = json.loads(path.read_bytes())
        body, expected, number = said["manifest"], said["sha256"], said["format"]
    except FileNotFoundError:
        return Manifest()
    except OSError as error:
        raise from_os(error, path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error
    if number != FORMAT:
        raise NewerFileError(
            f"it has format {number}; this version knows {FORMAT}",
            subject=str(path),
            remedy="use the version that wrote it, or one after it",
        )
    if _digest(number, body) != expected:
        raise _damaged(path)
    return _parsed(body)


def save(directory: Path, manifest: Manifest) -> None:
    """Write the manifest of a directory, whole or not at all. Raises as ``written_whole`` does."""
    body = _plain(manifest)
    said = {"format": FORMAT, "sha256": _digest(FORMAT, body), "manifest": body}
    with written_whole(directory / NAME) as file:
        file.write(json.dumps(said, indent=1, ensure_ascii=False).encode())


def mark_erased(directory: Path, tombstone: Tombstone) -> None:
    """See to it that a room that was erased is not restored from the backups of a directory.

    To be called after the room was erased from its store. Waits for a backup that is being written there.

    Raises:
        StoreError: the manifest cannot be read or written.
    """
    _change(directory, lambda manifest: manifest.burying([tombstone]))


def mark_redacted(directory: Path, room: str, lineage: str) -> None:
    """See to it that a room is not restored as it was before some of its updates were replaced by others.

    To be called after that, and after the room's attribute ``REDACTED`` has changed; the next backup takes the whole
    room anew. Waits for a backup that is being written there.

    Raises:
        StoreError: the manifest cannot be read or written.
    """
    _change(directory, lambda manifest: manifest.without(room, lineage))


def _change(directory: Path, change: Callable[[Manifest], Manifest]) -> None:
    if (directory / NAME).exists():
        with locked(directory, wait=True):
            save(directory, change(load(directory)))


def _without(backup: Backup, room: str, lineage: str) -> Backup:
    """Return a backup without a room of some lineage, also as it was under another one in those that it builds on."""
    section = backup.rooms.get(room)
    if section is None or section.kept.lineage != lineage:
        return backup
    left = {name: each for name, each in backup.rooms.items() if name != room}
    return backup._replace(rooms=left, gone=tuple(sorted({*backup.gone, room})))


def _digest(number: int, body: Any) -> str:
    return sha256(json.dumps([number, body], sort_keys=True).encode()).hexdigest()


def _damaged(path: Path) -> DamagedFileError:
    return DamagedFileError("it is not what was written", subject=str(path), remedy="use another copy of it")


def _plain(manifest: Manifest) -> dict[str, Any]:
    return {
        "backups": [_plain_backup(backup) for backup in manifest.backups],
        "erased": [
            {**each._asdict(), "state_vector": b64encode(each.state_vector).decode()} for each in manifest.erased
        ],
    }


def _plain_backup(backup: Backup) -> dict[str, Any]:
    rooms = {
        name: {"after": section.after, "whole": section.is_whole, **section.kept._asdict()}
        for name, section in backup.rooms.items()
    }
    return {**backup._asdict(), "rooms": rooms}


def _parsed(body: dict[str, Any]) -> Manifest:
    backups = tuple(_parsed_backup(each) for each in body["backups"])
    return Manifest(backups, tuple(_parsed_tombstone(each) for each in body["erased"]))


def _parsed_tombstone(said: dict[str, Any]) -> Tombstone:
    return Tombstone(said["room"], said["lineage"], said["at"], b64decode(said["state_vector"]))


def _parsed_backup(said: dict[str, Any]) -> Backup:
    rooms = {name: _parsed_section(section) for name, section in said.pop("rooms").items()}
    return Backup(rooms=rooms, gone=tuple(said.pop("gone")), **said)


def _parsed_section(said: dict[str, Any]) -> Section:
    kept = Kept(**{name: said[name] for name in Kept._fields})
    return Section(said["after"], said["whole"], kept._replace(pinned=tuple(said["pinned"])))
