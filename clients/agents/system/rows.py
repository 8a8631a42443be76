"""Rows that begin when they are first needed."""

from typing import TypeVar

from comity.crdt_types import Map, State

S = TypeVar("S", bound=State)


def row_of(rows: Map[S], key: str, kind: type[S]) -> S:
    """Return a row, which is begun if there is none.

    Args:
        rows: the rows.
        key: the row's key.
        kind: the rows' class.
    """
    if key not in rows:
        rows[key] = kind()
    return rows[key]
