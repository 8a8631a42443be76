"""Updates: the status of a conversation, its connection, its audio and its metadata."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import InvalidValueError

from .observing import C, Observed
from .snapshots import ConversationState
from .status import MOVES, ConversationStatus, named


class ConnectionFields(TypedDict, total=False):
    """What of a connection may be updated; see `ConnectionState`."""

    connected: bool
    connection_id: str | None
    transport: str | None
    connected_at: int | None
    closed_at: int | None
    reconnects: int
    latency_ms: float | None
    error: str | None


class AudioFields(TypedDict, total=False):
    """What of the audio may be updated; see `AudioState`."""

    input_active: bool
    output_active: bool
    muted: bool
    input_started_at: int | None
    output_started_at: int | None
    input_format: str | None
    output_format: str | None
    sample_rate: int | None
    voice: str | None
    volume: float


class Updates(Observed[C]):
    """What a manager does with the parts of a conversation of which there is one each."""

    def update(
        self,
        status: ConversationStatus | str | None = None,
        *,
        error: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ConversationState:
        """Update the status and what belongs to it in one transaction, and return the state after it.

        Args:
            status: what the conversation is at now. ``error`` and ``disconnected`` may follow anything; see `MOVES`.
            error: what went wrong; the status becomes ``error``, unless another is given. It is forgotten with the next
                status that is not ``error``.
            metadata: whatever else belongs to the conversation, by name; the others stay, and None deletes one.

        Raises: InvalidValueError, if the status may not follow the one there is; nothing is written then.
        """
        if error is None and metadata is None:
            if status is not None:
                self._move(status)
            return self.state
        with self.transaction():
            if status is not None or error is not None:
                self._move(status or ConversationStatus.ERROR)
            if error is not None:
                self.live.error.set(error)
                self._wrote("error")
            if metadata is not None:
                self._update_metadata(metadata)
        return self.state

    def _move(self, status: ConversationStatus | str) -> None:
        state = self.state
        before = state.status
        if type(status) is not ConversationStatus:
            status = _status(status)
        if status is before:
            return
        if status not in MOVES[before]:
            raise InvalidValueError(
                f"{status} cannot follow {before}",
                subject="status",
                remedy=f"after {before} come {', '.join(sorted(MOVES[before]))}",
            )
        if status is ConversationStatus.ERROR or state.error is not None:
            self._move_error(status)
        else:
            self.live.status.set(status)
            self._wrote("status")

    def _move_error(self, status: ConversationStatus) -> None:
        with self.transaction():
            self.live.status.set(status)
            self._wrote("status")
            if status is ConversationStatus.ERROR:
                self.live.counts.errors.add(1)
                self._wrote("counts")
            else:
                self.live.error.clear()
                self._wrote("error")

    def _update_metadata(self, metadata: Mapping[str, Any]) -> None:
        for name, value in metadata.items():
            if value is not None:
                self.live.metadata[name] = value
            elif name in self.live.metadata:
                del self.live.metadata[name]
        self._wrote("metadata")

    def update_connection(self, **fields: Unpack[ConnectionFields]) -> ConversationState:
        """Update what is known of the connection in one transaction, and return the state after it.

        Where ``connected`` becomes true, ``connected_at`` becomes now, and what is known of its end is forgotten; where
        it becomes false, ``closed_at`` becomes now; unless they are given.

        Raises: InvalidValueError, if something does not fit; nothing is written then.
        """
        values: dict[str, Any] = dict(fields)
        connected = fields.get("connected")
        if connected is not None and connected is not self.state.connection.connected:
            began = {"connected_at": wall_ms(), "closed_at": None, "error": None}
            values = {**(began if connected else {"closed_at": wall_ms()}), **values}
        self._assign("connection", values)
        return self.state

    def update_audio(self, **fields: Unpack[AudioFields]) -> ConversationState:
        """Update what goes in and out as sound in one transaction, and return the state after it.

        Where ``input_active`` or ``output_active`` becomes true, the time of its start becomes now.

        Raises: InvalidValueError, if something does not fit; nothing is written then.
        """
        values: dict[str, Any] = dict(fields)
        before = self.state.audio
        if fields.get("input_active") and not before.input_active:
            values.setdefault("input_started_at", wall_ms())
        if fields.get("output_active") and not before.output_active:
            values.setdefault("output_started_at", wall_ms())
        self._assign("audio", values)
        return self.state

    def _assign(self, part: str, values: dict[str, Any]) -> None:
        with self.transaction():
            self.live.assign({part: values})
            self._wrote(part)


def _status(status: str) -> ConversationStatus:
    return named(ConversationStatus, status, "status", subject="status")
