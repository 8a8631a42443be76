"""What can go wrong with a store.

::

    StoreError
    |- CorruptRecordError      what was read is not what was written
    |- DamagedFileError        an exported room or a backup is not what was written
    |- ExistsError             what was to be made is there already
    |- NewerDatabaseError      the database has a format that this version does not know
    |- NewerFileError          an exported room or a backup has one
    |- StoreFullError          no space is left
    |- StoreInUseError         another server holds the database
    |- StoreUnwritableError    the place cannot be created or written, or is no database of ours
    `- SequenceError           an update that does not follow the last one of its room
"""


class StoreError(Exception):
    """Any failure of a store.

    Args:
        what: what happened, one clause.
        subject: the thing it happened to: a file, a room.
        remedy: what the reader can do about it.
    """

    def __init__(self, what: str, *, subject: str = "", remedy: str = "") -> None:
        self.what = what
        self.subject = subject
        self.remedy = remedy
        head = f"{subject}: {what}" if subject else what
        super().__init__(f"{head}; {remedy}" if remedy else head)


class CorruptRecordError(StoreError):
    """What was read is not what was written: a checksum that does not fit, or a gap in the log.

    Args:
        what: what was found.
        room: the room's name.
        seq: the sequence number of the damaged or missing record; 0 when the damage is not that of one
        record.
    """

    def __init__(self, what: str, *, room: str, seq: int = 0) -> None:
        self.room = room
        self.seq = seq
        subject = f"room {room!r}, record {seq}" if seq else f"room {room!r}"
        super().__init__(what, subject=subject, remedy="run comity repair, or restore this room from a backup")


class DamagedFileError(StoreError):
    """An exported room or a backup is cut short, or not what was written; nothing of it was used."""


class ExistsError(StoreError):
    """What was to be made is there already; it was not changed."""


class NewerDatabaseError(StoreError):
    """The database was written by a newer version; nothing in it was changed."""


class NewerFileError(StoreError):
    """An exported room or a backup was written by a newer version; nothing of it was used."""


class StoreFullError(StoreError):
    """The disk is full; what was being written was not written at all."""


class StoreInUseError(StoreError):
    """Another server, or another process that is writing, holds the database."""


class StoreUnwritableError(StoreError):
    """The directory or file cannot be created or written, or the file is not a database of ours."""


class SequenceError(StoreError):
    """An update or snapshot that does not fit its log: two writers, or a room that was never created."""


def sequence_error(room: str, seq: int, last: int | None) -> SequenceError:
    """Return the error of update ``seq`` in a room whose log ends at ``last``, None if never created."""
    subject = f"room {room!r}"
    if last is None:
        return SequenceError("the room was never created", subject=subject, remedy="create it before writing")
    return SequenceError(
        f"record {seq} does not fit a log that ends at {last}",
        subject=subject,
        remedy="let one server write to a room, and load the room again",
    )


def not_open(subject: str) -> StoreError:
    """Return the error of using a store outside its ``async with``."""
    return StoreError("the store is not open", subject=subject, remedy="use it inside its `async with`")
