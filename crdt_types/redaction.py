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

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from .document.statedocument import StateDocument
from .errors import ProtocolError
from .structs import (
    CONTENT,
    DELETED,
    FORMAT,
    GC,
    MAX_CLOCK,
    PAST_END,
    SKIP,
    TYPE,
    bad_length,
    check_rest,
    read_content,
    read_head,
    skip_bytes,
    skip_place,
)
from .varint import read_uint, write_uint

_EMPTY: Final = frozenset({DELETED, TYPE})  # contents in which nothing is written
_ENDING: Final = b"\x04null"  # the value of a format that ends there


class _Struct(NamedTuple):
    """A struct that carries content: whose it is, and where in the update it, its content and its end lie."""

    client: int
    clock: int
    length: int
    begin: int
    content: int
    end: int


def redacted(update: bytes, clients: Collection[int]) -> bytes:
    """Return an update without what some clients wrote; the same bytes if there is nothing of that in it.

    Args:
        update: a Yjs update, version 1: a record of a log or a whole state.
        clients: their Yjs client ids.

    Raises: ProtocolError, if it is not an update.
    """
    pieces: list[bytes] = []
    copied = 0
    for _client, _clock, length, begin, content, end in _written(update, clients):
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


def agents_clients(document: StateDocument, agent: str) -> set[int]:
    """Return the Yjs client ids of an agent's sessions: those whose lanes have a header that names it.

    A session without a header is nobody's: those of other Yjs editors, and those that were erased.
    """
    return {client for client in document.index.headers if document.index.author(client) == agent}


def erase_author(document: StateDocument, clients: Collection[int]) -> None:
    """Delete what some clients wrote from a document: the entries of their lanes, headers too, and all in other roots.

    It is one transaction, and nobody's edit: its commit is not `local`. During a typed transaction it waits for its
    end. A session that is still there writes another header with its next edit.

    Args:
        document: the document.
        clients: their Yjs client ids.

    Raises: TransactionError, inside a transaction or observer of the Yjs document itself.
    """
    document.apply(erasure(document.update_since(), clients))


def _written(update: bytes, clients: Collection[int]) -> Iterator[_Struct]:
    """Yield what clients wrote, in order, and check the whole update on the way."""
    try:
        sections, at = read_uint(update, 0)
        for _ in range(sections):
            at = yield from _written_in_section(update, at, clients)
        check_rest(update, at)
    except PAST_END:
        raise ProtocolError("the update ends early", subject="update") from None


def _written_in_section(data: bytes, at: int, clients: Collection[int]) -> Generator[_Struct, None, int]:
    structs, client, clock, at = read_head(data, at)
    is_theirs = client in clients
    for _ in range(structs):
        begin, info = at, data[at]
        if info in (GC, SKIP):
            length, at = read_uint(data, at + 1)
        else:
            content = skip_place(data, at + 1, info)
            length, at = read_content(data, content, info & CONTENT)
            if is_theirs and _tells_something(data, info & CONTENT, content, at):
                yield _Struct(client, clock, length, begin, content, at)
        clock += length
        if clock > MAX_CLOCK or not length:
            raise bad_length(length)
    return at


def _tells_something(data: bytes, content: int, start: int, end: int) -> bool:
    is_ending = content == FORMAT and data[skip_bytes(data, start) : end] == _ENDING
    return content not in _EMPTY and not is_ending


def _deletes(ranges: Mapping[int, Sequence[tuple[int, int]]]) -> bytes:
    """Encode a set of deletions: clocks and lengths by client."""
    pieces = [write_uint(len(ranges))]
    for client, of_client in ranges.items():
        pieces += (write_uint(client), write_uint(len(of_client)))
        pieces += (write_uint(number) for place in of_client for number in place)
    return b"".join(pieces)
