"""The size of real conversations as typed state, and what its bytes are spent on.

Run ``python -m benchmarks.conversations``, with ../shared/data/airline-conversations.json.gz beside the repository, or
name another file of the kind. Three parties write each conversation as a model streams it: every message, argument
and result is overwritten token by token. Sizes are ratios to the live values as compact JSON.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Final, NamedTuple

from benchmarks.rows import markdown
from comity.crdt_types import StateDocument
from comity.crdt_types.document.entry import REGISTER, Entry
from comity.crdt_types.document.values import pack
from tests.support.conversations import (
    AGENT,
    PlainScribe,
    Spoken,
    TypedScribe,
    live_json,
    read_conversations,
    replay,
    spoken_in,
    streamed,
)
from tests.support.optional import REAL_DATA

RECORDED: Final = "as recorded"
BARE: Final = "without the system message"


class Spent(NamedTuple):
    """What the bytes of a document are spent on.

    Attributes:
        values: the values as msgpack.
        paths: the paths of the fields, which stand in each entry.
        stamps: the stamps and steps.
        heads: what else an entry takes as msgpack.
        rows: the entries that say which rows there are, and the headers of the lanes.
        yjs: the Yjs items that the entries lie in: client ids, clocks, origins, lengths.
        deleted: the ranges of what was deleted.
    """

    values: int
    paths: int
    stamps: int
    heads: int
    rows: int
    yjs: int
    deleted: int


class Measured(NamedTuple):
    """What one conversation came to.

    Attributes:
        writes: how often something was overwritten.
        live: the bytes of its live JSON.
        plain: those of the plain document.
        typed: those of the typed one.
        spent: what these are spent on.
    """

    writes: int
    live: int
    plain: int
    typed: int
    spent: Spent


def main() -> None:
    """Measure every conversation and print what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=REAL_DATA / "airline-conversations.json.gz")
    conversations = read_conversations(parser.parse_args().file)
    whole = [measured(messages) for messages in conversations]
    bare = [measured([spoken for spoken in messages if spoken["role"] != "system"]) for messages in conversations]
    print(f"{len(whole)} conversations, {sum(each.writes for each in whole):,} writes\n")
    lines = [*_ratios(RECORDED, whole), *_ratios(BARE, bare)]
    print(markdown(("conversations", "document", "mean", "greatest"), lines), "\n")
    shares = zip(Spent._fields, _shares(whole), _shares(bare), strict=True)
    print(markdown(("mean bytes for each byte of live JSON", RECORDED, BARE), shares))


def measured(messages: list[Spoken]) -> Measured:
    """Replay one conversation, typed and plain, and measure it.

    Raises: AssertionError, if what is read in the end is not what was recorded.
    """
    writes = list(streamed(messages))
    state = replay(writes, TypedScribe)[AGENT].state
    assert list(spoken_in(state)) == messages
    plain = replay(writes, PlainScribe)[AGENT].ydoc.get_update()
    typed = state.document.update_since()
    live = len(live_json(state))
    return Measured(len(writes), live, len(plain), len(typed), spent(state.document))


def spent(document: StateDocument) -> Spent:
    """Tell what the bytes of a document are spent on."""
    entries = list(_entries(document))
    registers = [entry for entry in entries if entry.kind == REGISTER]
    written = sum(len(entry.raw) for entry in registers)
    values = sum(len(pack(entry.value)) for entry in registers)
    paths = sum(len(entry.field.encode()) for entry in registers)
    stamps = sum(map(_stamp, registers))
    rows = sum(len(entry.raw) for entry in entries) - written
    deleted = len(document.update_since(document.state_vector()))  # which has no insertions in it
    yjs = len(document.update_since()) - deleted - rows - written
    return Spent(values, paths, stamps, written - values - paths - stamps, rows, yjs, deleted)


def _stamp(entry: Entry) -> int:
    step = entry.stamp - entry.ancestor
    return len(pack(entry.stamp)) + (len(pack(step)) if entry.ancestor else 0)


def _entries(document: StateDocument) -> Iterator[Entry]:
    for lane in document.lanes.mirrors.values():
        for segment in lane.segments:
            yield from segment.entries


def _ratios(what: str, conversations: list[Measured]) -> Iterator[tuple[str, ...]]:
    for document, sizes in (
        ("Comity", [each.typed / each.live for each in conversations]),
        ("Y.Map", [each.plain / each.live for each in conversations]),
    ):
        yield what, document, f"{mean(sizes):.3f}", f"{max(sizes):.3f}"


def _shares(conversations: list[Measured]) -> Iterator[str]:
    """Yield what each of the parts comes to in the mean."""
    for at in range(len(Spent._fields)):
        yield f"{mean(each.spent[at] / each.live for each in conversations):.3f}"


if __name__ == "__main__":
    main()
