"""Redaction: takes what some clients wrote out of Yjs updates, and leaves everybody else's history valid.

A struct of theirs that carries content becomes one that only says "deleted", at the same place and of the same length.
So whatever others wrote beside it still finds its place, every clock stays, and the engines (yrs, Yjs) take it for
what they themselves leave of deleted content. To a replica that has the content already, a redacted update by itself
says nothing new. It drops the content once it syncs with a document that was made of redacted updates, or takes in
the `erasure`.

What stays, because what others wrote rests on it:

- The types that they made, since others may have written inside, with the names of XML elements: editors throw away
  an element that they do not know with all that is in it, and a replica that has it would go on reading the old name.
- The names of roots and the keys of maps. An entry of a map supersedes another one by its key.
- The attribute's name where a format ends. Without that end, what others wrote after it would be formatted, too.
- Their client ids, and how much they wrote when, counted in clocks.

What they had deleted or overwritten stays deleted. What others copied from them is the others', also where the others'
programs did so: an undo that brings something back, a migration, and editors, which state a format anew behind what
is inserted in its middle.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from .structs import CONTENT, DELETED, FORMAT, GC, SKIP, TYPE, Struct, skip_bytes, structs_of
from .varint import write_uint

_EMPTY: Final = frozenset({GC, SKIP, DELETED, TYPE})  # kinds in which nothing is written
_ENDING: Final = b"\x04null"  # the value of a format that ends there


def redacted(update: bytes, clients: Collection[int]) -> bytes:
    """Return an update without what some clients wrote; the same bytes if there is nothing of that in it.

    Args:
        update: a Yjs update, version 1: a record of a log or a whole state.
        clients: their Yjs client ids.

    Raises: ProtocolError, if it is not an update.
    """
    pieces: list[bytes] = []
    copied = 0
    for _client, _clock, length, _kind, begin, content, end in _written(update, clients):
        info = update[begin] & ~CONTENT | DELETED
        pieces += (update[copied:begin], bytes((info,)), update[begin + 1 : content], write_uint(length))
        copied = end
    return b"".join((*pieces, update[copied:]))


def erasure(update: bytes, clients: Collection[int]) -> bytes:
    """Return the update that deletes what some clients wrote, from any document that has it.

    It inserts nothing. A document that has taken it in holds what it would hold if it had been made of redacted
    updates.

    Args:
        update: a Yjs update, version 1, with all that is to go: mostly the whole state of a document.
        clients: their Yjs client ids.

    Raises: ProtocolError, if it is not an update.
    """
    ranges: dict[int, list[tuple[int, int]]] = {}
    for struct in _written(update, clients):
        of_client = ranges.setdefault(struct.client, [])
        clock, length = struct.clock, struct.length
        if of_client and sum(of_client[-1]) == clock:
            clock, before = of_client.pop()
            length += before
        of_client.append((clock, length))
    return b"\x00" + _deletes(ranges)


def _written(update: bytes, clients: Collection[int]) -> Iterator[Struct]:
    """Yield what clients wrote, in order, and check the whole update on the way."""
    return (struct for struct in structs_of(update) if struct.client in clients and _tells_something(update, struct))


def _tells_something(data: bytes, struct: Struct) -> bool:
    is_ending = struct.kind == FORMAT and data[skip_bytes(data, struct.content) : struct.end] == _ENDING
    return struct.kind not in _EMPTY and not is_ending


def _deletes(ranges: Mapping[int, Sequence[tuple[int, int]]]) -> bytes:
    """Encode a set of deletions: clocks and lengths by client."""
    pieces = [write_uint(len(ranges))]
    for client, of_client in ranges.items():
        pieces += (write_uint(client), write_uint(len(of_client)))
        pieces += (write_uint(number) for place in of_client for number in place)
    return b"".join(pieces)
