"""Positions: always one more between any two, no two alike, and runs of one session that stay together."""

from bisect import insort

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types.document.position import Positions
from tests.support.position_vectors import STRANGE
from tests.support.profiles import examples

CLIENTS = st.lists(
    st.one_of(st.integers(0, 40), st.integers(0, 2**53 - 1), st.just(2**53 - 1)), min_size=3, max_size=3, unique=True
)
ASCII = st.text(st.characters(max_codepoint=127), max_size=12)
ANY = st.one_of(st.none(), st.sampled_from(STRANGE), ASCII)
# Who inserts, and where: a part of the list's length.
INSERTIONS = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), max_size=60)


def insert(items: list[str], positions: Positions, at: int) -> str:
    """Insert into a list of positions at an index, and return what was inserted."""
    left, right = (items[at - 1] if at else None), (items[at] if at < len(items) else None)
    made = positions.between(left, right)
    assert left is None or left < made
    assert right is None or made < right
    items.insert(at, made)
    return made


def grown(sessions: list[Positions], insertions: list[tuple[int, float]]) -> list[str]:
    """Return a list that sessions inserted into in turn."""
    items: list[str] = []
    for number, part in insertions:
        insert(items, sessions[number], round(part * len(items)))
    return items


@given(CLIENTS, INSERTIONS)
@settings(max_examples=examples(60, 5000))
def test_positions_lie_between_their_neighbours_and_are_unique(
    clients: list[int], insertions: list[tuple[int, float]]
) -> None:
    items = grown(list(map(Positions, clients)), insertions)
    assert items == sorted(set(items))
    assert all(position.isascii() for position in items)


@given(CLIENTS, INSERTIONS, st.data())
@settings(max_examples=examples(60, 5000))
def test_positions_of_sessions_that_know_only_a_part_are_unique_and_in_order(
    clients: list[int], insertions: list[tuple[int, float]], data: st.DataObject
) -> None:
    sessions = list(map(Positions, clients))
    lists: list[list[str]] = [[], [], []]
    everything: set[str] = set()
    for number, part in insertions:
        made = insert(lists[number], sessions[number], round(part * len(lists[number])))
        assert made not in everything
        everything.add(made)
        for other in data.draw(st.sets(st.integers(0, 2))) - {number}:
            insort(lists[other], made)
    assert all(known == sorted(known) for known in lists)


@given(st.integers(0, 2**53 - 1), st.lists(st.tuples(ANY, ANY), min_size=1, max_size=8))
@settings(max_examples=examples(150, 10000))
def test_positions_between_any_strings_are_made_and_lie_between_them_if_there_is_room(
    client: int, calls: list[tuple[str | None, str | None]]
) -> None:
    positions, made = Positions(client), set[str]()
    for left, right in calls:
        position = positions.between(left, right)
        assert position.isascii()
        assert position not in made
        made.add(position)


@given(CLIENTS, INSERTIONS, st.data())
@settings(max_examples=examples(80, 5000))
def test_runs_that_sessions_insert_at_one_place_at_once_do_not_interleave(
    clients: list[int], insertions: list[tuple[int, float]], data: st.DataObject
) -> None:
    sessions = list(map(Positions, clients))
    items = grown(sessions, insertions)
    at = data.draw(st.integers(0, len(items)))
    runs = [run(items, session, at, data) for session in sessions]
    merged = sorted([*items, *(made for made_by in runs for made in made_by)])
    for made_by in runs:
        first = merged.index(made_by[0])
        assert merged[first : first + len(made_by)] == made_by
    assert [position for position in merged if position in items] == items


def run(items: list[str], session: Positions, at: int, data: st.DataObject) -> list[str]:
    """Return what a session inserts at a place in a row, forwards or backwards, in the order of the list."""
    mine, forward = items.copy(), data.draw(st.booleans())
    length = data.draw(st.integers(1, 8))
    for turn in range(length):
        insert(mine, session, at + (turn if forward else 0))
    return mine[at : at + length]


@pytest.mark.parametrize("forward", [True, False])
def test_positions_of_a_long_run_stay_short(forward: bool) -> None:
    items, positions = list[str](), Positions(2**53 - 1)
    for _turn in range(5000):
        last = items[-1] if items else None
        items.append(positions.between(last, None) if forward else positions.between(None, last))
    assert max(map(len, items)) < 40
    assert items == sorted(items, reverse=not forward)


def test_positions_in_the_middle_of_what_is_there_stay_bounded() -> None:
    items: list[str] = []
    sessions = [Positions(client) for client in (1, 2**40, 2**53 - 1)]
    for turn in range(3000):
        insert(items, sessions[turn % 3], len(items) // 2)
    assert max(map(len, items)) < 1000


@pytest.mark.parametrize("right", ["i0.1711-", "i0.1711/i0.-", "h0.1711-", "i0.1611-"])
def test_positions_where_there_is_no_room_lie_after_the_left_neighbour(right: str) -> None:
    left = "i0.1711/i0.-"
    made = Positions(9).between(left, right)
    assert left < made
    assert right < made
