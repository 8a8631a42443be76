"""Finds out whether a document already holds everything that an update brings.

The engine keeps what it cannot place yet aside, in memory and in silence; such an update is neither in the document
nor in the log, and must not be acknowledged.
"""

import pycrdt

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


def read_state_vector(state: bytes) -> dict[int, int]:
    """Return the clock of every client in a state vector."""
    count, at = read_uint(state, 0)
    clocks = {}
    for _ in range(count):
        client, at = read_uint(state, at)
        clocks[client], at = read_uint(state, at)
    return clocks


def _deleted_ends(data: bytes, at: int) -> dict[int, int]:
    """Return the highest clock after a deleted range, per client, of the delete set at a position."""
    clients, at = read_uint(data, at)
    ends: dict[int, int] = {}
    for _ in range(clients):
        client, at = read_uint(data, at)
        ranges, at = read_uint(data, at)
        for _ in range(ranges):
            clock, at = read_uint(data, at)
            length, at = read_uint(data, at)
            ends[client] = max(ends.get(client, 0), clock + length)
    return ends
