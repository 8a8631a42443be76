"""Limits: what a document takes, and that it is as it was where it takes no more."""

from collections.abc import Callable
from typing import Any

import pytest

from comity.crdt_types import Limits, StateDocument
from comity.crdt_types.errors import InvalidValueError, TooLargeError
from comity.crdt_types.limits import MAX_DEPTH, MAX_NAME, MAX_VALUE_BYTES
from tests.support.edits import Everything, Task
from tests.support.invariants import check

Edit = Callable[[Everything, Any], object]

WRITES: dict[str, Edit] = {
    "register": lambda state, value: state.goal.set(value),
    "map": lambda state, value: state.steps.update(k=value),
    "set": lambda state, value: state.tags.add(value),
    "log": lambda state, value: state.journal.append(value),
    "list": lambda state, value: state.plan.append(value),
    "row": lambda state, value: state.tasks.update({"t": {"title": value}}),
}
every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


def limited(**limits: int) -> Everything:
    """Return a state whose document has such limits."""
    state = Everything()
    state.document.limits = Limits(**limits)
    return state


def refused(state: Everything, edit: Callable[[], object], match: str) -> None:
    """Assert that an edit is refused and changes nothing, inside a transaction or outside."""
    before = state.document.update_since(), state.to_dict()
    with pytest.raises(TooLargeError, match=match):
        edit()
    assert (state.document.update_since(), state.to_dict()) == before
    with pytest.raises(TooLargeError, match=match):
        after_another(state, edit)
    assert (state.document.update_since(), state.to_dict()) == before
    check(state.document)


def after_another(state: Everything, edit: Callable[[], object]) -> None:
    """Make an edit in a transaction, after another one."""
    with state.transaction():
        state.profile.name.set("also gone")
        edit()


@every_write
@pytest.mark.parametrize("size", [100, 5000])
def test_values_over_the_limit_are_refused(write: Edit, size: int) -> None:
    state = limited(value_bytes=size)
    write(state, "x" * (size - 50))
    refused(state, lambda: write(state, "y" * (size + 1)), "a value of")
    write(state, "z" * (size - 50))


@every_write
def test_values_up_to_a_mebibyte_are_taken(write: Edit) -> None:
    state = Everything()
    write(state, "x" * (MAX_VALUE_BYTES - 100))
    refused(state, lambda: write(state, "x" * (MAX_VALUE_BYTES + 1)), "a value of")


@pytest.mark.parametrize("size", [20, MAX_NAME])
def test_keys_over_the_limit_are_refused_counted_in_bytes(size: int) -> None:
    state = limited(name_bytes=size)
    state.steps["k" * size] = 1
    refused(state, lambda: state.steps.update({"k" * (size + 1): 1}), "a name of")
    refused(state, lambda: state.steps.update({"\u00e9" * (size // 2 + 1): 1}), "a name of")


def test_paths_over_the_limit_are_refused() -> None:
    state = Everything()
    long = "k" * (MAX_NAME - 10)
    state.tasks[long] = Task()
    refused(state, lambda: state.tasks[long].title.set("x"), "a name of")


@every_write
def test_documents_that_are_full_are_not_filled_further(write: Edit) -> None:
    state = limited(cells=4)
    state.errors.add(1)
    state.seen.add(1)
    state.earned.add(1)
    refused(state, lambda: write(state, "x"), "4 values are live")
    state.errors.add(1)  # no cell more than before
    state.document.limits = Limits()
    write(state, "x")


def test_documents_that_are_full_take_what_replaces_or_deletes() -> None:
    state = limited(cells=3)
    state.steps.update(a=1, b=2)
    refused(state, lambda: state.steps.update(c=3), "3 values are live")
    state.steps["a"] = 5
    del state.steps["b"]
    state.steps["c"] = 3
    assert state.steps == {"a": 5, "c": 3}


def test_documents_take_from_others_whatever_comes() -> None:
    other = Everything()
    other.steps.update({"k" * 100: "x" * 1000, "b": 2})
    state = limited(value_bytes=10, name_bytes=10, cells=1)
    state.document.apply(other.document.update_since())
    assert state.steps == other.steps


def nested(depth: int) -> Any:
    """Return lists in lists."""
    return [nested(depth - 1)] if depth else "x"


@every_write
def test_values_nested_too_deep_are_refused(write: Edit) -> None:
    if write is WRITES["log"]:
        return  # its items are text
    state = Everything(StateDocument())
    write(state, nested(MAX_DEPTH))
    before = state.document.update_since()
    with pytest.raises(InvalidValueError, match="deeper"):
        write(state, nested(MAX_DEPTH + 1))
    assert state.document.update_since() == before
