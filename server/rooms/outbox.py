"""The outbox of one connection: what it is still owed, in bounded memory however slowly it reads."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from comity.crdt_types.update import EMPTY_UPDATE
from comity.crdt_types.wire import UPDATE, encode_ack, encode_sync

from ..monitoring.tally import Tally
from ..transport.sockets import Packet, Sender


class Source(Protocol):
    """The room, as far as an outbox that fell behind needs it to catch up."""

    @property
    def tally(self) -> Tally:
        """Where to count what happens."""
        ...

    @property
    def seq(self) -> int:
        """The number of the last update applied, which may not have been sent out yet."""
        ...

    def state_vector(self) -> bytes:
        """Return the state vector of what is applied."""
        ...

    async def sound(self) -> None:
        """Wait until ``diff`` may be called. Raises ComityError when the room has ended."""
        ...

    def diff(self, state_vector: bytes) -> bytes:
        """Return the update from a state vector to what is applied."""
        ...

    async def committed(self) -> None:
        """Wait until everything applied so far is on disk."""
        ...

    def presence(self, clients: Iterable[int]) -> bytes | None:
        """Return the frame with the present awareness of these clients, None if there is nothing to say."""
        ...


class Outbox:
    """What one connection is owed.

    A packet goes straight to the socket while the reader keeps up, and into a queue otherwise. Once more than ``limit``
    bytes are queued the connection is behind: updates up to the last one applied are still queued, since they may be on
    their way through the journal, later ones are dropped. When everything queued is sent, one update from the state
    vector of that moment makes up for all of them. Acknowledgements and presence keep only their latest. So at most
    ``limit``, plus what the journal may hold, plus one such update is ever held.

    Args:
        socket: where to send.
        source: the room.
        limit: bytes that may be queued.
        stall_seconds: how long a connection that is behind may take nothing.
        on_stall: called once when it took nothing for that long.
        on_failure: called with what stopped the sending: OSError when the connection is gone.
    """

    def __init__(
        self,
        socket: Sender,
        source: Source,
        *,
        limit: int,
        stall_seconds: float,
        on_stall: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._socket = socket
        self._source = source
        self._limit = limit
        self._stall_seconds = stall_seconds
        self._on_stall = on_stall
        self._on_failure = on_failure
        self._queue: deque[Packet] = deque()
        self._bytes = 0
        self._taken = 0  # packets that the socket took from the queue
        self._ack: int | None = None
        self._clients: set[int] = set()
        self._base: bytes | None = None  # the state vector it fell behind at
        self._base_seq = 0
        self._made_up: list[tuple[int, int]] = []  # dropped after the one number, up to the other, and made up for
        self._stall: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None  # while there is something that the socket did not take at once
        self._space: asyncio.Event | None = None  # made for the first that waits: most connections never do
        self._closed = False

    @property
    def queued_bytes(self) -> int:
        """Bytes waiting to be sent."""
        return self._bytes

    @property
    def is_behind(self) -> bool:
        """Whether updates are being dropped, to be made up for later."""
        return self._base is not None

    def put(self, packet: Packet) -> None:
        """Send a packet that must not be dropped; whoever sends many awaits ``space`` before."""
        if self._is_done_with(packet):
            return
        self._queue.append(packet)
        self._bytes += len(packet.message)
        self._wake()

    def put_update(self, packet: Packet, seq: int) -> None:
        """Send update number ``seq`` of the room, now or as part of a later one."""
        if self._writer is None and not self._made_up and (self._closed or self._socket.offer(packet)):
            return
        if self._base is not None and seq > self._base_seq:
            self._source.tally.skips += 1
            return
        if self._made_up and self._is_made_up(seq):
            self._source.tally.skips += 1
            return
        self.put(packet)
        if self._bytes > self._limit and self._base is None:
            self._fall_behind()

    def put_presence(self, packet: Packet, clients: Iterable[int]) -> None:
        """Send the presence of some clients, or their latest when it is their turn."""
        if self._is_done_with(packet):
            return
        self._clients.update(clients)
        self._wake()

    def acknowledge(self, n: int) -> None:
        """Send that the first n updates of this connection are on disk."""
        if self._is_done_with(Packet(encode_ack(n), can_wait=True)):
            return
        self._ack = n
        self._wake()

    def put_behind_ack(self, packet: Packet) -> None:
        """Send a packet behind every acknowledgement given so far."""
        if self._ack is not None:
            ack, self._ack = self._ack, None
            self.put(Packet(encode_ack(ack)))
        self.put(packet)

    async def space(self) -> None:
        """Wait until no more than the limit is queued: before answering a request, so that answers do not pile up."""
        while self._bytes > self._limit and not self._closed:
            await self._some_space()

    async def flush(self) -> None:
        """Wait until nothing is queued, or nothing is sent any more."""
        while self._queue and not self._closed:
            await self._some_space()

    async def _some_space(self) -> None:
        if self._space is None:
            self._space = asyncio.Event()
        self._space.clear()
        await self._space.wait()

    def _tell_space(self) -> None:
        if self._space is not None:
            self._space.set()

    async def close(self) -> None:
        """Send nothing any more."""
        self._close()
        writer = self._writer
        if writer is not None:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _is_done_with(self, packet: Packet) -> bool:
        """Send a packet past the writer while there is none, so that nothing overtakes what is waiting."""
        return self._closed or (self._writer is None and self._socket.offer(packet))

    def _wake(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        try:
            await self._send_all()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._close()
            self._on_failure(error)
        finally:
            self._writer = None

    def _close(self) -> None:
        self._closed = True
        self._queue.clear()
        self._bytes = 0
        self._base = None
        self._tell_space()
        self._stop_watching()

    async def _send_all(self) -> None:
        while self._queue or self._base is not None or self._ack is not None or self._clients:
            await self._send_queue()
            await self._socket.drain()
            await self._catch_up()
            await self._send_latest()

    async def _send_queue(self) -> None:
        while self._queue:
            packet = self._queue[0]
            await self._socket.send(packet)
            self._queue.popleft()
            self._bytes -= len(packet.message)
            self._taken += 1
            self._tell_space()

    async def _send_latest(self) -> None:
        if self._ack is not None:
            ack, self._ack = self._ack, None
            await self._socket.send(Packet(encode_ack(ack)))
        if self._clients:
            clients, self._clients = self._clients, set()
            frame = self._source.presence(clients)
            if frame is not None:
                await self._socket.send(Packet(frame))

    def _is_made_up(self, seq: int) -> bool:
        while self._made_up and self._made_up[0][1] < seq:
            self._made_up.pop(0)
        return bool(self._made_up) and self._made_up[0][0] < seq

    def _fall_behind(self) -> None:
        self._source.tally.lags += 1
        self._base = self._source.state_vector()
        self._base_seq = self._source.seq
        self._watch()

    async def _catch_up(self) -> None:
        if self._base is None:
            return
        await self._source.sound()
        if self._queue:
            return
        update = self._source.diff(self._base)
        self._base = None
        self._stop_watching()
        # Not all up to now: what was applied before it fell behind may still be on its way through the journal.
        self._made_up.append((self._base_seq, self._source.seq))
        if update != EMPTY_UPDATE:
            await self._source.committed()
            packet = Packet(encode_sync(UPDATE, update))
            await self._socket.send(packet)
            self._source.tally.catch_ups += 1
            self._source.tally.catch_up_bytes += len(packet.message)

    def _watch(self) -> None:
        self._stop_watching()
        loop = asyncio.get_running_loop()
        self._stall = loop.call_later(self._stall_seconds, self._check_progress, self._progress())

    def _stop_watching(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _progress(self) -> tuple[int, int]:
        return self._taken, self._socket.unsent()

    def _check_progress(self, before: tuple[int, int]) -> None:
        if self._base is None:
            return
        if self._progress() == before:
            self._on_stall()
        else:
            self._watch()
