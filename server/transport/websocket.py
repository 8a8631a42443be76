"""uvicorn's WebSocket protocol, made quick: messages go straight to whoever listens."""

import asyncio
import fcntl
import logging
import sys
import termios
from collections import deque
from typing import Any, Final, Protocol, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from .frames import Piece, Splitter

logger = logging.getLogger(__name__)

EXTENSION: Final = "comity.socket"

# For a reader that takes nothing: long enough to wake up and read why it was closed.
LINGER_SECONDS: Final = 5.0
# After the loop was held up its timers run before it reads: an answer that is here already has this long to be read.
OVERDUE_SECONDS: Final = 0.1
# Messages of one connection in one turn of the loop: what others wait for it stays below a millisecond.
BURST: Final = 64


class Sink(Protocol):
    """Where a socket puts what it receives."""

    def message(self, data: bytes | str) -> None:
        """Take a message; must not raise."""
        ...


class UvicornProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which the application finds among its ASGI extensions.

    Messages in one binary frame, which are nearly all, go past the state machine of the websockets library, uvicorn's
    queue and the two tasks that would be woken for each. Everything else takes its usual way and arrives in its order.
    """

    _has_moved = False  # whether the peer has sent or taken something since it was last looked at
    _was_unsent = 0
    _is_overdue = False  # whether the time to answer a ping was up when it was last looked at
    _splitter: Splitter | None = None  # once the handshake is done
    _sink: Sink | None = None
    _ended: asyncio.Future[None] | None = None
    _pong = b""  # owed to the peer
    _is_held = False
    _is_due = False  # whether the rest of a burst is scheduled
    _pieces: deque[Piece]

    async def run_asgi(self) -> None:
        """Run the application."""
        cast("dict[str, Any]", self.scope)["extensions"][EXTENSION] = self
        self._pieces = deque()
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            logger.exception("a connection to %s failed", self.scope["path"])
            self.send_500_response()
        # A refused upgrade is answered and done with; uvicorn would log it as an error, and anybody can be refused.
        if self.close_timer is None:
            self.transport.close()

    async def listen(self, sink: Sink) -> None:
        """Hand every message to a sink, until the peer is gone or ``stop_listening`` was called."""
        if self._ended is None:
            self._ended = self.loop.create_future()
        self._sink = sink
        self._deliver()
        if self.disconnected:
            self._finish()
        await self._ended

    def stop_listening(self) -> None:
        """Make ``listen`` return."""
        if self._ended is None:
            self._ended = self.loop.create_future()
        if not self._ended.done():
            self._ended.set_result(None)

    def is_ending(self) -> bool:
        """Tell whether nothing more can be sent."""
        return self.close_sent or self.disconnected or self.transport.is_closing()

    def hold(self) -> None:
        """Hand on nothing more until ``release``."""
        self._is_held = True
        self._adjust_reading()

    def release(self) -> None:
        """Hand on what was held back, and what follows."""
        self._is_held = False
        self._deliver()

    def close_after_writing(self, code: int, reason: str) -> None:
        """Send a close frame without waiting for space, and wait at most LINGER_SECONDS for the answer."""
        self.conn.send_close(code, reason)
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        self._deliver()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        self._has_moved = True
        if self._splitter is None and not self._begin():
            super().data_received(data)
            if self.conn.handshake_exc is not None:
                self._answer_bad_handshake()
            return
        pieces = cast("Splitter", self._splitter).feed(data)
        if len(pieces) == 1 and pieces[0].is_message and not self._pieces and self._may_deliver():
            self._hand_on(pieces[0])  # nearly always
        else:
            self._pieces.extend(pieces)
            self._deliver()

    def send_receive_event_to_app(self) -> None:
        """Hand on a message that came the usual way."""
        data, self.frames = b"".join(self.frames), []
        if self._sink is not None and not self.close_sent:
            self._sink.message(data if self.curr_msg_data_type == "bytes" else data.decode(errors="replace"))

    def handle_ping(self) -> None:
        """Answer a ping: of many from a peer that takes nothing, the latest (RFC 6455, section 5.5.3)."""
        self._pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self._write_pong()

    def handle_close(self, event: Frame) -> None:
        """Take leave of a peer that closes, whether or not it still takes what it is owed."""
        super().handle_close(event)
        self._take_leave()

    def handle_parser_exception(self) -> None:
        """Take leave of a peer that breaks RFC 6455."""
        if not self.is_ending():  # uvloop lets nobody write to a transport that is closed
            super().handle_parser_exception()
        self._take_leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on what is left, and tell that the peer is gone."""
        super().connection_lost(exc)
        if self._sink is not None:
            self._finish()

    def resume_writing(self) -> None:
        """Write again: the peer took something."""
        self._has_moved = True
        super().resume_writing()
        self._write_pong()

    def send_keepalive_ping(self) -> None:
        """Send a ping, and note what is sent before it."""
        super().send_keepalive_ping()
        self._is_overdue = False
        self._look()

    def keepalive_timeout(self) -> None:
        """End a connection whose peer answers no ping, also when there is more to send than it takes.

        A ping waits its turn behind what was sent before it: a peer that takes that, however slowly, has more time.
        """
        has_moved, was_overdue = self._look(), self._is_overdue
        self._is_overdue = not has_moved
        if has_moved or not was_overdue:
            seconds = (self.ping_timeout or 0.0) if has_moved else OVERDUE_SECONDS
            self.pong_timer = self.loop.call_later(seconds, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _begin(self) -> bool:
        """Tell whether the handshake is done: frames are split from here on."""
        if self.handshake_complete:
            self._splitter = Splitter(self.config.ws_max_size)
        return self.handshake_complete

    def _write_pong(self) -> None:
        if self._pong and not self.is_ending():
            self.transport.write(self._pong)
        self._pong = b""

    def _deliver(self) -> None:
        """Hand on what has come, up to BURST pieces a turn."""
        for _ in range(BURST):
            if not self._pieces or not self._may_deliver():
                break
            self._hand_on(self._pieces.popleft())
        if self._pieces and self._may_deliver() and not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._deliver_rest)
        self._adjust_reading()

    def _deliver_rest(self) -> None:
        self._is_due = False
        self._deliver()

    def _may_deliver(self) -> bool:
        return self.close_sent or (self._sink is not None and not self._is_held)

    def _hand_on(self, piece: Piece) -> None:
        if not piece.is_message:
            super().data_received(piece.data)
        elif self._sink is not None and not self.close_sent:
            self._sink.message(piece.data)

    def _finish(self) -> None:
        while self._pieces:
            self._hand_on(self._pieces.popleft())
        self.stop_listening()

    def _answer_bad_handshake(self) -> None:
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.handshake_complete = self.close_sent = True
        self.transport.close()

    def _take_leave(self) -> None:
        if self.close_timer is None and not self.disconnected:
            self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        self._pieces.clear()  # what follows a close frame, or a broken one, is nobody's
        if self._sink is not None:
            self._finish()

    def _adjust_reading(self) -> None:
        pause = bool(self._pieces) or not self._may_deliver()
        if pause != self.read_paused and not self.transport.is_closing():
            self.read_paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _look(self) -> bool:
        """Tell whether the peer has sent or taken something since this was last asked."""
        if self.transport.is_closing():
            return False
        unsent = self.transport.get_write_buffer_size() + _untaken(self.transport.get_extra_info("socket").fileno())
        has_moved = self._has_moved or unsent < self._was_unsent
        self._has_moved, self._was_unsent = False, unsent
        return has_moved


def _untaken(handle: int) -> int:
    """Return how many bytes the system holds that the peer of a TCP socket has not confirmed; 0 if it does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(handle, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0
