"""A room: one document, those who are connected to it, and the one way in and out for every edit."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any, Final

import pycrdt

from comity.crdt_types.errors import ComityError, EngineError, OverloadError, ProtocolError, StorageError, mistake
from comity.crdt_types.update import EMPTY_STATE_VECTOR
from comity.crdt_types.wire import STEP2, UPDATE, Presence, encode_sync

from ..monitoring.tally import Tally
from ..transport.sockets import Packet
from .archive import Archive, now
from .contents import Contents
from .deciding import Decision
from .document import Document, is_engine_failure
from .gaps import holds
from .intake import Intake
from .loading import load
from .member import Arrival, Member
from .presence import Roster
from .rounds import Rounds
from .turn import Change, Turn
from .vetting import Section

logger = logging.getLogger(__name__)


class Room:
    """A room that is loaded. Everything here runs in the event loop, which is its one writer.

    All updates that arrive between two commits are merged, journaled, encoded and sent out once. What the document
    emits is journaled, not what came in, so duplicates vanish and the log is the document's history.

    Args:
        name: the room's name.
        contents: what it starts from.
        archive: where its updates go.
        roster: its presence.
        tally: where it counts what happens.
        spawn: runs a coroutine that outlives the caller.
        on_told: called after what was committed in one turn has been told.
    """

    def __init__(
        self,
        name: str,
        contents: Contents,
        archive: Archive,
        roster: Roster,
        tally: Tally,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_told: Callable[["Room"], None],
    ) -> None:
        self.name: Final = name
        self.contents: Final = contents
        self.roster: Final = roster
        self.tally: Final = tally
        self.failure: ComityError | None = None
        self.updated: int | None = None  # when its last update was committed, in ms since the Unix epoch
        self._archive = archive
        self._spawn = spawn
        self._on_told = on_told
        self._committed = contents.seq
        self._members: dict[Member, None] = {}
        self._intake = Intake(contents, tally)
        self._is_scheduled = False
        self._sound = asyncio.Event()
        self._sound.set()
        self._creating = asyncio.Lock()
        self._whole: Packet | None = None  # everything, until the next change
        self._rounds = Rounds(roster, self._members, tally)

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
    def waiting(self) -> int:
        """How many updates wait for others that they build on."""
        return self._intake.waiting

    @property
    def arriving(self) -> int:
        """How many bytes of updates came and are not applied yet."""
        return self._intake.size

    @property
    def refusal(self) -> StorageError | None:
        """Why nothing new is taken in now, None if it is."""
        return self.contents.damage or self._archive.failed

    @property
    def is_committed(self) -> bool:
        """Whether everything applied is on disk."""
        return self._committed == self.seq

    @property
    def is_idle(self) -> bool:
        """Whether nobody is connected and nothing is under way."""
        return not (self._members or self._intake or self._is_scheduled or not self.is_committed) and (
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
        self._rounds.soon()
        if self._intake.forget(member):
            self._schedule()

    async def ensure_stored(self) -> None:
        """Give the room its place in the store; called before its first update, so that looking leaves no trace."""
        async with self._creating:
            if not self.contents.is_stored:
                await self._archive.create(self.name, self.lineage)
                self.contents.is_stored = True

    def receive(self, member: Member, update: bytes, sections: tuple[Section, ...]) -> None:
        """Take a document update of a connection, and what `vet` found in it; it is applied in the next turn."""
        self._take_in(Arrival(member, member.count(), update, sections))

    def decide(self, member: Member, update: bytes, sections: tuple[Section, ...], decision: Decision) -> None:
        """Take an update that is applied only if what it relies on holds when its turn comes."""
        self._take_in(Arrival(member, 0, update, sections, decision))

    def _take_in(self, arrival: Arrival) -> None:
        update = arrival.update
        self._intake.add(arrival)
        self.contents.volume.bound += len(update)
        self._archive.expect(len(update))
        if not self._is_scheduled:
            self._schedule()

    def announce(self, member: Member, entries: Iterable[Presence]) -> None:
        """Take what a connection says about its presence. Raises TooLargeError."""
        self.tally.presence_received += 1
        self.roster.update(member.owner, entries)
        self._rounds.soon()

    def measure(self) -> None:
        """Look how large the document is, unless that was done a moment ago; it must be sound."""
        self.contents.volume.measure(lambda: len(self.contents.document.state()) + self.arriving)

    def state_vector(self) -> bytes:
        """Return the state vector of what is applied."""
        return self.contents.document.state_vector()

    def diff(self, state_vector: bytes) -> bytes:
        """Return the update from a state vector to what is applied. Raises ProtocolError."""
        return self.contents.document.diff(state_vector)

    def lacks(self, update: bytes) -> bool:
        """Tell whether an update that was vetted and not applied would bring something new; the room must be sound."""
        document = self.contents.document
        state = document.state_vector()
        return not holds(update, state, document.diff(state))

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
        """Wait until the document can be read.

        Raises: ComityError, the failure of a room that has ended: what it holds is not its document.
        """
        while not self._sound.is_set():  # it may be found unsound again before those who wait are woken
            await self._sound.wait()
        if self.failure is not None:
            raise self.failure

    async def committed(self) -> None:
        """Wait until everything applied so far is on disk. Raises StorageError."""
        if not self.is_committed:
            await self._archive.flush()

    def fail(self, error: ComityError, spared: Member | None = None) -> None:
        """End the room: everyone but one who may be spared is sent away; it is loaded anew for whoever comes next."""
        self.failure = error
        self.tally.failed_rooms += 1
        self._intake.clear()
        for member in self.members:
            if member is not spared:
                member.fail(error)

    def interrupt(self, error: StorageError) -> None:
        """Forget what the store failed to take, and end those who sent it; everyone else stays, and can read.

        A reader that is behind may be owed something of that by number only, and has to come back as well.
        """
        is_ahead = not self.is_committed
        for member in self.members:
            if not member.is_settled or (is_ahead and member.outbox.is_behind):
                member.fail(error)
        self._intake.clear()
        if is_ahead:
            self.renew()

    def renew(self) -> None:
        """Load the document anew: what is here is not what the store holds, or must not be touched again."""
        is_loading = not self._sound.is_set()
        self.tally.reloads += not is_loading
        self._sound.clear()
        self._whole = None
        self.contents.document = Document()  # tells no lies to those who read it meanwhile
        self._intake.fail_waiting(OverloadError("the room is being loaded anew", subject=f"room {self.name!r}"))
        if not is_loading:
            self._spawn(self._reload())

    def _schedule(self) -> None:
        if self._sound.is_set() and not self._is_scheduled:
            self._is_scheduled = True
            self._archive.soon(self._take_turn)

    def _take_turn(self) -> None:
        self._is_scheduled = False
        if self.failure is not None:  # who was spared may go on sending
            self._intake.clear()
            return
        if not self._sound.is_set():  # there will be another turn once the document is loaded
            return
        intake = self._intake
        turn = intake.begin()
        count, size = len(intake), intake.size
        try:
            self._apply_turn(turn)
            self._journal(turn)
        except BaseException as error:
            self._fail_turn(turn)
            if not is_engine_failure(error):
                raise
            logger.exception("a turn of room %r failed", self.name)
        tally = self.tally
        tally.received += count
        tally.received_bytes += size
        if intake:  # it could not be applied now, and will be counted when it is
            tally.received -= len(intake)
            tally.received_bytes -= intake.size
        tally.turn_seconds.observe(perf_counter() - turn.began)

    def _apply_turn(self, turn: Turn) -> None:
        try:
            self._intake.apply(turn)
        except (EngineError, ProtocolError):
            self.renew()

    def _fail_turn(self, turn: Turn) -> None:
        """Forget what a turn changed, which is not in the log, and end those whose next ack would cover it."""
        for member in {*turn.counts, *turn.sources, *self._intake.senders}:
            member.fail(mistake(f"room {self.name!r}"))
        self._intake.fail_turn(turn)
        self.renew()

    def _journal(self, turn: Turn) -> None:
        if turn.changes:
            self._whole = None
            *before, last = turn.changes_by_author()
            for change in before:
                self._append(change, _pass)
            update = turn.change() if before else last.update
            self._append(last, partial(self._tell, turn, update, self.seq + 1))
        elif turn.counts or turn.placed or turn.decisions:
            self._archive.barrier(partial(self._settle, turn))

    def _append(self, change: Change, done: Callable[[], None]) -> None:
        contents = self.contents
        contents.seq += 1
        contents.tail_bytes += len(change.update)
        contents.tail_updates += 1
        self._archive.append(self.name, contents.seq, change.update, change.author, done)

    def _tell(self, turn: Turn, update: bytes, seq: int) -> None:
        self._settle(turn)  # first, so that an author's ack goes out together with what others wrote
        self._broadcast(update, seq, turn.sole_source)
        self._on_told(self)

    def _broadcast(self, update: bytes, seq: int, sole: Member | None) -> None:
        """Tell everyone but its sole source of an update that is on disk."""
        packet = Packet(encode_sync(UPDATE, update))
        for member in self._members:
            if member is not sole:
                member.outbox.put_update(packet, seq)
        self.tally.tell(len(update), len(packet.message), len(self._members) - (sole in self._members))
        self._committed = seq
        self.updated = now()

    def _settle(self, turn: Turn) -> None:
        tally = self.tally
        for member, n in turn.placed:
            member.release(n)
            tally.acknowledge(member.settle(n))
        for member, n in turn.counts.items():
            tally.acknowledge(member.settle(n))
        self._intake.settle(turn)
        tally.ack_seconds.observe(perf_counter() - turn.began)

    async def _reload(self) -> None:
        try:
            await self._load()
        except ComityError as error:
            self.fail(error)
        except Exception:
            logger.exception("room %r cannot be loaded anew", self.name)
            self.fail(mistake(f"room {self.name!r}"))
        self._sound.set()
        self._schedule()

    async def _load(self) -> None:
        with suppress(StorageError):  # of what failed nothing is on its way any more
            await self._archive.flush()
        stored = await load(self._archive, self.name)
        if stored is not None and stored.loaded.lineage != self.lineage:
            raise StorageError("another history lies in its place", subject=f"room {self.name!r}", remedy="come back")
        self.contents.fill(stored)
        self._tell_unheard(() if stored is None else stored.loaded.tail)

    def _tell_unheard(self, tail: tuple[bytes, ...]) -> None:
        """Tell everyone of updates that are in the store after all, though storing them seemed to fail.

        Raises: StorageError, if others are missing; everyone brings them back.
        """
        unheard = self.seq - self._committed
        if not 0 <= unheard <= len(tail):
            raise StorageError("the store lost its last updates", subject=f"room {self.name!r}", remedy="come back")
        if unheard:
            self._broadcast(pycrdt.merge_updates(*tail[-unheard:]), self.seq, None)


def _pass() -> None:
    """Do nothing: of several updates, only the last is told of."""
