"""An outline: all states of a definition by their names, and how they lie in each other."""

from collections.abc import Collection, Iterator, Mapping

from comity.crdt_types.errors import SchemaError

from .parts import StateDefinition


class Outline:
    """The states of a definition, parents before what is in them.

    Args:
        initial: the state that is entered first.
        states: the outermost states by their names.

    Raises: SchemaError, if two states bear one name.
    """

    def __init__(self, initial: str, states: Mapping[str, StateDefinition]) -> None:
        self.initial = initial
        self.top = states
        self.states: dict[str, StateDefinition] = {}
        self.parents: dict[str, str | None] = {}
        self._add(states, None)

    def _add(self, states: Mapping[str, StateDefinition], parent: str | None) -> None:
        for name, state in states.items():
            if name in self.states:
                raise SchemaError("two states of one name", subject=f"state {name!r}", remedy="rename one of them")
            self.states[name] = state
            self.parents[name] = parent
            self._add(state.states, name)

    def __contains__(self, name: object) -> bool:
        return name in self.states

    def ancestors(self, name: str) -> Iterator[str]:
        """Yield the states that a state lies in, the nearest first."""
        parent = self.parents[name]
        while parent is not None:
            yield parent
            parent = self.parents[parent]

    def regions(self, name: str) -> list[str]:
        """Return the states right below a state that can be active."""
        return [child for child, state in self.states[name].states.items() if state.type != "history"]

    def events(self) -> set[str]:
        """Return the events that some state takes."""
        return {event for state in self.states.values() for event in state.on}

    def first_below(self, name: str) -> list[str]:
        """Return the states right below a state that are entered with it."""
        state = self.states[name]
        if state.type == "parallel":
            return self.regions(name)
        return [] if state.initial is None else [state.initial]

    def completed(self, wanted: Collection[str]) -> list[str]:
        """Return what is active when these states are: those around them, and what is entered by default.

        Raises: SchemaError, if they cannot be active at once.
        """
        active = set(wanted).union(*(self.ancestors(name) for name in wanted))
        result: list[str] = []
        self._complete([name for name in self.top if name in active] or [self.initial], active, result)
        if lost := active.difference(result):
            raise SchemaError(f"{sorted(wanted)} cannot be active at once", subject=f"state {min(lost)!r}")
        return result

    def _complete(self, names: list[str], active: Collection[str], result: list[str]) -> None:
        """Add states and those below them; of what excludes each other only the first."""
        for name in names:
            result.append(name)
            state = self.states[name]
            chosen = [child for child in self.regions(name) if child in active]
            self._complete(
                self.regions(name) if state.type == "parallel" else chosen[:1] or self.first_below(name), active, result
            )
