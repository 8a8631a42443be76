"""What a Hocuspocus provider is owed: it counts down to none only when all is saved, whatever comes in what order."""

import tracemalloc
from collections import deque

from hypothesis import example, given
from hypothesis import strategies as st

from comity.crdt_types.varint import write_uint
from comity.crdt_types.wire import STEP1, STEP2, UPDATE, document_update, encode_sync
from comity.server.hocuspocus.dues import MAX_STATE_VECTOR, Backlog, Dues

ME = 7
NOTHING = b"\0\0"
REMOVAL = b"\0\x01\x07\x01\x00\x01"


def insertion(clock: int) -> bytes:
    """Return as much of an update as is looked at: one thing inserted at a clock."""
    return b"\x01\x01" + write_uint(ME) + write_uint(clock) + b"..."


def vector(clock: int) -> bytes:
    return write_uint(1) + write_uint(ME) + write_uint(clock) if clock else b"\0"


class Provider:
    """What @hocuspocus/provider 4.8 counts and sends, and the half of the server that gives it what it is owed.

    Edits are numbered; each message up carries its frame and the edits in it.
    """

    def __init__(self, *, batches: bool) -> None:
        self.batches = batches  # its option flushDelay
        self.batch: list[tuple[int | None, int]] = []  # the clock and the number of each edit that waits for others
        self.unsaved = 0
        self.is_open = False
        self.clock = 0
        self.edits = 0
        self.is_uncounted = False  # whether it has a batch from before it began to count, which others may still join
        self.uncounted: set[int] = set()
        self.has_ambiguous = False
        self.queue: deque[tuple[bytes, set[int]]] = deque()
        self.up: deque[tuple[bytes, set[int]]] = deque()
        self.down: deque[str] = deque()
        self.has_heard = False
        self.has_answered = False
        self.backlog = Backlog()
        self.dues = Dues(self.backlog)
        self.received: list[set[int]] = []
        self.committed = 0
        self.durable: set[int] = set()

    # The provider.

    def open(self) -> None:
        """The socket opens: the provider begins to count, and asks."""
        if not self.is_open:
            if self.is_batch_of_unknown_age():
                self.flush()
            self.is_open = True
            self.begin()
            self.backlog.begin()
            self.down.append("authenticated")

    def begin(self) -> None:
        """It syncs, at first or because it is told to; what is owed from before then would count as the new count's."""
        if self.is_open and not self.is_anything_owed() and not self.is_batch_of_unknown_age():
            self.unsaved = 1
            self.is_uncounted = bool(self.batch)
            self.up.append((encode_sync(STEP1, vector(self.clock)), set()))

    def is_anything_owed(self) -> bool:
        is_sent = any(document_update(frame) is not None for frame, _ in self.up)
        return is_sent or self.committed < len(self.received) or "saved" in self.down

    def is_batch_of_unknown_age(self) -> bool:
        """Tell whether what waits begins with a deletion: the server cannot tell since when."""
        return bool(self.batch) and self.batch[0][0] is None

    def insert(self) -> None:
        self._edit(self.clock)
        self.clock += 1

    def delete(self) -> None:
        self.has_ambiguous = self.has_ambiguous or (self.is_open and not self.has_answered)
        self._edit(None)

    def flush(self) -> None:
        """Send what waits, as one update."""
        if self.batch:
            clocks = [clock for clock, _ in self.batch if clock is not None]
            update = insertion(clocks[0]) if clocks else REMOVAL
            edits = {number for _, number in self.batch}
            (self.up if self.is_open else self.queue).append((encode_sync(UPDATE, update), edits))
            self.batch.clear()
            self.is_uncounted = False

    def hear(self) -> None:
        """Take one message of the server: the first has it send what it could not before."""
        if not self.down:
            return
        if not self.has_heard:
            self.has_heard = True
            self.up.extend(self.queue)
            self.queue.clear()
        said = self.down.popleft()
        if said == "step 1":
            self.has_answered = True
            self.up.append((encode_sync(STEP2, NOTHING), set(range(self.edits))))
        elif said == "saved":
            self.unsaved = max(0, self.unsaved - 1)

    def _edit(self, clock: int | None) -> None:
        self.unsaved += not self.batch
        self.batch.append((clock, self.edits))
        if self.is_uncounted:
            self.uncounted.add(self.edits)
        self.edits += 1
        if not self.batches:
            self.flush()

    # The server.

    def receive(self) -> None:
        """Take one message of the provider."""
        if not self.up:
            return
        frame, edits = self.up.popleft()
        if document_update(frame) is not None:
            self.dues.count(frame)
            self.received.append(edits)
            return
        self.dues.begin()
        self.dues.know(frame[3:])
        self.dues.request()
        self.down.append("step 1")

    def commit(self) -> None:
        """Put one more update on disk, and say so if that is owed."""
        if self.committed < len(self.received):
            self.durable |= self.received[self.committed]
            self.committed += 1
            if self.dues.owes(self.committed):
                self.down.append("saved")
            self.dues.settle(self.committed)

    def check(self) -> None:
        if self.is_open and not self.unsaved:
            assert set(range(self.edits)) - self.uncounted <= self.durable


SYNCED = ["receive", "hear", "hear", "receive", "commit", "hear"]


@example(["insert"], [*SYNCED, "flush", "insert", "flush", "receive", "commit", "hear"], True)
@given(
    st.lists(st.sampled_from(["insert", "delete", "flush"]), max_size=4),
    st.lists(st.sampled_from(["insert", "insert", "delete", "flush", "begin", "hear", "receive", "commit", "commit"])),
    st.booleans(),
)
def test_dues_count_down_to_none_when_all_is_saved_and_not_before(
    before: list[str], after: list[str], batches: bool
) -> None:
    provider = Provider(batches=batches)
    for step in [*before, "open", *after]:
        getattr(provider, step)()
        provider.check()
    provider.flush()
    while provider.up or provider.down or provider.committed < len(provider.received):
        provider.receive()
        provider.commit()
        provider.hear()
        provider.check()
    assert provider.durable == set(range(provider.edits))
    if not provider.has_ambiguous:  # a deletion of that moment may be from before as well, and is not answered for
        assert provider.unsaved == 0


def test_dues_of_a_provider_with_too_many_clients_are_those_of_its_sync_alone() -> None:
    dues = Dues(Backlog())
    dues.begin()
    dues.know(write_uint(2**20) + bytes(MAX_STATE_VECTOR))
    dues.request()
    dues.count(encode_sync(UPDATE, insertion(5)))
    dues.count(encode_sync(STEP2, NOTHING))
    assert not dues.owes(1)
    dues.settle(1)
    assert dues.owes(2)
    dues.count(encode_sync(UPDATE, insertion(6)))
    dues.settle(2)
    assert dues.owes(3)


def test_dues_for_an_answer_that_nobody_asked_for_are_none() -> None:
    dues = Dues(Backlog())
    dues.request()  # for what an update builds on: not the provider's sync
    dues.count(encode_sync(STEP2, NOTHING))
    dues.count(encode_sync(STEP2, NOTHING))
    assert not dues.owes(1)
    dues.settle(1)
    assert not dues.owes(2)


def test_dues_of_a_provider_that_asks_and_never_answers_take_no_memory() -> None:
    dues, asked = Dues(Backlog()), 3000
    tracemalloc.start()
    try:
        for _ in range(asked):
            dues.begin()
            dues.request()
        assert tracemalloc.get_traced_memory()[0] < 4096  # some bytes for each of them would be more
    finally:
        tracemalloc.stop()
    for _ in range(asked):
        dues.count(encode_sync(STEP2, NOTHING))
    assert not dues.owes(1)
    dues.settle(asked - 1)
    assert dues.owes(asked)  # what answers the last one
