"""The SQL of the SQLite store: checkpoints, what is noted of rooms, and what is left of erased ones."""

from typing import Final

from .queries import IS_KEPT, ROOM_ID, VISIBLE

# The tables whose rows belong to a room.
OF_ROOMS: Final = ("updates", "snapshots", "heads", "beginnings", "checkpoints", "attributes")

# Several texts in one checksum: that of the checksums of pairs; with the room's name as ?1.
_PAIR: Final = "comity_checksum({0}, 0, CAST({1} AS BLOB), 0, x'')"
_PLACE: Final = _PAIR.format("CAST(?1 AS BLOB)", "{0}")
_CHECKPOINT_SUM: Final = (
    f"comity_checksum({_PLACE}, {{1}}, CAST({{2}} AS BLOB), {{3}}, " + _PAIR.format("CAST({4} AS BLOB)", "{5}") + ")"
)
_CHECKPOINT: Final = ("name", "seq", "author", "at", "kind", "note")
SOUND_CHECKPOINT: Final = f"checksum IS {_CHECKPOINT_SUM.format(*_CHECKPOINT)}"

_ATTRIBUTE_SUM: Final = f"comity_checksum({_PLACE}, 0, x'', 0, CAST({{1}} AS BLOB))"
SOUND_ATTRIBUTE: Final = f"checksum IS {_ATTRIBUTE_SUM.format('key', 'value')}"

_TOMBSTONE_SUM: Final = "comity_checksum(CAST({0} AS BLOB), 0, CAST({1} AS BLOB), {2}, CAST({3} AS BLOB))"
SOUND_TOMBSTONE: Final = f"checksum IS {_TOMBSTONE_SUM.format('room', 'lineage', 'at', 'state_vector')}"

# (room name, name, seq, kind, author, at, note); adds nothing when the state as of seq cannot be seen any more
ADD_CHECKPOINT: Final = f"""
    INSERT INTO checkpoints (room, name, seq, kind, author, at, note, checksum)
    SELECT {ROOM_ID}, ?2, ?3, ?4, ?5, ?6, ?7, {_CHECKPOINT_SUM.format("?2", "?3", "?5", "?6", "?4", "?7")}
    WHERE EXISTS ({IS_KEPT.replace("?2", "?3")})
    ON CONFLICT (room, name) DO NOTHING"""

# (room name, name, seq, kind, author, at, note)
REPLACE_CHECKPOINT: Final = f"""
    UPDATE checkpoints SET seq = ?3, kind = ?4, author = ?5, at = ?6, note = ?7,
        checksum = {_CHECKPOINT_SUM.format("?2", "?3", "?5", "?6", "?4", "?7")}
    WHERE room = {ROOM_ID} AND name = ?2 AND EXISTS ({IS_KEPT.replace("?2", "?3")})"""

# (room name) -> the fields of `Checkpoint`, text as bytes, and whether they are sound
CHECKPOINTS: Final = f"""
    SELECT CAST(name AS BLOB), CAST(seq AS INTEGER), CAST(kind AS BLOB), CAST(author AS BLOB), CAST(at AS INTEGER),
        CAST(note AS BLOB), {SOUND_CHECKPOINT}
    FROM checkpoints WHERE room = {ROOM_ID} ORDER BY seq, at, name"""

# (room name, name)
DROP_CHECKPOINT: Final = f"DELETE FROM checkpoints WHERE room = {ROOM_ID} AND name = ?2"

# (room name, key, value)
NOTE: Final = f"""
    INSERT INTO attributes (room, key, checksum, value)
    VALUES ({ROOM_ID}, ?2, {_ATTRIBUTE_SUM.format("?2", "?3")}, ?3)
    ON CONFLICT (room, key) DO UPDATE SET checksum = excluded.checksum, value = excluded.value"""

# (room name, key)
FORGET: Final = f"DELETE FROM attributes WHERE room = {ROOM_ID} AND key = ?2"

# (room name) -> key as bytes, value, sound; by their index, and without it
_ATTRIBUTES: Final = f"""
    SELECT CAST(key AS BLOB), CAST(value AS BLOB), {SOUND_ATTRIBUTE}
    FROM attributes {{}} WHERE room = {ROOM_ID} ORDER BY key"""
ATTRIBUTES: Final = _ATTRIBUTES.format("")
ATTRIBUTES_SCANNED: Final = _ATTRIBUTES.format("NOT INDEXED")

# (key) -> the names of the rooms that it is noted of
ATTRIBUTED: Final = f"""
    SELECT rooms.name FROM attributes JOIN rooms ON rooms.id = attributes.room
    WHERE key = ?1 AND {VISIBLE} ORDER BY rooms.name"""

# (room, lineage, at, state vector)
BURY: Final = f"""
    INSERT INTO tombstones (room, lineage, at, state_vector, checksum)
    VALUES (?1, ?2, ?3, ?4, {_TOMBSTONE_SUM.format("?1", "?2", "?3", "?4")})
    ON CONFLICT (room, lineage) DO NOTHING"""

# (room, state vector, at): of a room that there is
BURY_ROOM: Final = f"""
    INSERT INTO tombstones (room, lineage, at, state_vector, checksum)
    SELECT name, lineage, ?3, ?2, {_TOMBSTONE_SUM.format("name", "lineage", "?3", "?2")}
    FROM rooms WHERE name = ?1
    ON CONFLICT (room, lineage) DO NOTHING"""

# -> the fields of `Tombstone`, text as bytes, and whether they are sound
_TOMBSTONES: Final = f"""
    SELECT CAST(room AS BLOB), CAST(lineage AS BLOB), CAST(at AS INTEGER), CAST(state_vector AS BLOB),
        {SOUND_TOMBSTONE} FROM tombstones"""
TOMBSTONES: Final = f"{_TOMBSTONES} ORDER BY id"

# (room) -> the same of one name
TOMBSTONES_OF: Final = f"{_TOMBSTONES} WHERE room = ?1 ORDER BY id"

# (name) -> how many updates, snapshots and checkpoints there are, and their bytes
CONTENTS: Final = """
    SELECT (SELECT count(*) FROM updates WHERE room = rooms.id),
        (SELECT count(*) FROM snapshots WHERE room = rooms.id),
        (SELECT count(*) FROM checkpoints WHERE room = rooms.id),
        (SELECT coalesce(sum(length("update")), 0) FROM updates WHERE room = rooms.id)
        + (SELECT coalesce(sum(length(state)), 0) FROM snapshots WHERE room = rooms.id)
    FROM rooms WHERE name = ?1"""

# Of a room being erased; no flipped bit makes it of a name, which is UTF-8.
_HIDDEN: Final = "CAST(x'ff' || id AS BLOB)"

# (name): from now on nobody finds the room, and its name is free
HIDE: Final = f"UPDATE rooms SET name = {_HIDDEN} WHERE name = ?1"

# -> the ids of rooms that are hidden
IS_HIDDEN: Final = f"name = {_HIDDEN}"
HIDDEN: Final = f"SELECT id FROM rooms WHERE {IS_HIDDEN}"

# (room id, limit): some of its updates
PURGE_SOME: Final = "DELETE FROM updates WHERE id IN (SELECT id FROM updates WHERE room = ?1 LIMIT ?2)"

# (room id): everything else, the room itself last
PURGE_REST: Final = (
    "DELETE FROM snapshots WHERE room = ?1",
    "DELETE FROM checkpoints WHERE room = ?1",
    "DELETE FROM attributes WHERE room = ?1",
    "DELETE FROM heads WHERE room = ?1",
    "DELETE FROM beginnings WHERE room = ?1",
    "DELETE FROM rooms WHERE id = ?1",
)
