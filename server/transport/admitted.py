"""A WebSocket that was let in: counted until it is gone, and held to the limits of what no message of the room's is."""

from collections.abc import Callable
from typing import Final

from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame
from websockets.protocol import State

from comity.crdt_types.errors import TooFastError, answer_for

from ..limits import TokenBucket
from .admission import Gate
from .websocket import Sink, UvicornProtocol

# Of one message; a client that splits its messages at all does so at some kilobytes, and empty ones cost memory, too.
MAX_FRAGMENTS: Final = 65_536


class Admitted(UvicornProtocol):
    """A WebSocket that came in by a `Door`."""

    _gate: Gate | None = None
    _on_lost: Callable[[], None] | None = None
    _frames_left: TokenBucket | None = None
    _early = b""  # what came before the handshake was answered

    def admit(self, gate: Gate, on_lost: Callable[[], None]) -> None:
        """Be counted at a gate until the connection is lost."""
        rate = gate.settings.connection_messages
        self._gate = gate
        self._on_lost = on_lost
        if rate:
            self._frames_left = TokenBucket(rate, max(1.0, rate * gate.settings.burst_seconds))

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a client that does not wait for the answer to its handshake are kept till then."""
        if not self._early and (self.handshake_complete or not self.handshake_initiated):
            super().data_received(data)
            return
        self._early += data
        if not self.read_paused:  # so that no more comes than one read
            self.read_paused = True
            self.transport.pause_reading()

    async def listen(self, sink: Sink) -> None:
        """Hand every message to a sink, those first that came early."""
        early, self._early = self._early, b""
        if early and self.conn.state is State.OPEN:  # or the client went before its handshake could be answered
            super().data_received(early)
        await super().listen(sink)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave."""
        super().connection_lost(exc)
        if self._on_lost is not None:
            self._on_lost()

    def handle_ping(self) -> None:
        """Answer a ping, unless there are too many."""
        if self._may_come():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the library has written a pong already

    def handle_pong(self, event: Frame) -> None:
        """Take a pong, unless there are too many."""
        if self._may_come():
            super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message, unless there are too many."""
        if len(self.frames) >= MAX_FRAGMENTS:
            reason = f"a message in more than {MAX_FRAGMENTS} fragments"
            self._turn_out("max_message", CloseCode.MESSAGE_TOO_BIG, reason)
        elif self._may_come():
            super().handle_cont(event)

    def handle_parser_exception(self) -> None:
        """Count who is closed for a frame that breaks the rules, or is so large that not all of it is received."""
        was_ending = self.is_ending()
        super().handle_parser_exception()
        if self._gate is None or was_ending:
            return
        if isinstance(self.conn.parser_exc, PayloadTooBig):
            self._gate.refuse("max_message")
        if self.conn.close_sent is not None:
            self._gate.count_close(self.conn.close_sent.code)

    def keepalive_timeout(self) -> None:
        """Count a client that answers no ping."""
        was_ending = self.close_sent or self.transport.is_closing()
        super().keepalive_timeout()
        if self._gate is not None and self.pong_timer is None and not was_ending:
            self._gate.refuse("ping_timeout")
            self._gate.count_close(CloseCode.INTERNAL_ERROR)

    def _may_come(self) -> bool:
        """Tell whether one more frame may come that is no message by itself."""
        bucket = self._frames_left
        if bucket is None:
            return not self.close_sent
        if bucket.level() < 1:
            reason = f"more than {bucket.rate:,.6g} frames a second; come back in {bucket.wait():.1f} s"
            self._turn_out("connection_messages", answer_for(TooFastError).close_code, reason)
        bucket.take(1)
        return not self.close_sent

    def _turn_out(self, limit: str, code: int, reason: str) -> None:
        if self._gate is not None and not self.close_sent:
            self._gate.refuse(limit)
            self._gate.count_close(code)
            self.close_after_writing(code, reason)
