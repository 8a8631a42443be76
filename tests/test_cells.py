"""Cells, the order of lists and the items of logs, as the index holds them."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types.document.cells import Items
from comity.crdt_types.document.entry import (
    CELL,
    COUNTER,
    ELEMENT,
    LISTED,
    PLACE,
    REGISTER,
    Entry,
    cell_entry,
    item_entry,
    place_entry,
)
from comity.crdt_types.document.index import Index
from tests.support.profiles import examples

IDS = st.sampled_from([f"id {number:03}" for number in range(80)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("item"), IDS),
        st.tuples(st.just("place"), IDS, st.sampled_from(["a", "j", "z", "id 040"])),
        st.tuples(st.just("drop item"), IDS),
        st.tuples(st.just("drop place"), IDS),
        st.tuples(st.just("many"), st.integers(1, 80)),
        st.tuples(st.just("look")),
    ),
    max_size=40,
)


class Listed:
    """A list in an index, beside what its order is to be."""

    def __init__(self) -> None:
        self.index = Index()
        self.items, self.places = self.index.cells(LISTED, "plan"), self.index.cells(PLACE, "plan")
        self._stamp = 0

    def step(self, name: str, *arguments: Any) -> None:
        """Take one step."""
        self._stamp += 1
        match name, arguments:
            case "item", (key,):
                self.index.put(self.items, key, (cell_entry(LISTED, "plan", key, self._stamp, 1, 7),))
            case "place", (key, position):
                self.index.put(self.places, key, (place_entry("plan", key, self._stamp, position, 7),))
            case "drop item", (key,):
                self.index.put(self.items, key, ())
            case "drop place", (key,):
                self.index.put(self.places, key, ())
            case "many", (count,):
                for number in range(count):
                    self.step("item", f"id {number * 7 % 80:03}")
            case _:
                self.check()

    def check(self) -> None:
        """Assert the order."""
        order = self.items.order
        assert order is not None
        assert order is self.places.order
        expected = sorted((self.places[key][0].data if key in self.places else key, key) for key in self.items)
        assert order.entries == expected
        assert [order.index_of(key) for _position, key in expected] == list(range(len(expected)))


@given(STEPS)
@settings(max_examples=examples(80, 5000))
def test_order_of_a_list_is_by_position_then_id_after_every_step(steps: list[Any]) -> None:
    listed = Listed()
    for step in steps:
        listed.step(*step)
    listed.check()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.booleans()), max_size=120))
@settings(max_examples=examples(60, 3000))
def test_items_of_a_log_are_in_order_however_they_come_and_go(steps: list[tuple[int, int, bool]]) -> None:
    items, live = Items("log"), list[Entry]()
    for stamp, client, look in steps:
        if look and live:
            items.remove(live.pop(stamp % len(live)))
        else:
            live.append(item_entry("log", stamp, client, client))
            items.insert(live[-1])
        if look:
            assert [entry.order for entry in items.entries] == sorted(entry.order for entry in live)
    assert len(items) == len(live)
    assert sorted(map(id, items.entries)) == sorted(map(id, live))


def test_index_finds_the_fields_below_a_path_by_the_next_name() -> None:
    index = Index()
    found = {
        name: index.cells(CELL, name) for name in ("tasks/a/x", "tasks/a/y/z", "tasks/b~1c/x", "tasks", "tasksx/a")
    }
    log = index.items("tasks/a/log")
    assert index.below("tasks") == {
        "a": [found["tasks/a/x"], found["tasks/a/y/z"], log],
        "b/c": [found["tasks/b~1c/x"]],
    }
    assert index.below("tasks/a") == {"x": [found["tasks/a/x"]], "y": [found["tasks/a/y/z"]], "log": [log]}
    assert index.below("nothing") == {}


def test_index_finds_what_lies_at_a_path_of_whatever_kind() -> None:
    index = Index()
    cells = [index.cells(kind, "x") for kind in (REGISTER, CELL, ELEMENT, COUNTER)]
    items = index.items("x")
    assert sorted(map(id, index.at("x"))) == sorted(map(id, [*cells, items]))
    assert index.at("y") == []
    assert index.cells(CELL, "x") is cells[1]
