"""Upgrades: where a machine stands in another definition of it."""

from collections.abc import Mapping

from comity.crdt_types.errors import SchemaError

from .definition import MachineDefinition
from .run import Outcome, Position


def upgraded(position: Position, old: MachineDefinition, new: MachineDefinition, names: Mapping[str, str]) -> Outcome:
    """Return where a machine stands when its definition is exchanged; no action is done for it.

    A state that has kept its name, or was given a new one, stays active as it is, with its time of entry. A field of
    the context keeps its value.

    Args:
        position: where it stands.
        old: its definition.
        new: the other one.
        names: the new names of states, for those that have not kept theirs.

    Raises: SchemaError, if a state that is active has no place in the new definition.
    """
    active = [name for name in position.configuration if name in old.outline]
    parents = {old.outline.parents[name] for name in active}
    leaves = [_renamed(new, name, names) for name in active if name not in parents]
    configuration = tuple(new.outline.completed(leaves))
    kept = {names.get(name, name) for name in active}
    return Outcome(
        Position(
            configuration,
            {name: position.context.get(name, first) for name, first in new.context.items()},
            {name: states for name, states in position.history.items() if _remembers(new, name, states)},
            any(new.outline.states[name].type == "final" for name in configuration if name in new.outline.top),
        ),
        sources=(),
        left=frozenset(),
        exited=frozenset(active).difference(configuration),
        entered=frozenset(configuration).difference(kept),
        actions=(),
    )


def _renamed(new: MachineDefinition, name: str, names: Mapping[str, str]) -> str:
    found = names.get(name, name)
    if found not in new.outline or new.outline.states[found].type == "history":
        raise SchemaError(
            f"the machine is in {name!r}, which has no place in the new definition",
            subject=f"machine {new.name!r}",
            remedy=f"name one: upgrade={{{name!r}: ...}}",
        )
    return found


def _remembers(new: MachineDefinition, name: str, states: tuple[str, ...]) -> bool:
    """Tell whether what a history state remembers still makes sense."""
    outline = new.outline
    if name not in outline or outline.states[name].type != "history":
        return False
    parent = outline.parents[name]
    return all(state in outline and parent in set(outline.ancestors(state)) for state in states)
