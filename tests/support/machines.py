"""State machines: replicas that edit, and a network that delivers, doubles, reorders, merges and restarts."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from comity.crdt_types.document.entry import ELEMENT, Entry
from comity.crdt_types.undo.manager import UndoManager

from .edits import Edit
from .network import FailedError, Network, Site

SITES = st.integers(0, 3)
CHOICES = st.lists(st.integers(0, 99), min_size=1, max_size=8)

# A busy machine is no reason to give up: an example of the deep profile may take seconds.
PATIENT = (HealthCheck.too_slow, HealthCheck.data_too_large)

Machine = Any  # what hypothesis makes of a state machine; its settings are an attribute


def profiled(machine: Machine, most: int, steps: int) -> Machine:
    """Return a state machine as it was given, which shall try so many examples of so many steps at most."""
    machine.settings = settings(
        max_examples=most, stateful_step_count=steps, deadline=None, suppress_health_check=PATIENT
    )
    return machine


def replicas(edits: st.SearchStrategy[Edit], connect: Callable[[], Network]) -> Machine:
    """Return a state machine of four replicas as a test case; see `replicas_of`."""
    return replicas_of(edits, connect).TestCase


def replicas_of(edits: st.SearchStrategy[Edit], connect: Callable[[], Network]) -> type[RuleBasedStateMachine]:
    """Return a state machine of four replicas, which make such edits, beside the model of what each must read.

    Args:
        edits: the edits.
        connect: makes the network with the replicas.
    """

    class Replicas(RuleBasedStateMachine):
        @initialize()
        def open(self) -> None:
            self.network = connect()

        @rule(number=SITES, edit=edits)
        def edit(self, number: int, edit: Edit) -> None:
            site = self.network.editor(number)
            site.edit(edit)
            site.check()
            self.network.post()

        @rule(number=SITES, edits=st.lists(edits, min_size=2, max_size=6), fails=st.booleans())
        def transact(self, number: int, edits: list[Edit], fails: bool) -> None:
            site = self.network.editor(number)
            before = site.document.state_vector(), site.state.to_dict(), site.state.conflicts()
            try:
                with site.editing():
                    for edit in edits:
                        site.edit(edit)
                    if fails:
                        raise FailedError
            except FailedError:
                assert before == (site.document.state_vector(), site.state.to_dict(), site.state.conflicts())
                assert not site.outbox
            site.check()
            self.network.post()

        @rule(number=SITES, choices=CHOICES, keep=st.booleans(), merge=st.booleans())
        def deliver(self, number: int, choices: list[int], keep: bool, merge: bool) -> None:
            self.network.deliver(number, choices, keep=keep, merge=merge)
            self.network.sites[number].check()

        @rule(number=SITES)
        def restart(self, number: int) -> None:
            self.network.restart(number)
            self.network.sites[number].check()

        @rule()
        def settle(self) -> None:
            self.network.settle()
            self.network.check()

        @invariant()
        def nothing_is_staged(self) -> None:
            assert not any(site.document.in_transaction for site in self.network.sites)

        def teardown(self) -> None:
            if hasattr(self, "network"):
                self.network.settle()
                self.network.check()
                self.network.close()

    return Replicas


class UndoingNetwork(Network):
    """A network whose sites can take back what they did; the model does not follow that."""

    def __init__(self) -> None:
        self.managers: dict[int, UndoManager] = {}
        super().__init__(4, exact=False)

    def open_site(self, number: int, update: bytes | None = None) -> Site:
        """Return a site as a new session, which has nothing to take back yet."""
        site = super().open_site(number, update)
        self.managers[number] = UndoManager(site.state)
        return site


def undoing_replicas(edits: st.SearchStrategy[Edit]) -> Machine:
    """Return a state machine of four replicas that take back what they did, and make it again, as a test case."""

    class UndoingReplicas(replicas_of(edits, UndoingNetwork)):  # type: ignore[misc]  # a class made by a function
        network: UndoingNetwork

        @rule(number=SITES, redo=st.booleans(), times=st.integers(1, 3))
        def take_back(self, number: int, redo: bool, times: int) -> None:
            manager, site = self.network.managers[number], self.network.sites[number]
            for _ in range(times):
                before = of_others(site)
                due = manager.can_redo if redo else manager.can_undo
                assert (manager.redo() if redo else manager.undo()) == due
                after = of_others(site)
                assert all(entries <= after.get(cell, set()) for cell, entries in before.items())
            site.check()
            self.network.post()

    return UndoingReplicas.TestCase


def of_others(site: Site) -> dict[tuple[int, str, Any], set[Entry]]:
    """Return the live entries of each cell that other sessions wrote; sets aside, of which one entry is as good."""
    return {
        (*field, key): {entry for entry in entries if entry.client != site.document.client_id}
        for field, cells in site.document.index.fields.items()
        for key, entries in cells.items()
        if field[0] != ELEMENT
    }
