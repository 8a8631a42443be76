"""Oversight: holds the transactions of an opened state to the checks and rules of its class and the states in it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ..document.changes import Change, Violation
from ..document.entry import HEADER
from ..document.listeners import Callbacks, Commit, Footprint
from ..document.path import child
from ..document.statedocument import StateDocument
from ..document.steps import CellStep
from ..types.field import Field
from ..types.register import Register
from ..types.rows import RowMap
from ..update import sole_client
from .rules import Rule, Rules, RuleWarning
from .validation import Checks, invalid


class Plan(NamedTuple):
    """What a State class asks of a transaction, without the states in it.

    Attributes:
        checks: those of the whole state, of fields that are checked as a whole, and of transitions.
        rules: its rules.
    """

    checks: Checks
    rules: tuple[Rule, ...]

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return not (self.rules or any(self.checks))


class Spot(NamedTuple):
    """A state on the way to what changed.

    Attributes:
        state: the state.
        path: its path.
        plan: what its class asks.
        rest: the path of what changed, from the state on.
        field: what changed, if it is a field of the state itself.
    """

    state: Any
    path: str
    plan: Plan
    rest: str
    field: Any

    def problem_of(self, change: Change) -> str | None:
        """Return why a change of the state's own field is no valid transition; None if it is, or of another state."""
        if self.field is None or self.rest not in self.plan.checks.transitions:
            return None
        old, new = change.old, change.new
        if isinstance(self.field, Register) and self.field.default is not None:
            default = self.field.typed(self.field.default)
            old, new = (default if change.action == "added" else old), (default if change.action == "removed" else new)
        return None if old == new else self.plan.checks.problem_of_change(self.rest, old, new)


class Oversight:
    """Asks the checks and rules of an opened state, and of the states and rows in it.

    What somebody else's update made invalid does not stop the transactions that leave it so: only what a transaction
    itself breaks is refused.

    Args:
        document: the document.
        along: yields the states on the way to a path, the outermost first.
        rules: the switches of the rules.
    """

    def __init__(self, document: StateDocument, along: Callable[[str], Iterator[Spot]], rules: Rules) -> None:
        self._document = document
        self._along = along
        self._rules = rules
        self._listeners = Callbacks()
        self._touched: set[str] = set()
        self._broken: set[tuple[str, int]] = set()
        document.add_guard(self._ask)

    def watch(self) -> None:
        """Follow what others make of the states as a whole."""
        index = self._document.index
        self._document.add_recorder(self._note)
        self._document.on_commit(self._committed)
        written = [field for (kind, field), cells in index.fields.items() if cells and kind != HEADER]
        self._examine([*written, *(field for field, items in index.logs.items() if items)], None)

    def on_violation(self, listener: Callable[[Violation], object]) -> Callable[[], None]:
        """Call a listener with what others' updates make invalid from now on; returns how to stop it."""
        stops = (self._listeners.add(listener), self._document.on_change(lambda change: self._review(change, listener)))

        def stop() -> None:
            for each in stops:
                each()

        return stop

    # Local transactions -----------------------------------------------------------------------------------------

    def _ask(self, changes: list[Change]) -> None:
        warnings: list[RuleWarning] = []
        touched: dict[str, Spot] = {}
        for change in changes:
            spots = list(self._spots(change))
            touched.update((spot.path, spot) for spot in spots)
            warnings += self._judge(change, spots)
        for change in _net(changes):
            self._check_transition(change)
        for spot in touched.values():
            self._check_whole(spot)
        if warnings:
            self._rules.tell(warnings)

    def _spots(self, change: Change) -> Iterator[Spot]:
        spot = None
        for spot in self._along(change.field):
            yield spot
        if spot is not None and isinstance(spot.field, RowMap) and change.action == "added":
            yield from self._along(child(change.field, change.key))

    def _judge(self, change: Change, spots: list[Spot]) -> list[RuleWarning]:
        if not any(spot.plan.rules for spot in spots):
            return []
        typed = _typed(change, spots)
        found = (
            (rule, typed._replace(field=spot.rest), spot.state)
            for spot in spots
            if spot.rest
            for rule in spot.plan.rules
        )
        return self._rules.judge(found, change.field)

    def _check_transition(self, change: Change) -> None:
        spots = list(self._along(change.field))
        for spot in spots:
            if (problem := spot.problem_of(_typed(change, spots))) is not None:
                raise invalid(change.field, problem)

    def _check_whole(self, spot: Spot) -> None:
        for number, field, problem in spot.plan.checks.problems(spot.state):
            if (spot.path, number) not in self._broken:
                raise invalid(_subject(spot, field) or type(spot.state).__name__, problem)

    # Updates of others ------------------------------------------------------------------------------------------

    def _review(self, change: Change, listener: Callable[[Violation], object]) -> None:
        if change.local:
            return
        spots = list(self._along(change.field))
        typed = _typed(change, spots)
        for problem in filter(None, (spot.problem_of(typed) for spot in spots)):
            listener(Violation(change.field, change.key, typed.new, change.author or "", problem))

    def _note(self, footprint: Footprint) -> None:
        for step in footprint.steps:
            self._touched.add(step.cells.field if isinstance(step, CellStep) else step.items.field)
        self._touched.update(name for name, _delta in footprint.texts)

    def _committed(self, commit: Commit) -> None:
        touched, self._touched = self._touched, set()
        if not commit.local or self._broken:
            self._examine(touched, commit)

    def _examine(self, paths: Iterable[str], commit: Commit | None) -> None:
        spots = {spot.path: spot for path in paths for spot in self._along(path)}
        for spot in spots.values():
            before = {place for place in self._broken if place[0] == spot.path}
            self._broken -= before
            for number, field, problem in spot.plan.checks.problems(spot.state):
                self._broken.add((spot.path, number))
                if commit is not None and (spot.path, number) not in before:
                    author = self._document.index.author(sole_client(commit.update)) or ""
                    self._listeners.call(Violation(_subject(spot, field), None, None, author, problem))


def _subject(spot: Spot, field: str | None) -> str:
    return spot.path if field is None else child(spot.path, field)


def _typed(change: Change, spots: list[Spot]) -> Change:
    field = spots[-1].field if spots else None
    return field.typed_change(change) if isinstance(field, Field) and field.kind == change.kind else change


def _net(changes: list[Change]) -> Iterable[Change]:
    """Make one change of those of one counter, of which each session's part is a change of its own."""
    net: dict[tuple[str, str, Any], Change] = {}
    for change in changes:
        if change.kind in ("register", "map", "list", "counter"):
            place = (change.kind, change.field, change.key)
            net[place] = change if place not in net else change._replace(old=net[place].old)
    return net.values()
