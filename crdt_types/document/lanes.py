"""Lanes: where every writer session keeps its entries inside a Yjs document.

The layout is that of docs/state-format.md: root map "lanes", client id -> lane; a lane is an array of segments, a
segment an array of entries. Only a lane's writer appends to it; anyone may delete an entry.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from .clock import HybridClock
from .entry import OPAQUE, Entry, header_entry, read_entry
from .index import Index
from .ydoc import RawArray, RawArrayEvent, Transaction, item_id

LANES: Final = "lanes"
# Live entries in a segment. Bounds the cost of a position: neighbouring deleted ones melt into one, so that a segment
# is at most twice as long as it is live. An overwrite takes 7 to 12 us at any number of live entries.
SEGMENT_SIZE: Final = 256
MAX_CLIENT: Final = 2**53 - 1  # Yjs client ids are JavaScript's integers


class Segment:
    """The live entries of one segment, position by position as in its array.

    Attributes:
        array: the Yjs array; None where something else lies in its place.
    """

    __slots__ = ("array", "entries")

    def __init__(self, array: Any) -> None:
        self.array = array
        self.entries: list[Entry] = []

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be appended for now."""
        return len(self.entries) >= SEGMENT_SIZE or self.array is None


class Lane:
    """The segments of one writer session, position by position as in its array."""

    __slots__ = ("array", "client", "segments")

    def __init__(self, client: int, array: Any) -> None:
        self.client = client
        self.array = array
        self.segments: list[Segment] = []


class Lanes:
    """Mirrors the lanes of a Yjs document into an index, and writes this session's own.

    Args:
        root: the Yjs map of lanes, as pycrdt's Python layer wraps it.
        client: this session's client id.
        agent: the name that the header of this session's lane shall bear.
        index: the index to feed.
        clock: the clock that shall pass every stamp seen.
    """

    def __init__(self, root: Any, client: int, agent: str, index: Index, clock: HybridClock) -> None:
        self.mirrors: dict[str, Lane] = {}
        self._root = root
        self._client = client
        self._key = str(client)
        self._agent = agent
        self._index = index
        self._clock = clock
        self._header: Entry | None = None
        self._spent: list[Segment] = []
        self._gone: list[Entry] = []  # entries that a transaction under way took away, and brought
        self._fresh: list[Entry] = []

    # Following --------------------------------------------------------------------------------------------------

    def read_all(self, txn: Transaction) -> None:
        """Read every lane anew into an index that is empty."""
        self.mirrors.clear()
        self._spent.clear()
        for key in self._root.keys(txn):
            self._read_lane(key, self._root.get(txn, key), txn)
        self._tell_index()
        self.find_header()

    def find_header(self) -> None:
        """Go on with the header that this session has already, if it has one."""
        self._header = next(iter(self._index.headers.get(self._client, ())), None)

    def integrate(self, events: Sequence[Any]) -> None:
        """Follow what a transaction that is not ours did to the lanes."""
        paths = [(event.path, event) for event in events]
        if len(paths) > 1:
            paths.sort(key=lambda found: len(found[0]))
        new: set[int] = set()  # segments read whole in this transaction; their own events would repeat it
        for path, event in paths:
            if not path:
                self._lanes_changed(event, new)
            elif type(event) is RawArrayEvent and (lane := self.mirrors.get(path[0])) is not None:
                if len(path) == 1:
                    self._segments_changed(lane, event, new)
                elif len(path) == 2 and id(segment := lane.segments[path[1]]) not in new:
                    self._entries_changed(lane, segment, event)
        self._tell_index()

    def _tell_index(self) -> None:
        gone, fresh, self._gone, self._fresh = self._gone, self._fresh, [], []
        self._index.exchange(gone, fresh)

    def _lanes_changed(self, event: Any, new: set[int]) -> None:
        for key, change in event.keys.items():
            self._forget_lane(key)
            if change["action"] != "delete":
                self._read_lane(key, change["newValue"], event.transaction)
                if key in self.mirrors:
                    new.update(map(id, self.mirrors[key].segments))

    def _segments_changed(self, lane: Lane, event: Any, new: set[int]) -> None:
        for at, gone, items in _splices(event.delta):
            for segment in lane.segments[at : at + gone]:
                self._drop(segment.entries)
            fresh = [self._read_segment(lane, item, event.transaction) for item in items]
            new.update(map(id, fresh))
            lane.segments[at : at + gone] = fresh

    def _entries_changed(self, lane: Lane, segment: Segment, event: Any) -> None:
        entries = segment.entries
        at = 0
        for op in event.delta:  # not through _splices: this is the way of every remote edit
            if "retain" in op:
                at += int(op["retain"])
            elif "delete" in op:
                for _ in range(int(op["delete"])):
                    self._gone.append(entry := entries.pop(at))
                    entry.segment = None
            else:
                for item in op["insert"]:
                    entries.insert(at, self._enter(item, lane, segment))
                    at += 1
        if not entries and lane.client == self._client:
            self._spent.append(segment)

    def _read_lane(self, key: str, array: Any, txn: Transaction) -> None:
        client = _client_of(key)
        if client is None or type(array) is not RawArray:
            return
        lane = self.mirrors[key] = Lane(client, array)
        lane.segments = [self._read_segment(lane, array.get(txn, at), txn) for at in range(array.len(txn))]

    def _read_segment(self, lane: Lane, array: Any, txn: Transaction) -> Segment:
        if type(array) is not RawArray:
            return Segment(None)
        segment = Segment(array)
        segment.entries = [self._enter(array.get(txn, at), lane, segment) for at in range(array.len(txn))]
        return segment

    def _enter(self, item: Any, lane: Lane, segment: Segment) -> Entry:
        if type(item) is bytearray or type(item) is bytes:
            entry = read_entry(bytes(item), lane.client)
        else:
            entry = Entry(OPAQUE, "", None, 0, None, b"", lane.client)
        entry.segment = segment
        if entry.stamp > self._clock.last:
            self._clock.observe(entry.stamp)
        self._fresh.append(entry)
        return entry

    def _forget_lane(self, key: str) -> None:
        lane = self.mirrors.pop(key, None)
        for segment in lane.segments if lane else ():
            self._drop(segment.entries)

    def _drop(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._gone.append(entry)
            entry.segment = None

    def ids(self, entries: Iterable[Entry], txn: Transaction) -> list[tuple[int, int]]:
        """Return the Yjs ids of live entries, each a client and a clock."""
        places: dict[Segment, dict[Entry, int]] = {}
        found = []
        for entry in entries:
            segment: Segment = entry.segment
            if segment not in places:
                places[segment] = {each: at for at, each in enumerate(segment.entries)}
            found.append(item_id(segment.array, places[segment][entry], txn))
        return found

    # Writing ----------------------------------------------------------------------------------------------------

    def write(self, doomed: list[Entry], fresh: Iterable[Entry], txn: Transaction) -> None:
        """Delete and append entries; the index has them already, since the edits were seen when they were made."""
        lane = self._own(txn)
        self._delete(doomed, txn)
        for entry in fresh:
            self._append(lane, entry, txn)
        if self._spent:
            self._retire_segments(lane, txn)

    def sign(self, txn: Transaction, *, anew: bool) -> None:
        """Make sure that this session's header is there.

        Args:
            txn: the transaction.
            anew: append it anew, so that an update that inserts nothing else names its author.
        """
        before = self._header
        lane = self._own(txn)
        if anew and before is not None and before is self._header:
            self._index.drop(before)
            self._delete([before], txn)
            self._append_header(lane, txn)
        if self._spent:
            self._retire_segments(lane, txn)

    def _own(self, txn: Transaction) -> Lane:
        """Return this session's lane with its header, of which somebody may have deleted either."""
        lane = self.mirrors.get(self._key)
        if lane is None:
            lane = self.mirrors[self._key] = Lane(self._client, self._root.insert_array_prelim(txn, self._key))
        if self._header is None or self._header.segment is None:
            self._append_header(lane, txn)
        return lane

    def _append_header(self, lane: Lane, txn: Transaction) -> None:
        self._header = header_entry(self._agent, self._client)
        self._index.add(self._header)
        self._append(lane, self._header, txn)

    def _append(self, lane: Lane, entry: Entry, txn: Transaction) -> None:
        segments = lane.segments
        if not segments or segments[-1].is_full:
            segments.append(Segment(lane.array.insert_array_prelim(txn, len(segments))))
        segment = segments[-1]
        segment.array.insert(txn, len(segment.entries), entry.raw)
        segment.entries.append(entry)
        entry.segment = segment

    def _delete(self, doomed: list[Entry], txn: Transaction) -> None:
        """Delete entries; those that follow each other in their segment, too, in one go."""
        n = 0
        while n < len(doomed):
            segment: Segment = doomed[n].segment
            entries = segment.entries
            at = end = entries.index(doomed[n])
            while n < len(doomed) and end < len(entries) and entries[end] is doomed[n]:
                doomed[n].segment = None
                end += 1
                n += 1
            segment.array.remove_range(txn, at, end - at)
            del entries[at:end]
            if not entries and doomed[n - 1].client == self._client:
                self._spent.append(segment)

    def _retire_segments(self, lane: Lane, txn: Transaction) -> None:
        """Delete our own segments that are empty, but for the last; nobody else may, we could be appending to it."""
        spent, self._spent = self._spent, []
        for segment in spent:
            if not segment.entries and segment in lane.segments[:-1]:
                at = lane.segments.index(segment)
                lane.array.remove_range(txn, at, 1)
                del lane.segments[at]


def _client_of(key: str) -> int | None:
    """Return the client id that a lane's key states, or None if it is none: then the lane is not read."""
    if not (key.isascii() and key.isdecimal() and (key == "0" or key[0] != "0")):
        return None
    client = int(key) if len(key) <= len(str(MAX_CLIENT)) else MAX_CLIENT + 1
    return client if client <= MAX_CLIENT else None


def _splices(delta: Any) -> Iterator[tuple[int, int, list[Any]]]:
    """Turn a Yjs delta into splices (position, how many go, what comes), each in terms of the list as it then is."""
    at = 0
    for op in delta:
        if "retain" in op:
            at += int(op["retain"])
        elif "delete" in op:
            yield at, int(op["delete"]), []
        else:
            yield at, 0, op["insert"]
            at += len(op["insert"])
