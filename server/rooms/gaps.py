"""Finds out whether a document already holds everything that an update brings.

The engine keeps what it cannot place yet aside, in memory and in silence; such an update is neither in the document
nor in the log, and must not be acknowledged.
"""

from bisect import bisect_right
from operator import itemgetter

import pycrdt

from comity.crdt_types.update import read_state_vector
from comity.crdt_types.varint import read_uint


def lacks(update: bytes, state: bytes) -> bool:
    """Tell whether parts of an update that was applied are still waiting for others.

    Args:
        update: the update, version 1.
        state: the document's state vector after it.
    """
    rest = pycrdt.get_update(update, state)
    structs, at = read_uint(rest, 0)
    if structs:
        return True
    deleted = _deleted_ends(rest, at)
    if not deleted:
        return False
    known = read_state_vector(state)
    return any(end > known.get(client, 0) for client, end in deleted.items())


def holds(update: bytes, state: bytes, deletions: bytes) -> bool:
    """Tell whether a document has everything of an update that was not applied to it.

    Args:
        update: the update, version 1.
        state: the document's state vector.
        deletions: the document's own update from that state on, which is what was ever deleted in it.
    """
    rest = pycrdt.get_update(update, state)
    structs, at = read_uint(rest, 0)
    if structs:
        return False
    _, begin = read_uint(deletions, 0)
    ours = {client: _joined(ranges) for client, ranges in _deleted_ranges(deletions, begin).items()}
    return all(
        _covers(ours.get(client, []), start, end)
        for client, ranges in _deleted_ranges(rest, at).items()
        for start, end in ranges
    )


def _deleted_ends(data: bytes, at: int) -> dict[int, int]:
    """Return the highest clock after a deleted range, per client, of the delete set at a position."""
    return {client: max(end for _, end in ranges) for client, ranges in _deleted_ranges(data, at).items() if ranges}


def _deleted_ranges(data: bytes, at: int) -> dict[int, list[tuple[int, int]]]:
    """Return the first clock and the one after the last of each deleted range, of the delete set at a position."""
    clients, at = read_uint(data, at)
    deleted: dict[int, list[tuple[int, int]]] = {}
    for _ in range(clients):
        client, at = read_uint(data, at)
        count, at = read_uint(data, at)
        ranges = deleted.setdefault(client, [])
        for _ in range(count):
            clock, at = read_uint(data, at)
            length, at = read_uint(data, at)
            ranges.append((clock, clock + length))
    return deleted


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges in order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _covers(joined: list[tuple[int, int]], start: int, end: int) -> bool:
    at = bisect_right(joined, start, key=itemgetter(0))
    return at > 0 and end <= joined[at - 1][1]
