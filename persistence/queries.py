"""The SQL of the SQLite store.

``comity_checksum`` is ``checksum.checksum``, called by SQLite on the thread that reads or writes, so that the
event loop pays nothing for it. Text goes into it as the bytes that lie in the file: after damage they need
not be UTF-8.
"""

from typing import Final

_ROOM: Final = "(SELECT id FROM rooms WHERE name = ?1)"

# Updates are retired only below the older of two snapshots, so the last one is always there.
_LAST: Final = "coalesce((SELECT max(seq) FROM updates WHERE room = rooms.id), 0)"

_SOUND_ROOM: Final = """
    checksum IS comity_checksum(CAST(name AS BLOB), 0, CAST(lineage AS BLOB), created, x'')"""

# Both need the room's name as ?1.
_SOUND_UPDATE: Final = """
    checksum IS comity_checksum(CAST(?1 AS BLOB), seq, CAST(author AS BLOB), at, CAST("update" AS BLOB))"""
_SOUND_SNAPSHOT: Final = """
    checksum IS comity_checksum(CAST(?1 AS BLOB), seq, x'', at, CAST(state AS BLOB))"""

# (name, lineage, created)
CREATE: Final = """
    INSERT INTO rooms (name, lineage, created, checksum)
    VALUES (?1, ?2, ?3, comity_checksum(CAST(?1 AS BLOB), 0, CAST(?2 AS BLOB), ?3, x''))
    ON CONFLICT (name) DO NOTHING"""

# (name) -> lineage as bytes, sound
ROOM: Final = f"SELECT CAST(lineage AS BLOB), {_SOUND_ROOM} FROM rooms WHERE name = ?1"

# (name) -> its id and its last sequence number, no row for a room never created
LAST: Final = f"SELECT id, {_LAST} FROM rooms WHERE name = ?1"


# (room, seq, at, checksum, author, update), for each of some updates: one statement is one trip out of the interpreter
def append(count: int) -> str:
    """Return the statement that stores a number of updates."""
    rows = ", ".join(["(?, ?, ?, ?, ?, ?)"] * count)
    return f'INSERT INTO updates (room, seq, at, checksum, author, "update") VALUES {rows}'


# (name, seq, state, at); inserts nothing when the log does not reach seq
SNAPSHOT: Final = f"""
    INSERT OR REPLACE INTO snapshots (room, seq, at, checksum, state)
    SELECT id, ?2, ?4, comity_checksum(CAST(?1 AS BLOB), ?2, x'', ?4, ?3), ?3
    FROM rooms WHERE name = ?1 AND ?2 BETWEEN 0 AND {_LAST}"""

# The second newest of the sound snapshots; NULL when there are not two.
_OLDER: Final = f"""
    (SELECT seq FROM snapshots WHERE room = {_ROOM} AND {_SOUND_SNAPSHOT}
    ORDER BY seq DESC LIMIT 1 OFFSET 1)"""

# (name)
RETIRE_SNAPSHOTS: Final = f"DELETE FROM snapshots WHERE room = {_ROOM} AND seq < {_OLDER}"

# (name, before, at_before) -> the oldest sequence number, and the first that must stay; equal if none may go
RETIRABLE: Final = f"""
    WITH span AS (
        SELECT coalesce(min(seq), 1) AS first, min(?2, coalesce({_OLDER}, 0) + 1) AS limit_
        FROM updates WHERE room = {_ROOM}
    )
    SELECT first, max(first, coalesce(
        (SELECT seq FROM updates WHERE room = {_ROOM} AND seq < limit_ AND at >= ?3 ORDER BY seq LIMIT 1),
        limit_
    )) FROM span"""

# (name, end): updates of a room below a sequence number
RETIRE: Final = f"DELETE FROM updates WHERE room = {_ROOM} AND seq < ?2"

_BASE: Final = f"(SELECT seq FROM snapshots WHERE room = {_ROOM} ORDER BY seq DESC LIMIT 1 OFFSET ?2)"

# (name, skip) -> kind, seq, payload, sound: after skipping the newest snapshots, the next one (kind 0), the
# updates after it (kind 1), and the last sequence number of the log (kind 2). One statement, so one state of
# the database.
LOAD: Final = f"""
    SELECT 0, CAST(seq AS INTEGER), CAST(state AS BLOB), {_SOUND_SNAPSHOT}
    FROM snapshots WHERE room = {_ROOM} AND seq = {_BASE}
    UNION ALL
    SELECT 1, CAST(seq AS INTEGER), CAST("update" AS BLOB), {_SOUND_UPDATE}
    FROM updates WHERE room = {_ROOM} AND seq > coalesce({_BASE}, 0)
    UNION ALL
    SELECT 2, {_LAST}, x'', 1 FROM rooms WHERE name = ?1"""

# (name, after, limit) -> seq, update, author as bytes, at, sound
RECORDS: Final = f"""
    SELECT CAST(seq AS INTEGER), CAST("update" AS BLOB), CAST(author AS BLOB), CAST(at AS INTEGER),
        {_SOUND_UPDATE}
    FROM updates WHERE room = {_ROOM} AND seq > ?2 ORDER BY seq LIMIT ?3"""

# The columns before the blob, of the one row that an index leads to: listing costs the same however large updates are.
_UPDATED: Final = "(SELECT CAST(at AS INTEGER) FROM updates WHERE room = rooms.id ORDER BY seq DESC LIMIT 1)"

# -> the fields of `RoomRow`
ROOMS: Final = f"SELECT name, lineage, created, {_LAST}, {_UPDATED} FROM rooms ORDER BY name"
