-- What history needs beside the log: where each log begins and ends, checkpoints, notes about rooms, and what is left of erased ones.

-- Without it, damage that hides the last rows of a log could not be told from a log that ends there.
CREATE TABLE heads (
    room INTEGER PRIMARY KEY REFERENCES rooms (id),
    seq INTEGER NOT NULL,
    at INTEGER, -- of the last update
    checksum BLOB NOT NULL
);

INSERT INTO heads (room, seq, at, checksum)
SELECT room, seq, at, comity_checksum(x'', seq, x'', room, CAST(at AS BLOB))
FROM (SELECT room, max(seq) AS seq, at FROM updates GROUP BY room);

-- A log begins where a snapshot ends. It began anywhere before; what lies before the first snapshot then is no use.
DELETE FROM updates WHERE id IN (
    SELECT old.id FROM updates AS old
    JOIN (SELECT room, min(seq) AS seq FROM updates GROUP BY room HAVING min(seq) > 1) AS first ON first.room = old.room
    JOIN (SELECT room, min(seq) AS seq FROM snapshots GROUP BY room) AS base ON base.room = old.room
    WHERE old.seq <= base.seq AND first.seq <> base.seq + 1
);

-- After which update a log begins, where that is not the first. What still lies before it is being deleted. Without it,
-- damage that hides the first rows of a log could not be told from a log that begins later.
CREATE TABLE beginnings (
    room INTEGER PRIMARY KEY REFERENCES rooms (id),
    seq INTEGER NOT NULL,
    checksum BLOB NOT NULL
);

INSERT INTO beginnings (room, seq, checksum)
SELECT room, seq, comity_checksum(x'', seq, CAST('beginning' AS BLOB), room, x'')
FROM (SELECT room, min(seq) - 1 AS seq FROM updates GROUP BY room) AS first
WHERE EXISTS (SELECT 1 FROM snapshots WHERE snapshots.room = first.room AND snapshots.seq = first.seq);

CREATE TABLE checkpoints (
    id INTEGER PRIMARY KEY,
    room INTEGER NOT NULL REFERENCES rooms (id),
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    author TEXT NOT NULL,
    at INTEGER NOT NULL,
    note TEXT NOT NULL,
    checksum BLOB NOT NULL,
    UNIQUE (room, name)
);

CREATE TABLE attributes (
    id INTEGER PRIMARY KEY,
    room INTEGER NOT NULL REFERENCES rooms (id),
    key TEXT NOT NULL,
    checksum BLOB NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (room, key)
);

-- By name, not by id: the room is gone.
CREATE TABLE tombstones (
    id INTEGER PRIMARY KEY,
    room TEXT NOT NULL,
    lineage TEXT NOT NULL,
    at INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    state_vector BLOB NOT NULL,
    UNIQUE (room, lineage)
);
