-- The update log and the snapshots.
--
-- Rowid tables, not WITHOUT ROWID: rows of all rooms are appended at the end of one tree. Measured with 1,000 rooms
-- written in turns, keyed by (room, seq) instead: 3.5 to 7 times the time per row, and twice the file for rows of 2 KB,
-- which an index page cannot hold. Blobs come last, so that reading the small columns follows no overflow pages.

CREATE TABLE rooms (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    lineage TEXT NOT NULL,
    created INTEGER NOT NULL,
    checksum BLOB NOT NULL
);

CREATE TABLE updates (
    id INTEGER PRIMARY KEY,
    room INTEGER NOT NULL REFERENCES rooms (id),
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    author TEXT NOT NULL,
    "update" BLOB NOT NULL,
    UNIQUE (room, seq)
);

CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY,
    room INTEGER NOT NULL REFERENCES rooms (id),
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    state BLOB NOT NULL,
    UNIQUE (room, seq)
);
