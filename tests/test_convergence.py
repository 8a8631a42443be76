"""Replicas of a state document agree in the end, whatever the network did to their updates."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.edits import BY_TYPE, EDITS, Edit
from tests.support.machines import SITES, Machine, profiled, replicas, undoing_replicas
from tests.support.network import Network
from tests.support.profiles import examples


def case(edits: st.SearchStrategy[Edit], quick: int, deep: int, *, exact: bool = True) -> Machine:
    """Return a state machine of replicas that make such edits, as a test case.

    Args:
        edits: the edits.
        quick: the number of examples of the quick profile.
        deep: that of the deep one.
        exact: False, if those who lack earlier updates edit what they see of later ones; the model is left out then.
    """
    machine = replicas(edits, lambda: Network(4, exact=exact))
    return profiled(machine, examples(quick, deep), examples(25, 80))


TestReplicas = case(EDITS, 25, 1500)
TestLackingReplicas = case(EDITS, 10, 1000, exact=False)
TestUndoingReplicas = profiled(undoing_replicas(EDITS), examples(10, 1000), examples(25, 80))

# A machine for each type alone, so that its edits meet each other.
TestRegister = case(BY_TYPE["register"], 5, 400)
TestMap = case(BY_TYPE["map"], 5, 400)
TestORSet = case(BY_TYPE["orset"], 5, 400)
TestGSet = case(BY_TYPE["gset"], 5, 400)
TestCounter = case(BY_TYPE["counter"], 5, 400)
TestGCounter = case(BY_TYPE["gcounter"], 5, 400)
TestLog = case(BY_TYPE["log"], 5, 400)
TestList = case(BY_TYPE["list"], 10, 800)
TestText = case(BY_TYPE["text"], 5, 400)
TestNested = case(BY_TYPE["nested"], 5, 400)
TestRows = case(BY_TYPE["rows"], 10, 800)


@given(st.lists(st.tuples(SITES, EDITS), max_size=25), st.randoms(use_true_random=False))
@settings(max_examples=examples(30, 1000))
def test_updates_that_arrive_in_any_order_and_number_of_times_converge(
    script: list[tuple[int, Edit]], random: Any
) -> None:
    network = Network(4)
    for number, edit in script:
        network.sites[number].edit(edit)
        network.post()
    for number, inbox in enumerate(network.inboxes):
        updates = [*inbox, *inbox]
        random.shuffle(updates)
        for update in updates:
            network.sites[number].document.apply(update)
            network.sites[number].check()
    network.check()


@pytest.mark.parametrize("size", [2, 3])
def test_writers_that_overwrite_each_other_all_day_converge(size: int) -> None:
    network = Network(size, exact=False)
    for turn in range(600):
        site = network.sites[turn % size]
        site.edit(Edit("put", "steps", (f"step {turn % 7}", turn)))
        site.edit(Edit("count", "spent", (1,)))
        network.post()
        if turn % 5 == 0:
            for number in range(size):
                network.deliver(number, [0] * 9, keep=False, merge=bool(turn % 2))
    network.settle()
    network.check()
    assert network.sites[0].state.spent.value == 600
