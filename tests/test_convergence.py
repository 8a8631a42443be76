"""Replicas of a state document agree in the end, whatever the network did to their updates."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.network import FailedError, Network, Site
from tests.support.profiles import examples

SITES = st.integers(0, 3)
KEYS = st.sampled_from(["a", "b", "é", ""])
PLAIN: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=2), st.just([1, {"x": b"y"}])
)
ELEMENTS: st.SearchStrategy[Any] = st.sampled_from([1, 1.0, True, "1", None, [1, 2], {"b": 1, "a": 2}])
AMOUNTS = st.integers(-5, 9)
TEXT = st.text(alphabet="ab\u00e9\u4e2d\U0001f600\u0301", max_size=4)
CHOICES = st.lists(st.integers(0, 99), min_size=1, max_size=8)
POSITIONS = st.integers(0, 12)

EDITS = st.one_of(
    st.tuples(st.just("set_goal"), PLAIN),
    st.tuples(st.just("clear_goal")),
    st.tuples(st.just("put_step"), KEYS, PLAIN),
    st.tuples(st.just("drop_step"), KEYS),
    st.tuples(st.just("tag"), ELEMENTS),
    st.tuples(st.just("untag"), ELEMENTS),
    st.tuples(st.just("count"), st.sampled_from(["spent", "errors"]), AMOUNTS),
    st.tuples(st.just("log")),
    st.tuples(st.just("prune"), st.integers(0, 6)),
    st.tuples(st.just("write_text"), POSITIONS, st.integers(0, 3), TEXT),
)


class Replicas(RuleBasedStateMachine):
    """Four replicas, their edits and the network between them."""

    exact = True

    @initialize()
    def open(self) -> None:
        self.network = Network(4, exact=self.exact)
        self.items = 0

    def _edit(self, site: Site, edit: tuple[Any, ...]) -> None:
        name, *arguments = edit
        if name == "log":
            self.items += 1
            arguments = [f"item {self.items}"]
        getattr(site, name)(*arguments)

    @rule(number=SITES, edit=EDITS)
    def edit(self, number: int, edit: tuple[Any, ...]) -> None:
        site = self.network.editor(number)
        self._edit(site, edit)
        site.check()
        self.network.post()

    @rule(number=SITES, edits=st.lists(EDITS, min_size=2, max_size=6), fails=st.booleans())
    def transact(self, number: int, edits: list[tuple[Any, ...]], fails: bool) -> None:
        site = self.network.editor(number)
        before = site.document.state_vector(), site.state.to_dict(), site.state.conflicts()
        try:
            with site.editing():
                for edit in edits:
                    self._edit(site, edit)
                if fails:
                    raise FailedError
        except FailedError:
            assert before == (site.document.state_vector(), site.state.to_dict(), site.state.conflicts())
            assert not site.outbox
        site.check()
        self.network.post()

    @rule(
        number=SITES,
        choices=st.lists(st.integers(0, 99), min_size=1, max_size=8),
        keep=st.booleans(),
        merge=st.booleans(),
    )
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


class LackingReplicas(Replicas):
    """The same, but those who lack earlier updates edit what they see of later ones."""

    exact = False


TestReplicas = Replicas.TestCase
TestLackingReplicas = LackingReplicas.TestCase
TestReplicas.settings = TestLackingReplicas.settings = settings(
    max_examples=examples(40, 1500), stateful_step_count=examples(30, 80), deadline=None
)


@given(st.lists(st.tuples(SITES, EDITS), max_size=25), st.randoms(use_true_random=False))
@settings(max_examples=examples(30, 1000))
def test_updates_that_arrive_in_any_order_and_number_of_times_converge(
    script: list[tuple[int, tuple[Any, ...]]], random: Any
) -> None:
    network = Network(4)
    for at, (number, (name, *arguments)) in enumerate(script):
        getattr(network.sites[number], name)(*(arguments or ([f"item {at}"] if name == "log" else [])))
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
    network = Network(size)
    for turn in range(600):
        site = network.sites[turn % size]
        site.put_step(f"step {turn % 7}", turn)
        site.count("spent", 1)
        network.post()
        if turn % 5 == 0:
            for number in range(size):
                network.deliver(number, [0] * 9, keep=False, merge=bool(turn % 2))
    network.settle()
    network.check()
