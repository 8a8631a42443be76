"""Paths: names on the way to a field, joined and taken apart without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types.document.path import child, join, split

NAMES = st.lists(st.text(st.sampled_from("a~/01$"), max_size=4), min_size=1, max_size=4).filter(lambda names: names[0])


@given(NAMES)
def test_paths_are_taken_apart_as_they_were_joined(names: list[str]) -> None:
    path = join(*names)
    assert split(path) == tuple(names)
    assert path.count("/") == len(names) - 1


@given(NAMES, NAMES)
def test_paths_differ_where_names_do(one: list[str], other: list[str]) -> None:
    assert (join(*one) == join(*other)) == (one == other)


@given(NAMES)
def test_path_of_a_child_is_that_of_its_parent_with_its_name(names: list[str]) -> None:
    path = ""
    for name in names:
        path = child(path, name)
    assert path == join(*names)


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (("goal",), "goal"),
        (("tasks", "t1", "title"), "tasks/t1/title"),
        (("tasks", "", "title"), "tasks//title"),
        (("tasks", "a/b"), "tasks/a~1b"),
        (("tasks", "~1", "~/"), "tasks/~01/~0~1"),
    ],
)
def test_paths_are_escaped_as_json_pointers_are(names: tuple[str, ...], path: str) -> None:
    assert join(*names) == path
    assert split(path) == names
