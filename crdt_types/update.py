"""Reads of Yjs updates (version 1) that need no document."""

from typing import Final

from .errors import ProtocolError
from .varint import read_uint, write_uint

EMPTY_UPDATE: Final = b"\x00\x00"  # no inserts, no deletes
EMPTY_STATE_VECTOR: Final = b"\x00"  # of a document that has seen nothing


def holds_no_inserts(update: bytes) -> bool:
    """Tell whether an update holds deletions at most."""
    return update[:1] == b"\x00"


def sole_client(update: bytes) -> int | None:
    """Return the client whose inserts an update holds, or None where it holds none, or those of several.

    Source: the update format of Yjs, version 1: a varUint number of clients, then for each client its number of
    structs, its id and a clock.
    """
    try:
        clients, at = read_uint(update, 0)
        if clients != 1:
            return None
        _structs, at = read_uint(update, at)
        client, at = read_uint(update, at)
    except ProtocolError:
        return None
    return client


def read_state_vector(state: bytes) -> dict[int, int]:
    """Return how many clocks of each client a state vector covers. Raises ProtocolError."""
    count, at = read_uint(state, 0)
    clocks = {}
    for _ in range(count):
        client, at = read_uint(state, at)
        clocks[client], at = read_uint(state, at)
    return clocks


def state_vector_beyond(state: bytes, other: bytes) -> bytes:
    """Return of a state vector the clients of which it covers more than another one. Raises ProtocolError."""
    known = read_state_vector(other)
    beyond = {client: clock for client, clock in read_state_vector(state).items() if clock > known.get(client, 0)}
    return write_uint(len(beyond)) + b"".join(
        write_uint(number) for client_and_clock in beyond.items() for number in client_and_clock
    )
