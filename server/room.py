"""A room: one document, those who are connected to it, and the one way in and out for every edit."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pycrdt

from comity.crdt_types.errors import ComityError, EngineError, OverloadError, ProtocolError
from comity.crdt_types.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from comity.crdt_types.wire import STEP2, UPDATE, Presence, encode_sync
from comity.persistence.compaction import due

from .archive import Archive, now
from .document import Document, is_engine_failure, restore
from .member import Arrival, Member
from .presence import Roster
from .sockets import Packet
from .turn import Turn
from .vetting import Section

logger = logging.getLogger(__name__)

# Twenty times a second looks immediate to people, and makes the work of n clients' cursors n, not n squared, per tick.
PRESENCE_INTERVAL: Final = 0.05


@dataclass(slots=True)
class Contents:
    """What a room consists of: its document, and how much of it lies where in the store."""

    lineage: str
    document: Document
    seq: int = 0  # of the last update applied
    is_stored: bool = False  # whether the store knows the room
    snapshot_bytes: int = 0
    tail_bytes: int = 0  # of the updates since the snapshot
    tail_updates: int = 0


class Room:
    """A room that is loaded. Everything here runs in the event loop, which is its one writer.

    All updates that arrive in one turn of the loop are merged, journaled, encoded and sent out once. What the document
    emits is journaled, not what came in, so duplicates vanish and the log is the document's history.

    Args:
        name: the room's name.
        contents: what it starts from.
        archive: where its updates go.
        roster: its presence.
        spawn: runs a coroutine that outlives the caller.
        on_due: called when a snapshot is due.
    """

    def __init__(
        self,
        name: str,
        contents: Contents,
        archive: Archive,
        roster: Roster,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_due: Callable[["Room"], None],
    ) -> None:
        self.name: Final = name
        self.contents: Final = contents
        self.roster: Final = roster
        self.failure: ComityError | None = None
        self.updated: int | None = None  # when its last update was committed, in ms since the Unix epoch
        self._archive = archive
        self._spawn = spawn
        self._on_due = on_due
        self._committed = contents.seq
        self._members: dict[Member, None] = {}
        self._inbox: deque[Arrival] = deque()
        self._is_scheduled = False
        self._holders: dict[Member, None] = {}  # members with updates that wait for others
        self._is_littered = False  # the document holds such updates of nobody here
        self._sound = asyncio.Event()
        self._sound.set()
        self._creating = asyncio.Lock()
        self._whole: Packet | None = None  # everything, until the next change
        self._presence_timer: asyncio.TimerHandle | None = None
        self._presence_sent = 0.0

    @property
    def lineage(self) -> str:
        """The id of the room's history."""
        return self.contents.lineage

    @property
    def seq(self) -> int:
        """The number of the last update applied."""
        return self.contents.seq

    @property
    def connections(self) -> int:
        """How many are connected."""
        return len(self._members)

    @property
    def members(self) -> tuple[Member, ...]:
        """Those who are connected."""
        return tuple(self._members)

    @property
    def is_idle(self) -> bool:
        """Whether nobody is connected and nothing is under way."""
        return not (self._members or self._inbox or self._is_scheduled or self._committed < self.seq) and (
            self._sound.is_set() or self.failure is not None
        )

    def join(self, member: Member) -> None:
        """Let a connection hear everything from now on."""
        self._members[member] = None

    def leave(self, member: Member) -> None:
        """Forget a connection; what it sent before still counts."""
        member.has_left = True
        self._members.pop(member, None)
        self.roster.leave(member.owner)
        self._tell_presence_soon()
        if member in self._holders:
            del self._holders[member]
            self._is_littered = True
            self._schedule()

    async def ensure_stored(self) -> None:
        """Give the room its place in the store; called before its first update, so that looking leaves no trace."""
        async with self._creating:
            if not self.contents.is_stored:
                await self._archive.create(self.name, self.lineage)
                self.contents.is_stored = True

    def receive(self, member: Member, update: bytes, sections: tuple[Section, ...]) -> None:
        """Take a document update of a connection, and what `vet` found in it; it is applied within this turn."""
        self._inbox.append(Arrival(member, member.count(), update, sections))
        if not self._is_scheduled:
            self._schedule()

    def announce(self, member: Member, entries: Iterable[Presence]) -> None:
        """Take what a connection says about its presence. Raises TooLargeError."""
        self.roster.update(member.owner, entries)
        self._tell_presence_soon()

    def state_vector(self) -> bytes:
        """Return the state vector of what is applied."""
        return self.contents.document.state_vector()

    def diff(self, state_vector: bytes) -> bytes:
        """Return the update from a state vector to what is applied. Raises ProtocolError."""
        return self.contents.document.diff(state_vector)

    def sync(self, state_vector: bytes) -> Packet:
        """Return the frame that answers a sync step 1; everyone who has nothing yet is sent the same one.

        Raises: ProtocolError, if that is no state vector.
        """
        if state_vector != EMPTY_STATE_VECTOR:
            return Packet(encode_sync(STEP2, self.diff(state_vector)))
        if self._whole is None:
            self._whole = Packet(encode_sync(STEP2, self.contents.document.state()))
        return self._whole

    def presence(self, clients: Iterable[int]) -> bytes | None:
        """Return the awareness frame of some clients as they are now."""
        return self.roster.frame(clients)

    async def sound(self) -> None:
        """Wait until the document can be read."""
        await self._sound.wait()

    async def committed(self) -> None:
        """Wait until everything applied so far is on disk. Raises StorageError."""
        await self._archive.flush()

    def fail(self, error: ComityError) -> None:
        """End the room: everyone is sent away, and it is loaded anew for whoever comes next."""
        self.failure = error
        self._inbox.clear()
        for member in self.members:
            member.fail(error)

    def _schedule(self) -> None:
        if self._sound.is_set() and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._is_scheduled = False
        turn = Turn(is_mixed=bool(self._holders) or self._is_littered)
        try:
            self._apply_turn(turn)
            self._journal(turn)
        except BaseException as error:
            self._fail_turn(turn)
            if not is_engine_failure(error):
                raise
            logger.exception("a turn of room %r failed", self.name)

    def _apply_turn(self, turn: Turn) -> None:
        try:
            self._apply_inbox(turn)
            is_new = self._is_littered
            if is_new:
                self._tidy()
            if self._holders and (turn.changes or is_new):
                self._place_held(turn)
        except (EngineError, ProtocolError):
            self._discard_document()

    def _fail_turn(self, turn: Turn) -> None:
        """Forget what a turn changed, which is not in the log, and end those whose next ack would cover it."""
        for member in {*turn.counts, *turn.sources, *(arrival.member for arrival in self._inbox)}:
            member.fail(self._mistake())
        self._discard_document()

    def _mistake(self) -> ComityError:
        return ComityError("the server made a mistake", subject=f"room {self.name!r}", remedy="see its log")

    def _apply_inbox(self, turn: Turn) -> None:
        while self._inbox:
            arrival = self._inbox[0]
            if not arrival.member.has_failed:
                self._apply_next(turn, arrival)
            self._inbox.popleft()

    def _apply_next(self, turn: Turn, arrival: Arrival) -> None:
        member = arrival.member
        try:
            if arrival.update != EMPTY_UPDATE and not self._apply(turn, arrival):
                self._hold(arrival)
            turn.counts[member] = arrival.n
        except ProtocolError as error:
            member.fail(error)
        except EngineError as error:
            member.fail(ProtocolError(error.what, subject=error.subject))
            raise

    def _apply(self, turn: Turn, arrival: Arrival) -> bool:
        """Apply an update if it continues what is here; tell whether all of it is in the document then."""
        member, _, update, sections = arrival
        document = self.contents.document
        if not document.admits(sections):
            return False
        change = document.apply(update)
        if change is not None:
            turn.changes.append(change)
            turn.sources.add(member)
        if change != update and document.lacks(update):
            self._is_littered = self._is_littered or member.has_left
            return False
        document.note(sections)
        return True

    def _hold(self, arrival: Arrival) -> None:
        member = arrival.member
        if not member.has_left:
            self._holders[member] = None
            member.hold(arrival, self.state_vector())

    def _place_held(self, turn: Turn) -> None:
        turn.is_mixed = True
        # What finds its place may be what another waits for, whatever the order they came in: a pass for each, at most.
        for _ in range(sum(len(member.held()) for member in self._holders)):
            if not self._place_some(turn):
                return

    def _place_some(self, turn: Turn) -> bool:
        """Apply again what is held; tell whether any of it has found its place."""
        before = len(turn.placed), len(turn.changes)
        for member in tuple(self._holders):
            for arrival in member.held():
                # The engine may leave aside what came early until it comes again.
                if self._apply(turn, arrival):
                    member.place(arrival.n)
                    turn.placed.append((member, arrival.n))
                    turn.sources.add(member)
            if not member.held():
                del self._holders[member]
        return (len(turn.placed), len(turn.changes)) != before

    def _tidy(self) -> None:
        """Make the document anew without what waits in it for nobody: each such update slows every later one."""
        self._is_littered = False
        self.contents.document = Document([self.contents.document.state()])

    def _journal(self, turn: Turn) -> None:
        if turn.changes:
            self._whole = None
            changes = turn.changes
            update = changes[0] if len(changes) == 1 else pycrdt.merge_updates(*changes)
            seq = self.seq + 1
            self._archive.append(self.name, seq, update, turn.author, partial(self._tell, turn, update, seq))
            self.contents.seq = seq
            self.contents.tail_bytes += len(update)
            self.contents.tail_updates += 1
        elif turn.counts or turn.placed:
            self._archive.barrier(partial(self._settle, turn))

    def _tell(self, turn: Turn, update: bytes, seq: int) -> None:
        packet = Packet(encode_sync(UPDATE, update))
        sole = turn.sole_source
        for member in self._members:
            if member is not sole:
                member.outbox.put_update(packet, seq)
        self._settle(turn)
        self._committed = seq
        self.updated = now()
        if due(self.contents.tail_bytes, self.contents.snapshot_bytes):
            self._on_due(self)

    def _settle(self, turn: Turn) -> None:
        for member, n in turn.placed:
            member.release(n)
            member.settle(n)
        for member, n in turn.counts.items():
            member.settle(n)

    def _discard_document(self) -> None:
        """Load the document anew: what the engine left behind when it failed must not be touched again."""
        is_loading = not self._sound.is_set()
        self._sound.clear()
        self._whole = None
        self._is_littered = False
        self.contents.document = Document()  # tells no lies to those who read it meanwhile
        for member in self._holders:
            member.fail(OverloadError("the room is being loaded anew", subject=f"room {self.name!r}"))
        self._holders.clear()
        if not is_loading:
            self._spawn(self._reload())

    async def _reload(self) -> None:
        try:
            await self._archive.flush()
            loaded = await self._archive.load(self.name)
            self.contents.document = Document() if loaded is None else restore(self.name, loaded)
        except ComityError as error:
            self.fail(error)
        except Exception:
            logger.exception("room %r cannot be loaded anew", self.name)
            self.fail(self._mistake())
        self._sound.set()
        self._schedule()

    def _tell_presence_soon(self) -> None:
        if self._presence_timer is None:
            loop = asyncio.get_running_loop()
            self._presence_timer = loop.call_at(self._presence_sent + PRESENCE_INTERVAL, self._tell_presence)

    def _tell_presence(self) -> None:
        self._presence_timer = None
        self._presence_sent = asyncio.get_running_loop().time()
        clients = self.roster.take_dirty()
        frame = self.roster.frame(clients)
        if frame is not None:
            packet = Packet(frame)
            for member in self._members:
                member.outbox.put_presence(packet, clients)
