"""The state of a machine: what a document holds of it, readable without its functions and without its definition."""

from collections.abc import Callable

from pydantic import JsonValue

from comity.crdt_types import Change, Log, Map, Register, State

from .record import Entered, Timeout, Transition, Unfinished
from .run import Position


class MachineState(State, name="machine"):
    """A machine in a document, a room of its own or a field of another State.

    It is written by decisions of a `Machine` only. Reading it takes nothing but this class.

    Attributes:
        definition: the machine as data; see `MachineDefinition`.
        configuration: the active states, in the machine's own order.
        finished: whether it has come to its end.
        number: how many transitions there were.
        context: the fields that guards look at.
        entered: of each active state, when it was entered and by which transition.
        history: what the history states remember.
        timeouts: the events that are to come by themselves.
        unfinished: of transitions by number, the actions that nobody has reported done.
        journal: the transitions.
    """

    definition: Register[dict[str, JsonValue]]
    configuration: Register[list[str]]
    finished: Register[bool] = Register(default=False)
    number: Register[int] = Register(default=0)
    context: Map[JsonValue]
    entered: Map[Entered]
    history: Map[list[str]]
    timeouts: Map[Timeout]
    unfinished: Map[Unfinished]
    journal: Log[Transition]

    def is_in(self, state: str) -> bool:
        """Tell whether a state is active."""
        return state in self.configuration.get([])

    def position(self) -> Position:
        """Return where the machine stands."""
        return Position(
            tuple(self.configuration.get([])),
            self.context.value,
            {name: tuple(states) for name, states in self.history.items()},
            self.finished.get(False),
        )

    def occupancy(self) -> dict[str, int]:
        """Return the active states, each with the number of the transition by which it was entered."""
        return {name: entered.number for name, entered in self.entered.items()}

    def last(self) -> Transition | None:
        """Return the transition that was made last, of those that the journal still holds."""
        return self.journal[-1] if self.journal else None

    def on_transition(self, callback: Callable[[Transition], object]) -> Callable[[], None]:
        """Call a function with every transition from now on; returns a function that stops it."""

        def heard(change: Change) -> None:
            if change.action == "added" and isinstance(change.new, Transition):
                callback(change.new)

        return self.journal.on_change(heard)
