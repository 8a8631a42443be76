"""Who is in a room, and what they are doing: the awareness of its clients, held in memory only.

Stock providers send on what they hear, so the same entry comes in many times over and from many connections. A client
belongs to the connection that announced it first; what others say about it is passed over, except for a newer
connection of the same name with a higher clock: a client that came back before its old connection was known to be gone.
When its connection goes, it goes, and what is still said about it afterwards is known to be old by its clock.

Source: awareness.js of y-protocols, for what the clocks mean.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from comity.crdt_types.errors import TooLargeError
from comity.crdt_types.wire import Presence, encode_awareness

# Clients that left, remembered for their last clock; an echo comes within seconds, so a busy hour's worth is plenty.
MAX_GONE: Final = 4096


class Owner:
    """A connection as the presence of a room knows it.

    ``since`` orders it among everything that came and went; ``name`` is whose it is, "" if that is not known.
    """

    __slots__ = ("clients", "name", "since")

    def __init__(self, since: int, name: str) -> None:
        self.since = since
        self.name = name
        self.clients: set[int] = set()


class _Held(NamedTuple):
    entry: Presence
    owner: Owner


class _Gone(NamedTuple):
    clock: int
    at: int


class Roster:
    """The presence of one room.

    Args:
        max_bytes: largest state of one client, in bytes.
        max_entries: clients that one connection may announce.
    """

    def __init__(self, *, max_bytes: int, max_entries: int) -> None:
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._held: dict[int, _Held] = {}
        self._gone: OrderedDict[int, _Gone] = OrderedDict()
        self._dirty: set[int] = set()
        self._moment = 0

    @property
    def count(self) -> int:
        """How many clients are here."""
        return len(self._held)

    def arrive(self, name: str = "") -> Owner:
        """Return the owner that stands for a new connection; ``name`` is whose it is, "" if that is not known."""
        self._moment += 1
        return Owner(self._moment, name)

    def leave(self, owner: Owner) -> None:
        """Remove every client of a connection that went."""
        for client in tuple(owner.clients):
            self._remove(client, self._held[client].entry.clock)

    def update(self, owner: Owner, entries: Iterable[Presence]) -> None:
        """Take what a connection says about its own clients, and nothing else.

        Raises: TooLargeError, if a state is too large or there are too many.
        """
        for entry in entries:
            held = self._held.get(entry.client)
            if held is not None:
                self._replace(held, owner, entry)
            elif entry.state is not None and self._is_new(owner, entry):
                self._take(owner, entry)

    def take_dirty(self) -> set[int]:
        """Return the clients that changed since this was last asked."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def frame(self, clients: Iterable[int]) -> bytes | None:
        """Return the awareness frame with the latest of some clients, None if nothing is known of any."""
        entries = [entry for client in clients if (entry := self._latest(client)) is not None]
        return encode_awareness(entries) if entries else None

    def full_frame(self) -> bytes | None:
        """Return the awareness frame with every client, None if there is none."""
        return self.frame(self._held)

    def _replace(self, held: _Held, owner: Owner, entry: Presence) -> None:
        if held.owner is not owner:
            if _succeeds(held, owner, entry):
                self._take(owner, entry)
                held.owner.clients.discard(entry.client)
            return
        if entry.state is None and entry.clock >= held.entry.clock:
            self._remove(entry.client, entry.clock)
        elif entry.clock > held.entry.clock:
            self._take(owner, entry)

    def _is_new(self, owner: Owner, entry: Presence) -> bool:
        gone = self._gone.get(entry.client)
        if gone is None or entry.clock > gone.clock:
            return True
        # A provider that reconnects announces itself with the clock that it had. Whoever connected after the client
        # went was never told of it, so this is no echo.
        return entry.clock == gone.clock and owner.since > gone.at

    def _take(self, owner: Owner, entry: Presence) -> None:
        if len((entry.state or "").encode()) > self._max_bytes:
            raise TooLargeError(
                f"a presence of more than {self._max_bytes} bytes",
                subject=f"client {entry.client}",
                limit="presence_bytes",
            )
        if entry.client not in owner.clients and len(owner.clients) >= self._max_entries:
            raise TooLargeError(
                f"presence of more than {self._max_entries} clients", subject="connection", limit="presence_entries"
            )
        owner.clients.add(entry.client)
        self._held[entry.client] = _Held(entry, owner)
        self._gone.pop(entry.client, None)
        self._dirty.add(entry.client)

    def _remove(self, client: int, clock: int) -> None:
        self._moment += 1
        self._held.pop(client).owner.clients.discard(client)
        self._gone[client] = _Gone(clock, self._moment)
        if len(self._gone) > MAX_GONE:
            self._gone.popitem(last=False)
        self._dirty.add(client)

    def _latest(self, client: int) -> Presence | None:
        held = self._held.get(client)
        if held is not None:
            return held.entry
        gone = self._gone.get(client)
        return None if gone is None else Presence(client, gone.clock, None)


def _succeeds(held: _Held, owner: Owner, entry: Presence) -> bool:
    """Tell whether a client that another connection announced has come back on this one."""
    before = held.owner
    is_same = owner.name != "" and owner.name == before.name and owner.since > before.since
    return is_same and entry.state is not None and entry.clock > held.entry.clock
