"""The update log, snapshots and history: bytes and integers in, bytes and integers out."""
