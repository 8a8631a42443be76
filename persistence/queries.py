"""The SQL of the SQLite store: rooms, the log and its snapshots.

``comity_checksum`` is ``checksum.checksum``, called by SQLite on the thread that reads or writes, so that the
event loop pays nothing for it. Text goes into it as the bytes that lie in the file: after damage they need
not be UTF-8.
"""

from typing import Final

ROOM_ID: Final = "(SELECT id FROM rooms WHERE name = ?1)"

# Rooms being erased keep their rows for a moment, under a name that no room can have: one that is no text.
VISIBLE: Final = "typeof(rooms.name) = 'text'"

SOUND_BEGINNING: Final = """
    beginnings.checksum IS comity_checksum(x'', beginnings.seq, CAST('beginning' AS BLOB), beginnings.room, x'')"""

# The update after which a room's log begins; rows up to there are being deleted.
_BEGINNING: Final = f"coalesce((SELECT seq FROM beginnings WHERE room = {ROOM_ID} AND {SOUND_BEGINNING}), 0)"

SOUND_HEAD: Final = "heads.checksum IS comity_checksum(x'', heads.seq, x'', heads.room, CAST(heads.at AS BLOB))"

# The log ends at its last row, at the snapshot that it was begun with, or where it is noted that it does.
_LAST: Final = f"""
    max(coalesce((SELECT max(seq) FROM updates WHERE room = rooms.id), 0),
        coalesce((SELECT max(seq) FROM snapshots WHERE room = rooms.id), 0),
        coalesce((SELECT seq FROM heads WHERE room = rooms.id AND {SOUND_HEAD}), 0))"""

_SOUND_ROOM: Final = """
    rooms.checksum IS comity_checksum(CAST({} AS BLOB), 0, CAST(rooms.lineage AS BLOB), rooms.created, x'')"""
SOUND_ROOM: Final = _SOUND_ROOM.format("rooms.name")

# Both need the room's name as ?1.
SOUND_UPDATE: Final = """
    checksum IS comity_checksum(CAST(?1 AS BLOB), seq, CAST(author AS BLOB), at, CAST("update" AS BLOB))"""
SOUND_SNAPSHOT: Final = """
    checksum IS comity_checksum(CAST(?1 AS BLOB), seq, x'', at, CAST(state AS BLOB))"""

# (name, lineage, created)
CREATE: Final = """
    INSERT INTO rooms (name, lineage, created, checksum)
    VALUES (?1, ?2, ?3, comity_checksum(CAST(?1 AS BLOB), 0, CAST(?2 AS BLOB), ?3, x''))
    ON CONFLICT (name) DO NOTHING"""

# (name, lineage)
ADOPT: Final = """
    UPDATE rooms SET lineage = ?2,
        checksum = comity_checksum(CAST(?1 AS BLOB), 0, CAST(?2 AS BLOB), created, x'')
    WHERE name = ?1"""

# (name) -> lineage as bytes, sound
ROOM: Final = f"SELECT CAST(lineage AS BLOB), {_SOUND_ROOM.format('?1')} FROM rooms WHERE name = ?1"

# (name) -> its id, looked for without the index of names
ROOM_SCANNED: Final = "SELECT id FROM rooms NOT INDEXED WHERE name = ?1"

# (name) -> its id and its last sequence number, no row for a room never created
LAST: Final = f"SELECT id, {_LAST} FROM rooms WHERE name = ?1"


# (room, seq, at, checksum, author, update), for each of some updates: one statement is one trip out of the interpreter
def append(count: int) -> str:
    """Return the statement that stores a number of updates."""
    rows = ", ".join(["(?, ?, ?, ?, ?, ?)"] * count)
    return f'INSERT INTO updates (room, seq, at, checksum, author, "update") VALUES {rows}'


# The columns before the blob, of the one row that an index leads to: listing costs the same however large updates are.
_UPDATED: Final = "(SELECT CAST(at AS INTEGER) FROM updates WHERE room = rooms.id ORDER BY seq DESC LIMIT 1)"

_HEAD_ANEW: Final = """
    ON CONFLICT (room) DO UPDATE SET seq = excluded.seq, at = excluded.at, checksum = excluded.checksum"""


# (room, seq, at, checksum), for each of some rooms
def heads(count: int) -> str:
    """Return the statement that notes where the logs of a number of rooms end."""
    rows = ", ".join(["(?, ?, ?, ?)"] * count)
    return f"INSERT INTO heads (room, seq, at, checksum) VALUES {rows} {_HEAD_ANEW}"


# (name): notes that the log ends where it does
HEAD_ANEW: Final = f"""
    INSERT INTO heads (room, seq, at, checksum)
    SELECT id, seq, at, comity_checksum(x'', seq, x'', id, CAST(at AS BLOB)) FROM (
        SELECT id, max(coalesce((SELECT max(seq) FROM updates WHERE room = rooms.id), 0),
            coalesce((SELECT max(seq) FROM snapshots WHERE room = rooms.id), 0)) AS seq, {_UPDATED} AS at
        FROM rooms WHERE name = ?1)
    WHERE true {_HEAD_ANEW}"""

_BEGINNING_ANEW: Final = """
    ON CONFLICT (room) DO UPDATE SET seq = excluded.seq, checksum = excluded.checksum"""
_BEGINNING_SUM: Final = "comity_checksum(x'', seq, CAST('beginning' AS BLOB), id, x'')"

# (name): notes that the log begins where it does, of a room of which no rows are being deleted
BEGINNING_ANEW: Final = f"""
    INSERT INTO beginnings (room, seq, checksum)
    SELECT id, seq, {_BEGINNING_SUM} FROM (
        SELECT id, coalesce((SELECT min(seq) FROM updates WHERE room = rooms.id) - 1,
            (SELECT max(seq) FROM snapshots WHERE room = rooms.id), 0) AS seq
        FROM rooms WHERE name = ?1)
    WHERE true {_BEGINNING_ANEW}"""

# (name) -> the update after which the log begins
BEGINNING_OF: Final = f"SELECT {_BEGINNING}"

# (name) -> where it is noted that the log ends, 0 if it is not, and the update after which it begins
BOUNDS: Final = f"""
    SELECT coalesce((SELECT seq FROM heads WHERE room = {ROOM_ID} AND {SOUND_HEAD}), 0), {_BEGINNING}"""

# (name) -> where it is noted that the log ends
HEAD_OF: Final = f"SELECT seq FROM heads WHERE room = {ROOM_ID} AND {SOUND_HEAD}"

# (name, seq, state, at); inserts nothing when the log does not reach seq
SNAPSHOT: Final = f"""
    INSERT OR REPLACE INTO snapshots (room, seq, at, checksum, state)
    SELECT id, ?2, ?4, comity_checksum(CAST(?1 AS BLOB), ?2, x'', ?4, ?3), ?3
    FROM rooms WHERE name = ?1 AND ?2 BETWEEN 0 AND {_LAST}"""

# (name, seq, state, at): a log begins after it
BEGIN: Final = f"""
    INSERT INTO snapshots (room, seq, at, checksum, state)
    SELECT {ROOM_ID}, ?2, ?4, comity_checksum(CAST(?1 AS BLOB), ?2, x'', ?4, ?3), ?3"""

# The second newest of the sound snapshots; NULL when there are not two.
_OLDER: Final = f"""
    (SELECT seq FROM snapshots WHERE room = {ROOM_ID} AND {SOUND_SNAPSHOT}
    ORDER BY seq DESC LIMIT 1 OFFSET 1)"""

# (name): the snapshot that was the second newest until now goes if no checkpoint names it, the log does not begin after
# it, and the log since the one before it is smaller; so does a damaged one older than two sound ones
THIN: Final = f"""
    WITH third AS (
        SELECT max(seq) AS seq FROM snapshots WHERE room = {ROOM_ID} AND seq < {_OLDER}
    ), before AS (
        SELECT coalesce(max(seq), 0) AS seq FROM snapshots WHERE room = {ROOM_ID} AND seq < (SELECT seq FROM third)
    )
    DELETE FROM snapshots WHERE room = {ROOM_ID} AND seq = (SELECT seq FROM third)
    AND NOT ({SOUND_SNAPSHOT} AND (
        seq IN (SELECT seq FROM checkpoints WHERE room = {ROOM_ID})
        OR seq IN ({_BEGINNING}, (SELECT min(seq) - 1 FROM updates WHERE room = {ROOM_ID}))
        OR length(state) <= (
            SELECT coalesce(sum(length("update")), 0) FROM updates
            WHERE room = {ROOM_ID} AND seq > (SELECT seq FROM before) AND seq <= (SELECT seq FROM third))))"""

# (name, before, at_before) -> the snapshot whose updates may go, with all older ones: 0 if none
_RETIRABLE: Final = f"""
    WITH bases AS (
        SELECT seq FROM snapshots WHERE room = {ROOM_ID} AND {SOUND_SNAPSHOT}
    ), needed AS (
        SELECT min(coalesce((SELECT max(seq) FROM bases WHERE bases.seq <= checkpoints.seq), 0)) AS seq
        FROM checkpoints WHERE room = {ROOM_ID} AND seq NOT IN (SELECT seq FROM bases)
    ), young AS (
        SELECT seq FROM updates WHERE room = {ROOM_ID} AND at >= ?3 AND seq > {_BEGINNING} ORDER BY seq LIMIT 1
    )
    SELECT coalesce(max(seq), 0) AS seq FROM bases
    WHERE seq < ?2 AND seq <= coalesce({_OLDER}, 0)
    AND seq <= coalesce((SELECT seq FROM needed), seq) AND seq < coalesce((SELECT seq FROM young), seq + 1)"""

# (name, before, at_before): from now on the log begins as late as it may; what is before is to be deleted
RETIRE: Final = f"""
    INSERT INTO beginnings (room, seq, checksum)
    SELECT id, seq, {_BEGINNING_SUM} FROM ({_RETIRABLE}), (SELECT id FROM rooms WHERE name = ?1)
    WHERE seq > {_BEGINNING} {_BEGINNING_ANEW}"""

_RETIRED: Final = f"seq <= (SELECT seq FROM beginnings WHERE beginnings.room = updates.room AND {SOUND_BEGINNING})"

# (room id, limit): some of the updates before the log begins
CLEAR_SOME: Final = f"""
    DELETE FROM updates WHERE id IN (SELECT id FROM updates WHERE room = ?1 AND {_RETIRED} LIMIT ?2)"""

# -> the ids of rooms that have such updates
UNCLEARED: Final = (
    f"SELECT room FROM beginnings WHERE EXISTS (SELECT 1 FROM updates WHERE room = beginnings.room AND {_RETIRED})"
)

# (name): snapshots from before the log begins that nothing builds on
RETIRE_SNAPSHOTS: Final = f"""
    DELETE FROM snapshots WHERE room = {ROOM_ID} AND seq < {_BEGINNING}
    AND seq NOT IN (SELECT seq FROM checkpoints WHERE room = {ROOM_ID})"""

_BASE: Final = f"(SELECT seq FROM snapshots WHERE room = {ROOM_ID} ORDER BY seq DESC LIMIT 1 OFFSET ?2)"

# (name, skip) -> kind, seq, payload, sound: after skipping the newest snapshots, the next one (kind 0), the
# updates after it (kind 1), and where it is noted that the log ends (kind 2). One statement, so one state of
# the database.
LOAD: Final = f"""
    SELECT 0, CAST(seq AS INTEGER), CAST(state AS BLOB), {SOUND_SNAPSHOT}
    FROM snapshots WHERE room = {ROOM_ID} AND seq = {_BASE}
    UNION ALL
    SELECT 1, CAST(seq AS INTEGER), CAST("update" AS BLOB), {SOUND_UPDATE}
    FROM updates WHERE room = {ROOM_ID} AND seq > coalesce({_BASE}, 0)
    UNION ALL
    SELECT 2, CAST(seq AS INTEGER), x'', {SOUND_HEAD} FROM heads WHERE room = {ROOM_ID}"""

# (name, after, limit) -> seq, update, author as bytes, at, sound, and the update after which the log begins
RECORDS: Final = f"""
    SELECT CAST(seq AS INTEGER), CAST("update" AS BLOB), CAST(author AS BLOB), CAST(at AS INTEGER),
        {SOUND_UPDATE}, {_BEGINNING}
    FROM updates WHERE room = {ROOM_ID} AND seq > max(?2, {_BEGINNING}) ORDER BY seq LIMIT ?3"""

# (name, after, limit) -> seq, size of the update, author as bytes, at, sound, and the update after which the log begins
VERSIONS: Final = f"""
    SELECT CAST(seq AS INTEGER), length("update"), CAST(author AS BLOB), CAST(at AS INTEGER),
        {SOUND_UPDATE}, {_BEGINNING}
    FROM updates WHERE room = {ROOM_ID} AND seq > max(?2, {_BEGINNING}) ORDER BY seq LIMIT ?3"""

# (name, at) -> seq, sound
VERSION_AT: Final = f"""
    SELECT CAST(seq AS INTEGER), {SOUND_UPDATE}
    FROM updates WHERE room = {ROOM_ID} AND at <= ?2 AND seq > {_BEGINNING} ORDER BY seq DESC LIMIT 1"""

# (name, seq) -> seq, state: the newest sound snapshot that is not above seq
BASE: Final = f"""
    SELECT CAST(seq AS INTEGER), CAST(state AS BLOB) FROM snapshots
    WHERE room = {ROOM_ID} AND seq <= ?2 AND {SOUND_SNAPSHOT} ORDER BY seq DESC LIMIT 1"""

# (name, seq) -> a row if the state as of an update can still be seen
IS_KEPT: Final = f"""
    SELECT 1 WHERE ?2 >= {_BEGINNING}
    UNION ALL SELECT 1 FROM snapshots WHERE room = {ROOM_ID} AND seq = ?2 AND {SOUND_SNAPSHOT}"""

# (name) -> seq, at, size, sound
SNAPSHOTS: Final = f"""
    SELECT CAST(seq AS INTEGER), CAST(at AS INTEGER), length(state), {SOUND_SNAPSHOT}
    FROM snapshots WHERE room = {ROOM_ID} ORDER BY seq"""

# (room, seq, update, checksum, author, at)
REPLACE: Final = """
    UPDATE updates SET "update" = ?3, checksum = ?4, author = ?5, at = ?6 WHERE room = ?1 AND seq = ?2"""

# (name, after) -> how many updates come after one
COUNT: Final = f"SELECT count(*) FROM updates WHERE room = {ROOM_ID} AND seq > max(?2, {_BEGINNING})"

# (name, after): of updates, snapshots and checkpoints
CUT: Final = tuple(
    f"DELETE FROM {table} WHERE room = {ROOM_ID} AND seq > ?2" for table in ("checkpoints", "snapshots", "updates")
)

# (name): what is noted of a log that was cut
CUT_ANEW: Final = (f"DELETE FROM updates WHERE room = {ROOM_ID} AND seq <= {_BEGINNING}", HEAD_ANEW, BEGINNING_ANEW)

# -> the fields of `RoomRow`, of rooms that are sound; the note where a log ends knows best, since it has a checksum
ROOMS: Final = f"""
    SELECT name, CAST(lineage AS TEXT), created, CASE WHEN {SOUND_HEAD} THEN heads.seq ELSE {_LAST} END,
        CASE WHEN {SOUND_HEAD} THEN heads.at ELSE {_UPDATED} END
    FROM rooms LEFT JOIN heads ON heads.room = rooms.id WHERE {VISIBLE} AND {SOUND_ROOM} ORDER BY name"""

# -> name and lineage as bytes, created, last sequence number, sound
LISTING: Final = f"""
    SELECT CAST(name AS BLOB), CAST(lineage AS BLOB), created, {_LAST}, {SOUND_ROOM}
    FROM rooms WHERE {VISIBLE} ORDER BY name"""

# (name, seq) -> the state of a snapshot and when it was taken, if it is sound
STATE: Final = f"""
    SELECT CAST(state AS BLOB), CAST(at AS INTEGER) FROM snapshots
    WHERE room = {ROOM_ID} AND seq = ?2 AND {SOUND_SNAPSHOT}"""

# (name, seq) -> the checksum of an update
CHECKSUM: Final = f"""
    SELECT CAST(checksum AS BLOB) FROM updates WHERE room = {ROOM_ID} AND seq = ?2 AND seq > {_BEGINNING}"""
