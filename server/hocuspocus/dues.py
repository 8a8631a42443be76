"""How many SyncStatus messages a provider is owed, so that it counts its unsaved changes down to none just in time.

A provider begins to count anew with each sync step 1 of its own: one for the sync, which the SyncStatus of its step 2
takes off again, and one more for every update that it sends from then on. At none it says that all is saved. But it
also sends updates that it does not count: those from before the step 1, which waited for the socket to open or, with
``flushDelay``, for others. A SyncStatus for one of these would count as that of another, which may not be on disk yet.
The step 2 brings everything from before, so its SyncStatus speaks for them.

Source: HocuspocusProvider.ts and HocuspocusProviderWebsocket.ts of @hocuspocus/provider 4.8.
"""

from collections import deque
from typing import Final

from comity.crdt_types.hocuspocus import first_clock
from comity.crdt_types.structs import MAX_CLOCK
from comity.crdt_types.update import EMPTY_STATE_VECTOR, read_state_vector
from comity.crdt_types.wire import STEP2, document_update

# Ten thousand clients' worth. Who has more is told of its sync, and of no update before.
MAX_STATE_VECTOR: Final = 64 * 1024
# Some six hundred clients' worth, for as long as a provider that only reads is there.
MAX_KEPT: Final = 4 * 1024


class Backlog:
    """What the providers of a socket wrote before it was open: they send it when the server's first message comes."""

    def __init__(self) -> None:
        self._has_begun = False
        self._has_ended = False

    @property
    def may_come(self) -> bool:
        """Whether an update that comes now may be from before."""
        return self._has_begun and not self._has_ended

    def begin(self) -> None:
        """Note that the server sends something."""
        self._has_begun = True

    def end(self) -> None:
        """Note that a provider answered: what was waiting came before that."""
        self._has_ended = True


class Dues:
    """Which updates of one document on a socket a SyncStatus is owed for.

    Args:
        backlog: that of the socket.
    """

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._owed: deque[bool] = deque()  # for each update, from the first that is not settled
        self._settled = 0
        self._begun = 0  # the last update from before the provider began to count
        self._requested = 0  # how many step 1 of ours went out
        self._answered = 0  # and how many of them were answered
        self._counted_request = 0  # the number of the one whose answer the provider counts
        self._owes_request = False
        self._known = EMPTY_STATE_VECTOR  # what the provider had when it began to count
        self._clocks: dict[int, int] | None = None  # the same, while it is needed
        self._clock_else = 0
        self._has_answered = False  # since then

    @property
    def settled(self) -> int:
        """The number of the last update that was answered for."""
        return self._settled

    def begin(self) -> None:
        """Note that the provider counts anew: nothing from before is owed any more."""
        self._begun = self._settled + len(self._owed)
        self._counted_request = 0
        self._owes_request = True
        self._has_answered = False

    def know(self, state_vector: bytes) -> None:
        """Take note of what the provider had when it began to count: a state vector that was vetted."""
        self._clocks = None
        self._clock_else = MAX_CLOCK if len(state_vector) > MAX_STATE_VECTOR else 0
        self._known = EMPTY_STATE_VECTOR if self._clock_else else state_vector

    def request(self) -> None:
        """Note that a step 1 goes out, which the provider answers with a step 2."""
        self._requested += 1
        if self._owes_request:
            self._owes_request = False
            self._counted_request = self._requested

    def count(self, frame: bytes) -> None:
        """Count a step 2 or an update that came, if it is one. Raises ProtocolError, if it is malformed."""
        update = document_update(frame)
        if update is None:
            return
        if frame[1] == STEP2:
            self._owed.append(self._is_counted_answer())
        else:
            self._owed.append(self._is_counted(update))

    def owes(self, n: int) -> bool:
        """Tell whether the n-th update, the next to be settled, is owed a message."""
        return n > max(self._settled, self._begun) and self._owed[n - self._settled - 1]

    def settle(self, n: int) -> None:
        """Note that the updates up to the n-th are answered for."""
        while self._settled < n:
            self._owed.popleft()
            self._settled += 1

    def _is_counted_answer(self) -> bool:
        self._backlog.end()
        if self._answered == self._requested:
            return False
        self._answered += 1
        is_counted = self._answered == self._counted_request
        if is_counted:
            self._has_answered = True
            self._clocks = None
            self._clock_else = 0
            if len(self._known) > MAX_KEPT:
                self._known = EMPTY_STATE_VECTOR
        return is_counted

    def _is_counted(self, update: bytes) -> bool:
        place = first_clock(update)
        if place is None:  # it only deletes, and does not say when
            return not self._backlog.may_come
        if self._clocks is None:
            self._clocks = read_state_vector(self._known)
        client, clock = place
        is_counted = clock >= self._clocks.get(client, self._clock_else)
        if self._has_answered:
            self._clocks = None
            if is_counted:
                self._known = EMPTY_STATE_VECTOR  # what is sent from now on is from after that
        return is_counted
