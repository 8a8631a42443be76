"""One connection of the load: what it sends, what it has, and what it still lacks."""

import time
from array import array
from collections.abc import Callable
from typing import Final

from benchmarks.peers.dialects import ACK, EDITS, PING, PRESENCE, STEP1, STEP2, Dialect, Message
from benchmarks.peers.edits import EMPTY, Range, announced, typed
from benchmarks.peers.frames import Stream, masked
from benchmarks.peers.tally import Ranges, Tally
from comity.crdt_types.varint import write_uint

# All connections of a room receive the same bytes: they are read once, and forgotten when there are too many of them.
_KNOWN: dict[bytes, Message] = {}
_KNOWN_LIMIT: Final = 20_000


class Client:
    """A connection to a room under a Yjs client id of its own.

    Args:
        port: the server's port.
        dialect: how the server is spoken to.
        room: the room.
        number: its Yjs client id.
        tally: what it counts into.
        watch: called when its stream has something to flush.
    """

    def __init__(
        self, port: int, dialect: Dialect, room: str, number: int, tally: Tally, watch: Callable[["Client"], None]
    ) -> None:
        self.room = room
        self.id = number
        self.is_synced = False
        self.has: dict[int, int] = {}  # of each other client the edits received
        self.received = 0  # edits of others
        self.wanted = -1  # how many of those make its document whole
        self.whole_at = 0.0  # when it was
        self.made = 0  # edits sent
        self.made_at = array("d")  # when each was sent
        self.updates = 0  # document updates sent, empty ones included
        self.window = 0  # how many edits may be on their way, if it sends as fast as they arrive
        self.reports_to: Client | None = None  # whose window is refilled when this one receives its edits
        self.is_paced_by_acks = False
        self.durable_at = array("d")  # when each edit was acknowledged
        self.began = time.perf_counter()
        self.synced_at = 0.0
        self.stream = Stream(port, dialect.path(room), dialect.subprotocol)
        self._tally = tally
        self._watch = watch
        self._dialect = dialect
        self._encoded = write_uint(number)
        self._early: list[Range] = []  # edits that build on some that have not come
        self._frames = b""  # prepared edits, one after another
        self._ends = [0]  # where in them each ends
        self._prepared = 0  # the clock of the first of them

    # Sending ---------------------------------------------------------------------------------------------------------

    def prepare(self, edits: int) -> None:
        """Make the frames of the next edits."""
        dialect, room, client = self._dialect, self.room, self._encoded
        self._prepared = self.made
        frames = [masked(dialect.update(room, typed(client, clock))) for clock in range(self.made, self.made + edits)]
        ends = [0]
        for frame in frames:
            ends.append(ends[-1] + len(frame))
        self._frames, self._ends = b"".join(frames), ends

    def edit(self, edits: int = 1) -> None:
        """Send the next edits, each in a message of its own. Raises OSError."""
        first = self.made - self._prepared
        if first + edits >= len(self._ends):
            self.prepare(max(edits, 1000))
            first = 0
        self.made += edits
        self.updates += edits
        self._tally.made += edits
        self.made_at.extend([time.perf_counter()] * edits)
        self._write(self._frames[self._ends[first] : self._ends[first + edits]])

    def announce(self) -> None:
        """Send the next state of its presence. Raises OSError."""
        frame = masked(self._dialect.presence(self.room, announced(self._encoded, self.made)))
        self.made += 1
        self._tally.made += 1
        self.made_at.append(time.perf_counter())
        self._write(frame)

    def send_update(self, update: bytes) -> None:
        """Send an update that was made elsewhere. Raises OSError."""
        self.updates += 1
        self._write(masked(self._dialect.update(self.room, update)))

    def refill(self, delivered: int) -> None:
        """Send as many edits as the window has space for, now that so many were delivered. Raises OSError."""
        space = delivered + self.window - self.made
        if space > 0:
            self.edit(space)

    def _write(self, frames: bytes) -> None:
        stream = self.stream
        stream.write(frames)
        if stream.is_waiting:
            self._watch(self)

    # Receiving -------------------------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Take what came in. Raises LoadError, OSError."""
        was_open = self.stream.is_open
        payloads = self.stream.read()
        if not was_open and self.stream.is_open:
            self._write(b"".join(masked(message) for message in self._dialect.hello(self.room)))
        now = time.perf_counter()
        for payload in payloads:
            message = _KNOWN.get(payload)
            if message is None:
                message = self._understand(payload)
            if message.kind == EDITS:
                self._take(message, now)
            elif message.kind == PRESENCE:
                self._take_presence(message, now)
            else:
                self._take_rest(message, now)

    def _understand(self, payload: bytes) -> Message:
        if len(_KNOWN) > _KNOWN_LIMIT:
            _KNOWN.clear()
        message = _KNOWN[payload] = self._dialect.read(payload)
        return message

    def _take(self, message: Message, now: float) -> None:
        has, own, target = self.has, self.id, self.reports_to
        fresh = 0
        begun = {}
        for each in message.ranges:
            author, start, end = each
            if author == own:
                continue
            have = has.get(author, 0)
            if start != have:
                begun[each] = min(have, end) if start < have else self._put_aside(each)
                start = begun[each]
                if start == end:
                    continue
            fresh += end - start
            has[author] = end
            if target is not None and author == target.id:
                target.refill(end)
        if fresh:
            self._count(fresh, now, _rest(message.ranges, begun) if begun else message.ranges)
            if self._early:
                self._take_early(now)

    def _put_aside(self, early: Range) -> int:
        """Keep edits that build on others for when those have come, and return where what can be taken begins."""
        self._early.append(early)
        return early.end

    def _take_early(self, now: float) -> None:
        early, self._early = self._early, []
        self._take(Message(EDITS, tuple(early)), now)

    def _count(self, fresh: int, now: float, ranges: Ranges) -> None:
        tally = self._tally
        tally.delivered += fresh
        if tally.arrivals is not None:
            tally.arrivals.note(now, self.id, ranges)
        self.received += fresh
        if self.received == self.wanted:
            self.whole_at = now

    def _take_presence(self, message: Message, now: float) -> None:
        has, own = self.has, self.id
        fresh = []
        for each in message.ranges:
            author, _, clock = each
            if author != own and has.get(author, 0) < clock:
                has[author] = clock
                fresh.append(each)
        if fresh:
            whole = len(fresh) == len(message.ranges)
            self._count(len(fresh), now, message.ranges if whole else tuple(fresh))

    def _take_rest(self, message: Message, now: float) -> None:
        if message.kind == STEP2:
            self._take(message, now)
            self._sync(now)
        elif message.kind == ACK:
            self._acknowledge(message.n, now)
        elif message.kind == STEP1:
            self.updates += 1
            self._write(masked(self._dialect.answer(self.room, EMPTY)))
        elif message.kind == PING:
            self._write(masked(self._dialect.pong(self.room)))

    def _sync(self, now: float) -> None:
        if not self.is_synced:
            self.is_synced = True
            self.synced_at = now
            self._tally.synced += 1

    def _acknowledge(self, n: int, now: float) -> None:
        durable = n - (self.updates - self.made)  # what was sent before the first edit was empty
        self.durable_at.extend([now] * (durable - len(self.durable_at)))
        if self.is_paced_by_acks:
            self.refill(durable)


def _rest(ranges: Ranges, begun: dict[Range, int]) -> Ranges:
    return tuple(Range(each.client, begun.get(each, each.start), each.end) for each in ranges)
