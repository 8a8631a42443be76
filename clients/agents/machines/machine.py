"""A machine: a state machine that agents share, each transition of which is decided once."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from inspect import isawaitable
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from pydantic import JsonValue

from comity.crdt_types import Change, State
from comity.crdt_types.errors import ActionFailedError, InvalidValueError, SchemaError, TransitionRefusedError

from ...client import Client
from ...tiers.tier import Tier
from . import deciding
from .chart import Chart
from .definition import MachineDefinition
from .functions import Assigner, Functions, Guard, Work
from .parts import DONE
from .record import Timeout, Transition, Unfinished
from .run import Cause
from .state import MachineState
from .timers import Timers

S = TypeVar("S", bound=State)
R = TypeVar("R")

# How often an event is tried while others are faster; more often than agents need that do anything besides firing.
ATTEMPTS: Final = 32
_LONGEST_ERROR: Final = 1000  # characters of an action's error in the document; the whole of it is the caller's


class Machine(Generic[S]):
    """A state machine in a tier, used with ``async with``.

    Entering begins the machine if the document holds none, which takes the server. While it is entered, it fires the
    timeouts that are due.

    Args:
        tier: where the machine lies.
        definition: what it does, as a `MachineDefinition` or its data; None to take what the document holds.
        select: finds the machine in the tier's state; None if that is the machine.
        guards: the functions that guards name.
        assigners: the functions that changes of the context name.
        actions: the functions that are called after a transition that this agent won.
        upgrade: the new names of states, to exchange another definition for this one; None to refuse it.

    Raises: SchemaError, on entering, if the definition cannot work, a function is missing, or the document holds
        another definition; NotConnectedError, if the machine must begin and there is no server; ActionFailedError, if
        it begins, and an action that follows fails.
    """

    def __init__(
        self,
        tier: Tier[S],
        definition: MachineDefinition | Mapping[str, Any] | None = None,
        *,
        select: Callable[[S], MachineState] | None = None,
        guards: Mapping[str, Guard] | None = None,
        assigners: Mapping[str, Assigner] | None = None,
        actions: Mapping[str, Work] | None = None,
        upgrade: Mapping[str, str] | None = None,
    ) -> None:
        self.tier = tier
        self.state: Final = _selected(select, tier.state)
        self._select = select
        self._given = definition
        self._functions = Functions(guards or {}, assigners or {}, actions or {})
        self._upgrade = upgrade
        self._stops: list[Callable[[], None]] = []
        self._entered: tuple[Chart, asyncio.Task[None]] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        client: Client,
        room: str,
        definition: MachineDefinition | Mapping[str, Any] | None = None,
        *,
        guards: Mapping[str, Guard] | None = None,
        assigners: Mapping[str, Assigner] | None = None,
        actions: Mapping[str, Work] | None = None,
        upgrade: Mapping[str, str] | None = None,
    ) -> "AsyncGenerator[Machine[MachineState]]":
        """Open a room that holds nothing but a machine; see `Machine` for the arguments."""
        async with (
            client.shared(room, MachineState) as tier,
            Machine(tier, definition, guards=guards, assigners=assigners, actions=actions, upgrade=upgrade) as machine,
        ):
            yield machine

    async def __aenter__(self) -> Self:
        if self.state.definition.value is None:
            await self.tier.synced()
        chart = Chart(self._definition(), self._functions)
        begun = await self._begun(chart)
        if begun is not None:
            await self._act(begun)
        timers = Timers(self.state, self.tier.replica.server_time, self._expire, self.tier.synced)
        self._entered = chart, asyncio.create_task(timers.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _chart, timers = self._running()
        self._entered = None
        while self._stops:
            self._stops.pop()()
        timers.cancel()
        await asyncio.wait([timers])

    def _definition(self) -> MachineDefinition:
        given = self.state.definition.value if self._given is None else self._given
        if given is None:
            raise SchemaError(
                "there is no machine", subject=self.tier.room, remedy="give a definition to begin it with"
            )
        return given if isinstance(given, MachineDefinition) else MachineDefinition.load(given)

    async def _begun(self, chart: Chart) -> Transition | None:
        """Begin or upgrade the machine, unless it is what the definition says."""
        stored = self.state.definition.value
        if stored is not None and deciding.is_same(stored, chart):
            return None
        cause = Cause("", {}, self.who, "", await self.tier.replica.server_time())
        return await self._decide(lambda state: deciding.begin(state, chart, cause, self._upgrade))

    def _running(self) -> tuple[Chart, asyncio.Task[None]]:
        if self._entered is None:
            raise InvalidValueError("the machine is not open", subject=self.tier.room, remedy="use it in async with")
        return self._entered

    @property
    def who(self) -> str:
        """The agent in whose name this machine fires."""
        return self.tier.state.document.agent

    @property
    def definition(self) -> MachineDefinition:
        """What the machine does."""
        return self._running()[0].definition

    @property
    def configuration(self) -> frozenset[str]:
        """The active states."""
        return frozenset(self.state.configuration.get([]))

    @property
    def context(self) -> dict[str, JsonValue]:
        """The context's fields; a copy."""
        return self.state.context.value

    @property
    def is_finished(self) -> bool:
        """Whether the machine has come to its end."""
        return self.state.finished.get(False)

    def is_in(self, state: str) -> bool:
        """Tell whether a state is active."""
        return self.state.is_in(state)

    def allowed_events(self) -> list[str]:
        """Return the events that an active state takes, if their guards hold."""
        if self.is_finished:
            return []
        states = self.definition.outline.states
        events = {event for name in self.configuration.intersection(states) for event in states[name].on}
        return sorted(event for event in events if not event.startswith(DONE))

    def can(self, event: str, /, **data: JsonValue) -> bool:
        """Tell whether the machine, as this replica sees it, takes an event that brings this data."""
        cause = self._cause(event, data, "", 0)
        return bool(self._running()[0].advance(self.state.position(), cause).sources)

    async def fire(self, event: str, /, *, why: str = "", **data: JsonValue) -> Transition:
        """Fire an event and return the transition that it made, after the actions that follow it.

        The server decides. The event means the states as they are seen here when it is fired: of several agents that
        fire it at once, one makes the transition.

        Args:
            event: the event.
            why: the reason, for the journal.
            data: what guards and actions are to know of it; plain JSON.

        Raises:
            TransitionRefusedError: if no state takes the event, or another agent was first; nothing was written.
            PreconditionError: if others were faster every time it was tried.
            NotConnectedError: if there is no server.
            ConnectionFailedError: if the connection was lost meanwhile; the journal will tell what came of it.
            ActionFailedError: if an action failed; the transition stands.
        """
        seen = self.state.occupancy()
        chart = self._running()[0]
        cause = self._cause(event, data, why, await self.tier.replica.server_time())
        transition = await self._decide(lambda state: deciding.fire(state, chart, cause, seen))
        await self._act(transition)
        return transition

    def _cause(self, event: str, data: Mapping[str, JsonValue], why: str, at: int) -> Cause:
        known = self.definition.outline.events()
        if event not in known or event.startswith(DONE):
            raise InvalidValueError(
                f"no event {event!r}", subject=f"machine {self.definition.name!r}", remedy=f"there are {sorted(known)}"
            )
        return Cause(event, data, self.who, why, at)

    async def _expire(self, key: str, expired: Timeout) -> None:
        chart = self._running()[0]
        why = f"{expired.state} timed out"
        cause = Cause(expired.event, {}, self.who, why, await self.tier.replica.server_time())
        made = await self._decide(
            lambda state: deciding.expire(state, chart, cause, key, expired), not_before=expired.due
        )
        if made is not None:
            await self._act(made)

    async def _decide(self, edit: Callable[[MachineState], R], *, not_before: int | None = None) -> R:
        """Let the server decide an edit of the machine, against all that it rests on."""
        select, state = self._select, self.state
        return await self.tier.decide(
            lambda root: edit(_selected(select, root)),
            reads=[state.definition, state.number, state.configuration, state.context, state.timeouts],
            not_before=not_before,
            attempts=ATTEMPTS,
        )

    async def _act(self, transition: Transition) -> None:
        """Run the actions of a transition, each at most once, and say that they are done."""
        for done, name in enumerate(transition.actions):
            try:
                result = self._functions.actions[name](transition)
                if isawaitable(result):
                    await result
            except Exception as error:  # an action is the user's own, and may raise anything
                rest = transition.actions[done:]
                self.state.unfinished[str(transition.number)] = Unfinished(self.who, rest, repr(error)[:_LONGEST_ERROR])
                raise ActionFailedError(
                    f"failed after transition {transition.number}: {error!r}",
                    subject=f"action {name!r}",
                    remedy="the transition stands; see retry() and dismiss()",
                    number=transition.number,
                ) from error
        self.dismiss(transition.number)

    def unfinished(self) -> dict[int, Unfinished]:
        """Return the actions that nobody has reported done, by the transitions that they were to follow.

        Whoever won a transition is at them, or stopped in the middle of them, or met an error.
        """
        return {int(number): found for number, found in self.state.unfinished.items()}

    async def retry(self, number: int) -> None:
        """Take over the unfinished actions of a transition and run them, again perhaps.

        Raises:
            TransitionRefusedError: if nothing of it is unfinished, or another agent took it over.
            ActionFailedError: if one of them fails.
        """
        transition = next((made for made in self.state.journal if made.number == number), None)
        found = self.state.unfinished.get(str(number))
        if transition is None or found is None:
            raise _nothing_unfinished(number)
        mine = Unfinished(self.who, found.actions)

        def take_over(state: MachineState) -> None:
            if state.unfinished.get(str(number)) != found:
                raise _nothing_unfinished(number)
            state.unfinished[str(number)] = mine

        await self._decide(take_over)
        await self._act(replace(transition, actions=found.actions))

    def dismiss(self, number: int) -> None:
        """Say that the actions of a transition are done, or need not be."""
        self.state.unfinished.pop(str(number), None)

    def on_transition(self, callback: Callable[[Transition], object]) -> Callable[[], None]:
        """Call a function with every transition until the machine is closed; returns a function that stops it before.

        Args:
            callback: a function or a coroutine function; its calls follow one another in the order of the transitions.
        """

        def heard(change: Change) -> object:
            if change.field == self.state.journal.name and isinstance(change.new, Transition):
                return callback(change.new)
            return None

        stop = self.tier.subscribe(heard, kind="log")
        self._stops.append(stop)
        return stop

    async def reached(self, *states: str) -> None:
        """Return once all of these states are active."""
        if unknown := set(states).difference(self.definition.outline.states):
            raise InvalidValueError(f"no state {min(unknown)!r}", subject=f"machine {self.definition.name!r}")
        changed = asyncio.Event()
        stop = self.state.configuration.on_change(lambda _change: changed.set())
        try:
            while not self.configuration.issuperset(states):
                changed.clear()
                await changed.wait()
        finally:
            stop()


def _selected(select: Callable[[S], MachineState] | None, root: S) -> MachineState:
    if select is not None:
        return select(root)
    if not isinstance(root, MachineState):
        raise SchemaError(
            f"{type(root).__name__} is no MachineState", subject="machine", remedy="give select=lambda state: ..."
        )
    return root


def _nothing_unfinished(number: int) -> TransitionRefusedError:
    return TransitionRefusedError(
        "nothing of it is unfinished, or another agent took it over", subject=f"transition {number}"
    )
