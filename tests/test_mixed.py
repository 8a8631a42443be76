"""Python and JavaScript replicas of one document agree, whatever the network did to their updates."""

import json
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.crdt_types import StateDocument
from tests.support import vectors
from tests.support.edits import EDITS, Edit
from tests.support.entry_vectors import lane_of
from tests.support.invariants import check
from tests.support.machines import SITES, profiled, replicas
from tests.support.mixed import MixedNetwork, Peer, node_peer, written_by
from tests.support.profiles import examples


@pytest.fixture(scope="module")
def peer() -> Generator[Peer]:
    with node_peer() as found:
        yield found


@pytest.mark.parametrize("session", json.loads(vectors.entries())["documents"], ids=lambda session: session["name"])
def test_javascript_writes_the_same_bytes_as_python(peer: Peer, session: Any) -> None:
    document = StateDocument(update=written_by(peer, session))
    assert lane_of(document, session["client"]) == session["lane"]
    check(document)


def test_python_and_javascript_replicas_agree_with_the_model_at_every_step(peer: Peer) -> None:
    machine = replicas(EDITS, lambda: MixedNetwork(4, peer))
    profiled(machine, examples(20, 1500), examples(20, 80))("runTest").runTest()


@given(st.lists(st.tuples(SITES, EDITS), max_size=15), st.randoms(use_true_random=False))
@settings(max_examples=examples(20, 1000), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_updates_of_python_and_javascript_in_any_order_converge(
    peer: Peer, script: list[tuple[int, Edit]], random: Any
) -> None:
    network = MixedNetwork(4, peer)
    for number, edit in script:
        network.sites[number].edit(edit)
        network.post()
    for number, inbox in enumerate(network.inboxes):
        updates = [*inbox, *inbox]
        random.shuffle(updates)
        for update in updates:
            network.sites[number].apply(update)
        network.sites[number].check()
    network.check()
    network.close()
