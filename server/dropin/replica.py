"""A document of this process that is kept in step with a room, as one member of it among others.

The room's own document is not handed out: it is thrown away and loaded anew when the engine fails on it.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import pycrdt

from comity.crdt_types.errors import ComityError, EngineError, StorageError, is_permanent
from comity.crdt_types.update import EMPTY_UPDATE
from comity.crdt_types.wire import (
    AWARENESS,
    STEP1,
    UPDATE,
    Ack,
    Presence,
    SyncStep1,
    SyncStep2,
    Update,
    decode,
    encode_awareness,
    encode_sync,
)

from ..auth import Action, Principal
from ..rooms.document import is_engine_failure
from ..rooms.hub import Hub
from ..rooms.room import Room
from ..sessions.seat import Guest, Seat, seated
from ..sessions.session import Session
from ..transport.sockets import Packet
from .waiting import Failure, unless

SERVER: Final = Principal("server", authenticated=True)

# After a fault of the room: a moment for what caused it to pass, then ever longer, for it may be there to stay.
REJOIN_SECONDS: Final = 0.5
MAX_REJOIN_SECONDS: Final = 30.0


class Replica:
    """A document and its room, in step while the context lasts. It is edited in the event loop's thread only.

    Entering waits until the document has what the room has, leaving until the room has what the document has, on disk.

    Args:
        hub: the hub of the room.
        name: the room's name.
        doc: the document.
        awareness: the presence of that document and of the room.
        ready: until this is set, what is in the document stays there.
        tell: called with errors that the replica goes on after.
        on_end: called with the error that it cannot go on after.
    """

    def __init__(
        self,
        hub: Hub,
        name: str,
        doc: pycrdt.Doc[Any],
        awareness: pycrdt.Awareness,
        *,
        ready: asyncio.Event,
        tell: Callable[[Exception], None],
        on_end: Callable[[Exception], None],
    ) -> None:
        self._hub = hub
        self._name = name
        self._doc = doc
        self._awareness = awareness
        self._ready = ready
        self._tell = tell
        self._on_end = on_end
        self._session: Session | None = None
        self._failure: Failure | None = None
        self._joined = asyncio.Event()
        self._pause = REJOIN_SECONDS
        self._edits: list[bytes] = []
        self._bytes = 0  # of these
        self._is_behind = True  # the room lacks something that is not among them
        self._work = asyncio.Event()
        self._moved = asyncio.Event()
        self._sent = 0
        self._acknowledged = 0
        self._is_receiving = False
        self._is_shown = False  # the room knows a presence of this document
        self._runner: asyncio.Task[None] | None = None
        self._observers: tuple[pycrdt.Subscription, str] | None = None

    async def __aenter__(self) -> Self:
        """Join the room. Raises what keeps it from joining, see ``Hub.visit``."""
        self._observers = self._doc.observe(self._edited), self._awareness.observe(self._presence_changed)
        self._runner = asyncio.create_task(self._run())
        self._runner.add_done_callback(self._ended)
        joined = asyncio.create_task(self._joined.wait())
        try:
            await asyncio.wait((joined, self._runner), return_when=asyncio.FIRST_COMPLETED)
            if self._runner.done():
                self._runner.result()
        except BaseException:
            await self._close()
            raise
        finally:
            joined.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See the document's edits onto the disk, and leave the room."""
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._flush(), self._hub.settings.drain_seconds)
            if not self._is_settled():
                self._tell(StorageError("edits made in this process are not stored", subject=f"room {self._name!r}"))
        finally:
            await self._close()

    def offer(self, packet: Packet) -> bool:
        """Take a frame of the room."""
        try:
            self._receive(packet.message)
        except BaseException as error:
            if not is_engine_failure(error):
                raise
            self._fail(EngineError(f"the engine failed on it: {error}", subject=f"room {self._name!r}"))
        return True

    async def send(self, packet: Packet) -> None:
        """Take a frame of the room."""
        self.offer(packet)

    async def drain(self) -> None:
        """Return: nothing waits here."""

    def unsent(self) -> int:
        """Return 0: nothing waits here."""
        return 0

    def _is_settled(self) -> bool:
        if not self._ready.is_set():
            return True
        return not (self._is_behind or self._edits) and self._acknowledged >= self._sent

    async def _flush(self) -> None:
        while self._is_hopeful() and not self._is_settled():
            self._moved.clear()
            await self._moved.wait()

    def _is_hopeful(self) -> bool:
        return self._runner is not None and not self._runner.done() and not self._hub.archive.has_stopped

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
        if self._observers is not None:
            edits, presence = self._observers
            self._observers = None
            self._doc.unobserve(edits)
            self._awareness.unobserve(presence)

    async def _run(self) -> None:
        while True:
            try:
                await self._stay()
            except ComityError as error:
                if not self._joined.is_set() or self._is_final(error):
                    raise
                self._tell(error)
                self._pause = max(self._pause, error.retry_after or 0)
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, MAX_REJOIN_SECONDS)

    def _is_final(self, error: ComityError) -> bool:
        if is_permanent(error.close_code) or isinstance(error, EngineError):
            return True
        return self._hub.is_draining or self._hub.archive.has_stopped

    def _ended(self, runner: asyncio.Task[None]) -> None:
        self._moved.set()
        error = None if runner.cancelled() else runner.exception()
        if isinstance(error, Exception) and self._joined.is_set():
            self._on_end(error)

    async def _stay(self) -> None:
        self._failure = asyncio.get_running_loop().create_future()
        self._sent = self._acknowledged = 0
        self._is_behind = True  # until the room has said what it has: what was sent before may be lost
        self._is_shown = False
        guest = Guest(SERVER, frozenset(Action), self, acknowledges=True)
        async with seated(self._hub, self._name, guest, fail=self._fail, fail_sending=self._fail) as seat:
            seat.session.greet()
            self._session = seat.session
            try:
                await unless(self._failure, self._keep_up(seat))
            finally:
                self._session = None

    def _fail(self, error: BaseException) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_result(error)

    async def _keep_up(self, seat: Seat) -> None:
        await seat.session.take(encode_sync(STEP1, self._doc.get_state()))
        self._joined.set()
        self._pause = REJOIN_SECONDS
        self._announce()
        await self._ready.wait()
        while True:
            await self._work.wait()
            self._work.clear()
            update = await self._take_edits(seat.room)
            if update is not None:
                await seat.session.take(encode_sync(UPDATE, update))
            self._moved.set()

    async def _take_edits(self, room: Room) -> bytes | None:
        """Return what the room lacks, as one update; None if that is nothing."""
        await room.sound()
        edits, is_behind = self._edits, self._is_behind
        self._edits, self._bytes, self._is_behind = [], 0, False
        if is_behind:
            update = self._doc.get_update(room.state_vector())
        else:
            update = edits[0] if len(edits) == 1 else pycrdt.merge_updates(*edits)
        if update == EMPTY_UPDATE:
            return None
        self._sent += 1
        return update

    def _edited(self, event: pycrdt.TransactionEvent) -> None:
        if self._is_receiving or self._is_behind or event.update == EMPTY_UPDATE:
            return
        self._edits.append(event.update)
        self._bytes += len(event.update)
        if self._bytes > self._hub.settings.outbox_limit:  # the disk is slower: one difference makes up for all
            self._edits, self._bytes, self._is_behind = [], 0, True
        self._work.set()

    def _receive(self, message: bytes) -> None:
        if message[0] == AWARENESS:
            self._apply_presence(message)
            return
        match decode(message):
            case SyncStep2(update) | Update(update):
                self._apply(update)
            case SyncStep1():
                self._is_behind = True
                self._work.set()
            case Ack(n):
                self._acknowledged = n
                self._moved.set()
            case _:
                pass  # nothing else is said to a client without comity.v1

    def _apply(self, update: bytes) -> None:
        self._is_receiving = True
        try:
            self._doc.apply_update(update)
        except ExceptionGroup as error:  # of observers: what they observed is in the document
            self._tell(error)
        finally:
            self._is_receiving = False

    def _apply_presence(self, message: bytes) -> None:
        try:
            self._awareness.apply_awareness_update(pycrdt.read_message(message[1:]), self)
        except Exception as error:  # of an observer
            self._tell(error)

    def _presence_changed(self, topic: str, change: tuple[dict[str, Any], Any]) -> None:
        if topic == "update" and change[1] == "local":
            self._announce()

    def _announce(self) -> None:
        """Tell the room this document's presence, once there is something in it."""
        state, client = self._awareness.get_local_state(), self._awareness.client_id
        if self._session is None or not (state or self._is_shown):
            return
        try:
            text = None if state is None else json.dumps(state, allow_nan=False)
            entry = Presence(client, self._awareness.meta[client]["clock"], text)
            self._session.offer(encode_awareness((entry,)))
            self._is_shown = state is not None
        except (ComityError, TypeError, ValueError) as error:
            self._tell(error)
