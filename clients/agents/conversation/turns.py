"""The turns of a conversation, and the calls of tools in them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import StateError

from .frozen import freeze, frozen_map, thaw
from .messages import MessageFields
from .observing import C
from .records import Message, Recording, ToolCall, Turn, new_id, time_of
from .status import ConversationStatus, Role, ToolStatus, TurnStatus
from .streaming import Streams


class Turns(Streams[C]):
    """What a manager does with turns and the calls of tools."""

    def start_turn(
        self,
        content: str | Iterable[Mapping[str, Any]] | None = None,
        *,
        role: Role | str = Role.USER,
        audio: Recording | None = None,
        tokens: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Turn:
        """Begin a turn, mostly with a message of the user; the status becomes ``processing``.

        Args:
            content: what the message says; None to begin without one, as where the assistant speaks first.
            role: who the message is from.
            audio: the message's audio.
            tokens: how many tokens the message has, if that is known.
            metadata: whatever else belongs to the turn.

        Raises:
            StateError: if a turn is under way.
            InvalidValueError: if something does not fit, or the status does not allow it; nothing is written then.
        """
        if (current := self.state.current_turn) is not None:
            raise StateError(
                "a turn is under way", subject=current.id, remedy="complete_turn() or interrupt_turn() it first"
            )
        id = new_id(self._document)
        turn = Turn(id, agent=self._document.agent, started_at=time_of(id), metadata=frozen_map(metadata or {}))
        with self.transaction():
            self._move(ConversationStatus.PROCESSING)
            self._write_turn(turn)
            self.live.counts.turns.add(1)
            self._wrote("counts")
            if content is not None or audio is not None:
                self.add_message(role, content, audio=audio, turn=id, tokens=tokens)
        return turn

    def complete_turn(self, turn: str | None = None, *, metadata: Mapping[str, Any] | None = None) -> Turn:
        """End a turn that came to its end, and return it.

        Args:
            turn: the turn's id; the current one if None.
            metadata: what else belongs to it now.

        Raises: StateError, if there is no such turn, or it is not active.
        """
        with self.transaction():
            ended = self._end_turn(turn, TurnStatus.COMPLETED, "", metadata)
            self.live.counts.turns_completed.add(1)
            self.live.counts.turn_ms.add(max(0, ended.duration_ms or 0))
        return ended

    def interrupt_turn(self, reason: str = "", *, turn: str | None = None) -> Turn:
        """End a turn that is cut off, and return it.

        What is being streamed in it becomes messages that are marked as interrupted. Its open tool calls stay open: who
        repairs the conversation answers them.

        Args:
            reason: why.
            turn: the turn's id; the current one if None.

        Raises: StateError, if there is no such turn, or it is not active.
        """
        with self.transaction():
            ended = self._end_turn(turn, TurnStatus.INTERRUPTED, reason, None)
            self.live.counts.turns_interrupted.add(1)
            for stream in self.state.streaming:
                if stream.turn == ended.id:
                    self.end_stream(stream.id, interrupted=True)
        return ended

    def _end_turn(self, id: str | None, status: TurnStatus, reason: str, metadata: Mapping[str, Any] | None) -> Turn:
        turn = self.state.current_turn if id is None else self.state.turn(id)
        if turn is None or not turn.is_active:
            raise StateError(
                "no such turn is under way", subject=id or "current turn", remedy="start_turn() begins one"
            )
        kept = turn.metadata if metadata is None else frozen_map({**turn.metadata, **metadata})
        ended = replace(turn, status=status, reason=reason, ended_at=wall_ms(), metadata=kept)
        self._write_turn(ended)
        self._wrote("counts")
        if self.state.is_active and not self.state.active_turns:
            self._move(self._resting())
        return ended

    def _resting(self) -> ConversationStatus:
        """Return the status between two turns."""
        state = self.state
        if state.audio.input_active:
            return ConversationStatus.LISTENING
        return ConversationStatus.CONNECTED if state.is_connected else ConversationStatus.IDLE

    def _write_turn(self, turn: Turn) -> None:
        self.live.turns[turn.id] = turn
        self._wrote("turns", turn.id)

    # Calls of tools ---------------------------------------------------------------------------------------------

    def start_tool_call(
        self,
        name: str,
        arguments: str | Mapping[str, Any] = "",
        *,
        message: str | None = None,
        call_id: str = "",
        status: ToolStatus = ToolStatus.PENDING,
        metadata: Mapping[str, Any] | None = None,
    ) -> ToolCall:
        """Note that a tool is called, and return the call.

        Args:
            name: the tool's name.
            arguments: what it is called with: as the model wrote it, or a mapping, which becomes JSON.
            message: the id of the assistant's message that makes the call; None to add one without content.
            call_id: the id that the model's interface gave the call; the call's own if there is none.
            status: ``pending``, or ``running`` if it runs already.
            metadata: whatever else belongs to it.

        Raises: StateError, if there is no such message.
        """
        written = arguments if isinstance(arguments, str) else json.dumps(thaw(arguments))
        with self.transaction():
            made_by = self.add_message(Role.ASSISTANT, None) if message is None else self._known_message(message)
            id = self._new_call_id(made_by.id)
            call = ToolCall(
                id,
                call_id or id,
                name,
                written,
                status,
                made_by.turn,
                self._document.agent,
                max(wall_ms(), made_by.created_at),
                metadata=frozen_map(metadata or {}),
            )
            self._write_call(call)
            self.live.counts.tool_calls.add(1)
            self._wrote("counts")
        return call

    def _new_call_id(self, message: str) -> str:
        """Return the id of the next call of a message, which nobody else gives to another call meanwhile."""
        mine = f"{self._document.client_id:x}"
        suffix = "" if message.endswith(f"-{mine}") else f"-{mine}"
        return f"{message}.{len(self.state.calls_of(message)):03}{suffix}"

    def run_tool_call(self, id: str) -> ToolCall:
        """Note that a tool runs; raises StateError if there is no such call, or its end is known."""
        running = replace(self._open_call(id), status=ToolStatus.RUNNING)
        self._write_call(running)
        return running

    def complete_tool_call(self, id: str, result: Any = None, *, answer: bool = True) -> ToolCall:
        """Note the result of a tool, and return the call.

        Args:
            id: the call's id.
            result: what the tool returned: plain data.
            answer: whether a message of role ``tool`` is added that tells the model.

        Raises: StateError, if there is no such call, or its end is known.
        """
        content = result if isinstance(result, str) else json.dumps(result, default=str)
        return self._end_call(id, ToolStatus.COMPLETED, freeze(result), "", content if answer else None)

    def fail_tool_call(self, id: str, error: str, *, answer: bool = True) -> ToolCall:
        """Note that a tool failed, and return the call; see `complete_tool_call`."""
        with self.transaction():
            self.live.counts.tool_calls_failed.add(1)
            return self._end_call(id, ToolStatus.FAILED, None, error, error if answer else None)

    def cancel_tool_call(self, id: str, reason: str = "cancelled", *, answer: bool = True) -> ToolCall:
        """Note that a tool's result is not awaited any more, and return the call; see `complete_tool_call`."""
        return self._end_call(id, ToolStatus.CANCELLED, None, reason, reason if answer else None)

    def _end_call(self, id: str, status: ToolStatus, result: Any, error: str, content: str | None) -> ToolCall:
        call = self._open_call(id)
        with self.transaction():
            answer = None if content is None else self._answer(call, content)
            ended = replace(
                call,
                status=status,
                result=result,
                error=error,
                answer=None if answer is None else answer.id,
                ended_at=max(wall_ms(), call.started_at),
            )
            self._write_call(ended)
        return ended

    def _answer(self, call: ToolCall, content: str) -> Message:
        """Add the message that answers a call, under the id of the call.

        So it stands right behind the message that makes the call, whatever was said meanwhile, and two who answer one
        call at once write one message.
        """
        fields: MessageFields = {
            "name": call.name,
            "turn": call.turn,
            "call": call.id,
            "tool_call_id": call.call_id,
            "created_at": max(wall_ms(), call.started_at),
        }
        return self._add(call.id, Role.TOOL, content, None, fields)

    def _open_call(self, id: str) -> ToolCall:
        call = self.state.tool_call(id)
        if call is None:
            raise StateError("no such tool call", subject=id, remedy="see state.tool_calls")
        if not call.is_open:
            raise StateError(f"the tool call is {call.status} already", subject=id, remedy="start a new one")
        return call

    def _write_call(self, call: ToolCall) -> None:
        self.live.tool_calls[call.id] = call
        self._wrote("tool_calls", call.id)
