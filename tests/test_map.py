"""Maps: mutable mappings of which every key merges on its own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types import Change, Map, State, StateDocument
from comity.crdt_types.errors import InvalidValueError


class Plan(State):
    steps: Map[str]


EDITS = st.lists(st.tuples(st.sampled_from(["set", "del", "pop", "default"]), st.sampled_from("abc"), st.text()))


@given(EDITS)
def test_map_behaves_as_a_dict(edits: list[tuple[str, str, str]]) -> None:
    steps = Plan().steps
    model: dict[str, str] = {}
    for name, key, value in edits:
        if name == "set":
            steps[key] = model[key] = value
        elif name == "pop":
            assert steps.pop(key, None) == model.pop(key, None)
        elif name == "default":
            assert steps.setdefault(key, value) == model.setdefault(key, value)
        elif key in model:
            del steps[key], model[key]
        else:
            with pytest.raises(KeyError):
                del steps[key]
        assert steps == model
        assert list(steps) == sorted(model)
        assert (len(steps), steps.get(key), key in steps) == (len(model), model.get(key), key in model)
        assert steps.value == dict(steps.items()) == model


def test_map_update_and_clear_are_one_transaction_each() -> None:
    plan = Plan()
    commits: list[object] = []
    plan.document.on_commit(commits.append)
    plan.steps.update({"a": "1"}, b="2")
    assert len(commits) == 1
    plan.steps.clear()
    assert (len(commits), plan.steps.value) == (2, {})


def test_map_may_be_changed_while_it_is_iterated_over() -> None:
    plan = Plan()
    plan.steps.update({"a": "1", "b": "2"})
    for key in plan.steps:
        plan.steps[f"{key}{key}"] = "new"
        del plan.steps[key]
    assert list(plan.steps) == ["aa", "bb"]


def test_map_keys_merge_on_their_own() -> None:
    one, two = Plan(StateDocument(agent="one")), Plan(StateDocument(agent="two"))
    told: list[Change] = []
    one.steps["a"] = "one"
    two.steps["b"] = "two"
    one.on_change(told.append)
    one.document.apply(two.document.update_since())
    assert one.steps.value == {"a": "one", "b": "two"}
    assert [(c.field, c.key, c.old, c.new, c.author, c.local) for c in told] == [
        ("steps", "b", None, "two", "two", False)
    ]


def test_map_key_written_while_it_was_deleted_elsewhere_survives() -> None:
    one, two = Plan(), Plan()
    one.steps["a"] = "first"
    two.document.apply(one.document.update_since())
    del one.steps["a"]
    two.steps["a"] = "second"
    one.document.apply(two.document.update_since())
    two.document.apply(one.document.update_since())
    assert one.steps.value == two.steps.value == {"a": "second"}


def test_map_key_that_is_not_a_string_is_refused() -> None:
    plan = Plan()
    number: Any = 5
    with pytest.raises(InvalidValueError):
        plan.steps[number] = "five"
    assert number not in plan.steps
