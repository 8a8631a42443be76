"""The laws of merging, on documents with fields of every type."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import StateDocument
from comity.crdt_types.document.values import canonical
from tests.support.edits import BY_TYPE, EDITS, Edit, Everything
from tests.support.invariants import check, picture
from tests.support.network import Network, disputes
from tests.support.profiles import examples

Step = tuple[int, Edit] | tuple[int, int]

SITES = st.integers(0, 2)
# Edits of three replicas, and now and then one of them learns all that another has.
MEETINGS: st.SearchStrategy[Step] = st.tuples(SITES, SITES)
SCRIPTS = st.lists(st.one_of(st.tuples(SITES, EDITS), st.tuples(SITES, EDITS), MEETINGS), max_size=20)
GROWING = st.lists(
    st.one_of(st.tuples(SITES, BY_TYPE["gset"]), st.tuples(SITES, BY_TYPE["gcounter"]), MEETINGS), max_size=20
)
LAWS = settings(max_examples=examples(25, 2000), deadline=None)


def played(script: list[Step]) -> Network:
    """Return three replicas that did what a script says."""
    network = Network(3)
    for number, step in script:
        play(network, number, step)
    return network


def play(network: Network, number: int, step: Edit | int) -> None:
    """Have a replica edit, or learn all that another has."""
    if isinstance(step, int):
        network.sites[number].apply(network.sites[step].document.update_since())
    else:
        network.sites[number].edit(step)


def updates(script: list[Step]) -> list[bytes]:
    """Return what three replicas hold that did what a script says."""
    return [site.document.update_since() for site in played(script).sites]


def merged(*updates: bytes) -> StateDocument:
    """Return a document that took in updates one by one."""
    document = StateDocument()
    for update in updates:
        document.apply(update)
    check(document)
    return document


def said(document: StateDocument) -> Any:
    """Return everything that a document says: its entries, what a state reads in it, and what is in dispute."""
    state = Everything(document)
    return picture(document), canonical(state.to_dict()), disputes(state)


@given(SCRIPTS)
@LAWS
def test_merge_is_commutative(script: list[Step]) -> None:
    one, other, _third = updates(script)
    assert said(merged(one, other)) == said(merged(other, one))


@given(SCRIPTS)
@LAWS
def test_merge_is_associative(script: list[Step]) -> None:
    one, other, third = updates(script)
    first_two = merged(one, other).update_since()
    last_two = merged(other, third).update_since()
    assert said(merged(first_two, third)) == said(merged(one, last_two)) == said(merged(one, other, third))


@given(SCRIPTS)
@LAWS
def test_merge_is_idempotent(script: list[Step]) -> None:
    one, other, _third = updates(script)
    document = merged(one, other)
    before, told = said(document), list[object]()
    document.on_change(told.append)
    document.on_commit(told.append)
    for update in (one, other, document.update_since()):
        document.apply(update)
    assert said(document) == before
    assert not told


@given(SCRIPTS)
@LAWS
def test_merge_with_nothing_changes_nothing(script: list[Step]) -> None:
    one, _other, _third = updates(script)
    nothing = StateDocument().update_since()
    assert said(merged(nothing, one)) == said(merged(one)) == said(merged(one, nothing))


@given(SCRIPTS)
@LAWS
def test_replicas_with_equal_state_vectors_and_no_gaps_have_equal_state(script: list[Step]) -> None:
    network = played(script)
    network.settle()
    vectors = {tuple(sorted(site.seen.items())) for site in network.sites}
    assert len(vectors) == 1
    first, *others = [said(site.document) for site in network.sites]
    assert all(found == first for found in others)


@given(SCRIPTS)
@LAWS
def test_merge_loses_no_live_write_that_nobody_superseded(script: list[Step]) -> None:
    network = played(script)
    before = [network.model.view(site.seen) for site in network.sites]
    network.settle()
    for view in before:
        for (kind, path), cells in view.fields.items():
            for key, writes in cells.items():
                kept = [write for write in writes if not write.gone]
                assert entries_of(network.sites[0].document, kind, path, key) >= {write.order for write in kept}


def entries_of(document: StateDocument, kind: str, path: str, key: Any) -> set[tuple[int, int, bytes]]:
    """Return what tells the live entries of a cell from others."""
    if kind == "log":
        return {entry.order for entry in document.index.items(path).entries}
    kinds = {"register": 0, "map": 1, "set": 2, "counter": 3, "list": 6, "place": 7}
    return {entry.order for entry in document.index.cells(kinds[kind], path).get(key, ())}


@given(GROWING)
@LAWS
def test_grow_only_types_grow_with_every_edit_and_merge(script: list[Step]) -> None:
    network = Network(3)
    for number, step in script:
        state = network.sites[number].state
        elements, total = set(map(canonical, state.seen)), state.earned.value
        play(network, number, step)
        assert elements <= set(map(canonical, state.seen))
        assert total <= state.earned.value


def test_grow_only_counter_does_not_shrink_when_another_program_subtracts() -> None:
    state, stranger = Everything(), StateDocument()
    state.earned.add(5)
    stranger.count("earned", 2)
    stranger.count("earned", -4)
    told: list[tuple[int, int]] = []
    state.earned.on_change(lambda change: told.append((change.old, change.new)))
    state.document.apply(stranger.update_since())
    assert state.earned.value == 7
    assert told == [(5, 7)]


@given(SCRIPTS, EDITS)
@LAWS
def test_edit_that_was_made_elsewhere_comes_to_the_same_here(script: list[Step], edit: Edit) -> None:
    network = played(script)
    network.settle()
    one, other, _third = network.sites
    before = one.document.state_vector()
    one.edit(edit)
    other.apply(one.document.update_since(before))
    assert said(one.document) == said(other.document)
